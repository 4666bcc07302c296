"""Pictures of the newest snapshot:  python preview.py DIR STAGE out.png

vae, decoder: drawings above what the VAE makes of them.  ancestor, base, refiner: one picture per
prompt and style tag, drawn by DDIM from the averaged weights.
"""
import argparse
import types

import numpy as np
import torch
from PIL import Image

import captions
import expert
import train
import world

PROMPTS = ("cat, red body, solo, left side, meadow", "rabbit, blue body, hat, duo, night",
           "bird, yellow body, solo, center, sea", "octopus, purple body, solo, right side, room",
           "turtle, green body, scarf, duo, meadow",
           "cat, white body, balloon, solo, center, night",
           "rabbit, red body, solo, right side, sea", "bird, blue body, hat, duo, room")
QUALITY = ("score_9, score_8_up, score_7_up, ", "masterpiece, very aesthetic, ")


def to_picture(x):
    """u8 [n, h, w, 3] of f32 [n, 3, h, w] in -1 .. 1."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def grid(rows):
    return Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))


def reconstructions(args):
    vae = train.finished_vae(args) if args.stage == "decoder" else \
        train.averaged("vae", args.work, train.new_vae(args.seed))
    drawn = np.stack([world.example(99, "ab"[i % 2], i)[2] for i in range(16)])
    with torch.no_grad():
        z = vae.encode(train.to_tensor(drawn)).latent_dist.mean
        made = to_picture(vae.decode(z).sample)
    print("latents:", z.mean(dim=(0, 2, 3)).tolist(), z.std(dim=(0, 2, 3)).tolist())
    print("mean difference of 255:", np.abs(made.astype(float) - drawn).mean())
    return grid([drawn[:8], made[:8], drawn[8:], made[8:]])


def sample(net, texts, seed, steps, guidance):
    """Latents f32 [n, 4, 16, 16] by DDIM; the negative prompt is left out."""
    tokenizer = captions.Tokenizer()
    ids = torch.tensor([tokenizer.rows(tokenizer.encode(t)) for t in texts]).repeat(2, 1, 1)
    n = len(texts)
    told = torch.cat([torch.ones(n), torch.zeros(n)])
    sizes = torch.tensor([train.SIDES], dtype=torch.float32).repeat(2 * n, 1)
    signal, noise = train.signal_and_noise()
    times = np.linspace(999, 0, steps + 1).round().astype(int)
    x = torch.randn(n, 4, 16, 16, generator=torch.Generator().manual_seed(seed))
    for now, then in zip(times[:-1], times[1:]):
        with torch.no_grad():
            t = torch.full((2 * n,), int(now))
            eps = net(x.repeat(2, 1, 1, 1), t, ids[:, 0], ids[:, 1], sizes, told)
        with_text, without = eps.chunk(2)
        eps = without + guidance * (with_text - without)
        clean = (x - noise[now] * eps) / signal[now]
        x = signal[then] * clean + noise[then] * eps if then else clean
    return x


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work")
    parser.add_argument("stage")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    args = types.SimpleNamespace(work=given.work, seed=train.SEED, stage=given.stage, bf16=True,
                                 device="cpu")
    if given.stage in ("vae", "decoder"):
        reconstructions(args).save(given.out)
        return
    net = train.averaged(given.stage, given.work, expert.Denoiser(train.SEED)).eval()
    vae, rows = train.finished_vae(args), []
    for quality in QUALITY:
        z = sample(net, [quality + p for p in PROMPTS], 1, given.steps, given.guidance)
        print("latents: mean, deviation", float(z.mean()), float(z.std()))
        with torch.no_grad():
            rows.append(to_picture(vae.decode(z / train.SCALE).sample))
    grid(rows).save(given.out)


if __name__ == "__main__":
    main()
