r"""Writes tests/golden/refiner.{safetensors,md}: what PyTorch computes for a tiny refiner.

A developer's tool, run by hand once; neither the build nor a test needs it.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    refinery synth --arch tiny-refiner --seed 9 --dtype f16 refiner9.safetensors
    python tools/golden/make_refiner.py tiny7.safetensors refiner9.safetensors tests/golden

Needs what make_networks.py needs.  The refiner's UNet is diffusers' UNet2DConditionModel, which
diffusers' own refiner pipeline uses; its text is transformers' CLIPTextModelWithProjection.
Everything is computed in f64 and stored as f32, maps channels-last.
"""
import argparse
import datetime
import hashlib
import math
import pathlib

import diffusers
import safetensors.numpy
import torch
import transformers

import make_networks as nets
import sdxl_modules as sdxl

F64 = torch.float64
H, W = 5, 6  # odd on every level: 5 x 6, 3 x 3, 2 x 2, 1 x 1
SIDE = 64
SCORES = (6.0, 2.5)  # A1111's for prompt and negative prompt
# What stands alone in this architecture: the ends of levels, and those after a level without
# attention.
BLOCKS = ("input_blocks.3", "input_blocks.6", "input_blocks.8", "input_blocks.9",
          "input_blocks.11", "middle_block", "output_blocks.0", "output_blocks.2",
          "output_blocks.3", "output_blocks.6", "output_blocks.9", "output_blocks.11")
ROOM = 120_000


class Refiner:
    def __init__(self, path):
        parts = sdxl.read_parts(path)
        self.sha256 = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        self.clip_g = sdxl.build_clip_g(parts[sdxl.CLIP_G], F64)
        self.unet = sdxl.build_unet(parts[sdxl.UNET], F64)
        self.names = list(parts[sdxl.UNET])


def add_unet(golden, refiner):
    unet = refiner.unet
    x = nets.normal(21, 1, 4, H, W)
    context = nets.normal(22, 1, 77, unet.config.cross_attention_dim)
    vector = nets.normal(23, 1, unet.config.projection_class_embeddings_input_dim)
    golden.map("refiner.unet.x", x, f"input latent {H}x{W}, already scaled")
    golden.add("refiner.context", context, "text conditioning, one chunk")
    golden.add("refiner.vector", vector, "vector conditioning")
    with nets.watching(nets.unet_watchlist(unet, refiner.names, False)) as seen:
        out = sdxl.unet_forward(unet, x, torch.tensor([nets.TIMESTEP], dtype=F64), context, vector)
    for name in BLOCKS:
        golden.map(f"refiner.unet.{name}", seen[name], "after the block")
    golden.map("refiner.unet.out", out, "the network's output (eps)")


def conditioning(refiner):
    """context [2, 77, c] and vector [2, v]: row 0 the prompt, row 1 the negative prompt."""
    out = refiner.clip_g(nets.sequences(0), output_hidden_states=True)
    rows = []
    for pooled, score in zip(out.text_embeds, SCORES):
        numbers = torch.tensor([SIDE, SIDE, 0, 0, score], dtype=F64)
        rows.append(torch.cat([pooled, sdxl.Sinusoids(256)(numbers).flatten()]))
    return out.hidden_states[-2], torch.stack(rows)


def add_relay(golden, base, refiner):
    """make_networks' relay, with the refiner as the second expert."""
    nets.SIDE = SIDE
    table = nets.sigma_table()
    sigmas = nets.karras(table, nets.STEPS)
    times = [nets.timestep(table, float(s)) for s in sigmas[:-1]]
    noise = nets.normal(24, 1, 4, SIDE // 8, SIDE // 8)
    x = noise * float(sigmas[0])
    golden.map("refiner.relay.noise", noise, "initial noise, unit variance")
    golden.add("refiner.relay.sigmas", sigmas, f"Karras, {nets.STEPS} values, then 0")
    golden.add("refiner.relay.timesteps", times, "of the calls")
    for step in range(nets.STEPS):
        second = step >= nets.SWITCH
        expert = refiner if second else base
        context, vector = conditioning(refiner) if second else nets.conditioning(base)
        if step in (0, nets.SWITCH):
            golden.add(f"refiner.relay.vector.{int(second)}", vector,
                       "vector conditioning; rows prompt, negative")
        sigma, after = float(sigmas[step]), float(sigmas[step + 1])
        scaled = (x / math.sqrt(sigma ** 2 + 1)).expand(2, -1, -1, -1)
        time = torch.full((2,), times[step], dtype=F64)
        eps = sdxl.unet_forward(expert.unet, scaled, time, context, vector)
        positive, negative = (x - sigma * eps).chunk(2)
        denoised = negative + nets.CFG * (positive - negative)
        x = x + (x - denoised) / sigma * (after - sigma)
        golden.map(f"refiner.relay.latent.{step}", x, f"latent after step {step} "
                   f"({'refiner' if second else 'base'})")


INTRO = """# refiner.safetensors

What PyTorch computes for a tiny expert built as Stability's refiner is: four levels, attention on
the middle two and in the middle block, bigG alone, five numbers in the vector conditioning.  In f64
on the CPU, stored as f32, by `tools/golden/make_refiner.py`.

- Made on {date} with torch {torch}, diffusers {diffusers}, transformers {transformers}.
- Base: `refinery synth --arch tiny --seed 7 --dtype f32`, SHA-256 `{base}`.
- Refiner: `refinery synth --arch tiny-refiner --seed 9 --dtype f16`, SHA-256 `{refiner}`.
- UNet: timestep {time}; odd maps are resized after the upsampler's convolution, as in
  `networks.md`.
- Relay: that of `networks.md` at {side}x{side}, the refiner being the second expert; its vector is
  pooled, then the sinusoids of {side}, {side}, 0, 0 and the aesthetic score, {high} for the prompt
  and {low} for the negative prompt.

| tensor | shape | what |
|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="tiny checkpoint of seed 7")
    parser.add_argument("refiner", help="tiny refiner of seed 9")
    parser.add_argument("folder", type=pathlib.Path, help="where the two files go")
    args = parser.parse_args()
    torch.set_num_threads(2)
    golden, base, refiner = nets.Golden(), nets.Expert(args.base), Refiner(args.refiner)
    add_unet(golden, refiner)
    add_relay(golden, base, refiner)
    path = args.folder / "refiner.safetensors"
    safetensors.numpy.save_file(golden.data, path)
    if path.stat().st_size > ROOM:
        raise ValueError(f"{path}: {path.stat().st_size} bytes, more than {ROOM}")
    text = INTRO.format(date=datetime.date.today(), torch=torch.__version__.split("+")[0],
                        diffusers=diffusers.__version__, transformers=transformers.__version__,
                        base=base.sha256, refiner=refiner.sha256, time=nets.TIMESTEP, side=SIDE,
                        high=SCORES[0], low=SCORES[1])
    for name in sorted(golden.data):
        text += f"| `{name}` | {list(golden.data[name].shape)} | {golden.text[name]} |\n"
    (args.folder / "refiner.md").write_text(text)
    print(f"{path}: {len(golden.data)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
