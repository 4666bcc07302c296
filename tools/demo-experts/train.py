"""Trains the demo experts:  python train.py all --work DIR

Stages, each resumable and a command of its own: vae, latents, ancestor, base, refiner, decoder,
and parts, which writes what the tree holds.  A stage keeps DIR/STAGE.pt (newest state),
DIR/STAGE.jsonl (its curve) and, from the ancestor on, DIR/STAGE.safetensors: the averaged weights
as a checkpoint that the engine opens.  The learning rate is constant up to a stage's last third,
so that a stage can be given more steps later and every snapshot is usable.  Everything random is a
function of the seed and the step.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import subprocess
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import captions
import expert
import layout
import world

sdxl = layout.sdxl
SEED = 20
SCALE = 0.13025  # SDXL's: latents times this have deviation 1
SNAPSHOT = 600  # seconds between two
SIDES = (world.SIDE, world.SIDE, 0, 0, world.SIDE, world.SIDE)
STEPS = {"vae": 1600, "ancestor": 2000, "base": 2000, "refiner": 500, "decoder": 800}
RATE = {"vae": 1.5e-3, "ancestor": 1.2e-3, "base": 8e-4, "refiner": 8e-4, "decoder": 8e-4}
BATCH = {"vae": 4, "ancestor": 32, "base": 32, "refiner": 32, "decoder": 2}
WARM = 50  # steps of rising learning rate
PICTURES = 2048  # per style, that the VAE sees
LATENTS = 4000  # per style, that the denoisers see
UNTOLD = 0.1  # of all captions are left out, for classifier-free guidance
SNR_MAX = 5.0  # Min-SNR (Hang et al. 2023): noise that hides nothing teaches little
PLAIN = 0.9  # of all pictures are neither resized nor cropped


class Stopped(Exception):
    """The time is over; a snapshot has been written."""


class Clock:
    def __init__(self, until):
        self.end, self.last = None, time.time()
        if until:
            now = datetime.datetime.now(datetime.timezone.utc)
            end = now.replace(hour=int(until[:2]), minute=int(until[3:]), second=0)
            self.end = (end if end > now else end + datetime.timedelta(days=1)).timestamp()

    def over(self):
        return self.end is not None and time.time() >= self.end

    def snapshot_due(self):
        return self.over() or time.time() - self.last >= SNAPSHOT


# ---- the optimizer -------------------------------------------------------------------------------


def orthogonal(m):
    """Nearly the nearest orthogonal matrix of m [rows, columns]: five Newton-Schulz steps of degree
    five (Jordan et al. 2024, Muon)."""
    tall = m.shape[0] > m.shape[1]
    x = m.T if tall else m
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).float()


class Optimizer:
    """Muon for matrices and convolutions, AdamW for vectors, tables and the first and last layers;
    both move a weight by about the rate times 0.2 a step (Liu et al. 2025), so that they share a
    rate."""

    def __init__(self, weights, rate):
        inner = {n: p for n, p in weights.items() if self.is_inner(n, p)}
        self.inner, self.momentum = inner, {n: torch.zeros_like(p) for n, p in inner.items()}
        rest = [p for n, p in weights.items() if n not in inner]
        self.adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
        self.rate = rate

    @staticmethod
    def is_inner(name, p):
        return p.dim() >= 2 and min(p.shape[0], p[0].numel()) >= 16 and "embed" not in name

    def zero_grad(self):
        self.adam.zero_grad(set_to_none=True)
        for p in self.inner.values():
            p.grad = None

    @torch.no_grad()
    def step(self):
        for group in self.adam.param_groups:
            group["lr"] = self.rate
        self.adam.step()
        for name, p in self.inner.items():
            m = self.momentum[name]
            m.lerp_(p.grad, 0.05)
            g = p.grad.lerp(m, 0.95)
            flat = g.flatten(1)
            p.mul_(1 - 0.01 * self.rate)
            p.add_(orthogonal(flat).view_as(p), alpha=-0.2 * self.rate * max(flat.shape) ** 0.5)

    def state_dict(self):
        return {"adam": self.adam.state_dict(), "momentum": self.momentum}

    def load_state_dict(self, state):
        self.adam.load_state_dict(state["adam"])
        for name, value in state["momentum"].items():
            self.momentum[name].copy_(value)


# ---- one stage -----------------------------------------------------------------------------------


class Stage:
    """Steps of AdamW with an average of the weights, a curve and snapshots."""

    def __init__(self, name, module, args, clock):
        self.name, self.module, self.args, self.clock = name, module, args, clock
        self.steps = args.steps or STEPS[name]
        self.path = pathlib.Path(args.work) / f"{name}.pt"
        self.weights = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.average = {n: p.detach().clone() for n, p in self.weights.items()}
        self.optimizer = Optimizer(self.weights, args.rate or RATE[name])
        self.step, self.seconds, self.losses = 0, 0.0, []
        if self.path.exists():
            self.resume()

    def resume(self):
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, parameter in self.weights.items():
                parameter.copy_(state["weights"][name])
                self.average[name].copy_(state["average"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def snapshot(self):
        state = {"weights": {n: p.detach() for n, p in self.weights.items()},
                 "average": self.average, "optimizer": self.optimizer.state_dict(),
                 "step": self.step, "seconds": self.seconds}
        part = self.path.with_suffix(".pt.part")
        torch.save(state, part)
        part.replace(self.path)
        self.clock.last = time.time()

    def rate(self):
        """Rises at first, falls to a twentieth along a cosine in the last third."""
        warm = min(1.0, (self.step + 1) / WARM)
        tail = max(0.0, (self.step / self.steps - 2 / 3) * 3)
        fall = 0.525 + 0.475 * math.cos(math.pi * min(tail, 1.0))
        return (self.args.rate or RATE[self.name]) * warm * fall

    def generator(self):
        return np.random.default_rng([self.args.seed, len(self.name), ord(self.name[0]),
                                      self.step])

    def run(self, loss_of, after_snapshot=None):
        """loss_of(generator) -> (loss, {what: number}) until the steps or the time are over."""
        torch.manual_seed(self.args.seed)
        began = time.time()
        while self.step < self.steps:
            self.optimizer.rate = self.rate()
            loss, parts = loss_of(self.generator())
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
            self.optimizer.step()
            # The average forgets what is older than five hundred steps, and a young one sooner.
            keep = min(0.998, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(list(self.average.values()),
                                 [p.detach() for p in self.weights.values()], 1 - keep)
            self.step += 1
            self.losses.append({"loss": float(loss.detach())} | parts)
            if self.step % 50 == 0:
                self.seconds, began = self.seconds + time.time() - began, time.time()
                self.log()
            if self.clock.snapshot_due():
                self.snapshot()
                if after_snapshot:
                    after_snapshot(self)
            if self.clock.over():
                raise Stopped(self.name)
        self.snapshot()
        if after_snapshot:
            after_snapshot(self)

    def log(self):
        mean = {k: round(float(np.mean([x[k] for x in self.losses])), 5) for k in self.losses[0]}
        line = {"step": self.step, "seconds": round(self.seconds), **mean}
        with open(self.path.with_suffix(".jsonl"), "a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        print(self.name, line, flush=True)
        self.losses = []

    def use_average(self):
        """Puts the averaged weights into the module."""
        with torch.no_grad():
            for name, parameter in self.weights.items():
                parameter.copy_(self.average[name])


def averaged(stage, work, module):
    """The module with a finished (or stopped) stage's averaged weights."""
    path = pathlib.Path(work) / f"{stage}.pt"
    state = torch.load(path, map_location="cpu", weights_only=True)["average"]
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    return module


def done(stage, args):
    path = pathlib.Path(args.work) / f"{stage}.pt"
    if not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state["step"] >= (args.steps or STEPS[stage])


# ---- VAE -----------------------------------------------------------------------------------------


def new_vae(seed):
    first = layout.first_values(layout.vae(), seed)
    # Latents that start as noise as loud as themselves are not learnt from for 500 steps.
    first["quant_conv.bias"][layout.Z:] = -5.0
    return sdxl.build_vae(first, torch.float32)


def coarse(vae):
    """The VAE without its residual blocks of whole resolution, which are three quarters of its
    work.  They start as the identity, so leaving them out changes nothing; the stage "decoder"
    trains the decoder's three."""
    for resnet in (*vae.encoder.down_blocks[0].resnets, *vae.decoder.up_blocks[-1].resnets):
        resnet.forward = lambda x, temb=None: x
        resnet.requires_grad_(False)
    return vae


def pictures(args):
    """u8 [2 PICTURES, 128, 128, 3] of both styles, drawn once."""
    path = pathlib.Path(args.work) / "pictures.npy"
    if not path.exists():
        drawn = [world.example(args.seed, style, i)[2] for i in range(PICTURES) for style in "ab"]
        np.save(path, np.stack(drawn))
    return np.load(path, mmap_mode="r")


def to_tensor(batch):
    """f32 [n, 3, h, w] in -1 .. 1 of u8 [n, h, w, 3]."""
    return torch.from_numpy(np.array(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1


def edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def busyness(x):
    """[n, 1, h, w], mean 1: about five times as much where something is drawn as on flat ground,
    which is most of a picture and learnt first."""
    near = F.avg_pool2d(x, 9, 1, 4, count_include_pad=False)
    busy = F.avg_pool2d((x - near).abs().mean(dim=1, keepdim=True), 9, 1, 4)
    weight = 1 + 15 * busy
    return weight / weight.mean()


def difference(made, wanted):
    """(loss, its parts): L1 and squares of the pixels, and L1 of the steps between neighbours,
    which keeps outlines sharp."""
    off = made - wanted
    near = (busyness(wanted) * (off.abs() + 2 * off ** 2)).mean()
    steep = sum((a - b).abs().mean() for a, b in zip(edges(made), edges(wanted)))
    return near + 0.5 * steep, {"l1": float(off.detach().abs().mean()),
                                "near": float(near.detach()), "steep": float(steep.detach())}


def pick(drawn, rng, count):
    """f32 [count, 3, h, w]: random pictures, half of them mirrored.  Whole ones: normalisation
    takes its statistics over all that it is given, and cut-outs have others."""
    return to_tensor(np.stack([drawn[i, :, ::-1] if rng.random() < 0.5 else drawn[i]
                               for i in rng.integers(len(drawn), size=count)]))


def half(run):
    return torch.autocast(run.device, torch.bfloat16, enabled=run.bf16)


def normal(rng, like):
    """Noise of the generator in another tensor's shape and place."""
    return torch.from_numpy(rng.standard_normal(like.shape, np.float32)).to(like.device)


def train_vae(args, clock):
    drawn = pictures(args)
    vae = coarse(new_vae(args.seed).to(args.device).train().requires_grad_(True))

    def loss_of(rng):
        x = pick(drawn, rng, args.batch or BATCH["vae"]).to(args.device)
        with half(args):
            posterior = vae.encode(x).latent_dist
            z = posterior.mean + posterior.std * normal(rng, posterior.mean)
            made = vae.decode(z).sample.float()
        loss, parts = difference(made, x)
        spread = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1
                        - posterior.logvar.float()).mean()
        return loss + 3e-4 * spread, parts | {"kl": float(spread.detach())}

    Stage("vae", vae, args, clock).run(loss_of)


def finished_vae(args, decoder=True):
    """The VAE with latents of mean 0 and deviation 1 / SCALE per channel: what SDXL's factor
    expects.  The constants are folded into the two 1x1 convolutions around the latent."""
    vae = averaged("vae", args.work, new_vae(args.seed))
    fold = torch.load(pathlib.Path(args.work) / "fold.pt", weights_only=True)
    mean, gain = fold["mean"], fold["gain"]
    z = layout.Z
    with torch.no_grad():
        vae.quant_conv.weight[:z] *= gain[:, None, None, None]
        vae.quant_conv.bias[:z] = (vae.quant_conv.bias[:z] - mean) * gain
        vae.quant_conv.bias[z:] += 2 * gain.log()
        weight = vae.post_quant_conv.weight
        vae.post_quant_conv.bias += (weight[:, :, 0, 0] * mean).sum(dim=1)
        weight /= gain[None, :, None, None]
    if decoder and (pathlib.Path(args.work) / "decoder.pt").exists():
        averaged("decoder", args.work, vae)
    return vae


def measure_fold(args):
    """Mean and gain of each latent channel over 512 pictures."""
    work = pathlib.Path(args.work)
    if any(work.glob("latents-*.npz")):
        return  # they were made with it
    vae, drawn = averaged("vae", args.work, new_vae(args.seed)).to(args.device), pictures(args)
    with torch.no_grad():
        z = torch.cat([vae.encode(to_tensor(drawn[i:i + 16]).to(args.device)).latent_dist.mean.cpu()
                       for i in range(0, min(512, len(drawn)), 16)])
    torch.save({"mean": z.mean(dim=(0, 2, 3)), "gain": 1 / (SCALE * z.std(dim=(0, 2, 3)))},
               work / "fold.pt")


def train_decoder(args, clock):
    """The decoder alone, longer, on whole pictures; what the denoisers know stays as it is."""
    drawn, vae = pictures(args), finished_vae(args, decoder=False).to(args.device).train()
    vae.decoder.requires_grad_(True)
    vae.post_quant_conv.requires_grad_(True)

    def loss_of(rng):
        x = pick(drawn, rng, args.batch or BATCH["decoder"]).to(args.device)
        with torch.no_grad():
            z = vae.encode(x).latent_dist.mean
            # A denoiser's latents are never quite an encoder's.
            z = z + 0.05 / SCALE * normal(rng, z)
        with half(args):
            made = vae.decode(z).sample.float()
        return difference(made, x)

    Stage("decoder", vae, args, clock).run(loss_of)


# ---- latents -------------------------------------------------------------------------------------


def framed(picture, rng):
    """(picture, six numbers): most are as drawn; some were smaller, some are cut out of a larger
    one, and the numbers say so, as SDXL's conditioning does."""
    if rng.random() < PLAIN:
        return picture, SIDES
    image, side = Image.fromarray(picture), world.SIDE
    if rng.random() < 0.5:
        small = int(rng.integers(48, side))
        image = image.resize((small, small), Image.LANCZOS).resize((side, side), Image.LANCZOS)
        return np.asarray(image), (small, small, 0, 0, side, side)
    large = int(rng.integers(side + 8, side + 33))
    top, left = (int(v) for v in rng.integers(0, large - side + 1, 2))
    image = image.resize((large, large), Image.LANCZOS)
    return np.asarray(image.crop((left, top, left + side, top + side))), \
        (large, large, top, left, side, side)


def make_latents(args, clock):
    """DIR/latents-STYLE.npz: scaled latents, the numbers, and what each picture shows."""
    measure_fold(args)
    vae = coarse(finished_vae(args, decoder=False).to(args.device))
    for style in "ab" if args.style is None else args.style:
        path = pathlib.Path(args.work) / f"latents-{style}.npz"
        if path.exists():
            continue
        latents, sizes, shown, batch = [], [], [], []
        for i in range(LATENTS):
            scene, spoilt, picture = world.example(args.seed, style, i)
            rng = np.random.default_rng([args.seed, 7, i])
            picture, numbers = framed(picture, rng)
            batch.append(picture)
            sizes.append(numbers)
            shown.append(json.dumps([*vars(scene).values(), spoilt]))
            if len(batch) == 25:
                with torch.no_grad(), half(args):
                    z = vae.encode(to_tensor(np.stack(batch)).to(args.device)).latent_dist.mean
                latents.append((z.float() * SCALE).half().cpu().numpy())
                batch = []
        part = path.with_suffix(".part.npz")
        np.savez(part, latents=np.concatenate(latents), sizes=np.array(sizes, np.float32),
                 shown=np.array(shown))
        part.replace(path)
        print("latents", style, "deviation",
              np.concatenate(latents).astype(np.float32).std(), flush=True)


class Data:
    """Cached latents of some styles, with fresh captions at every draw."""

    def __init__(self, work, styles, told):
        self.tokenizer, self.told = captions.Tokenizer(), told
        self.z, self.sizes, self.shown = [], [], []
        for style in styles:
            with np.load(pathlib.Path(work) / f"latents-{style}.npz") as file:
                self.z.append(file["latents"].astype(np.float32))
                self.sizes.append(file["sizes"])
                for text in file["shown"]:
                    *scene, spoilt = json.loads(str(text))
                    self.shown.append((world.Scene(*scene), style, spoilt))
        self.z, self.sizes = np.concatenate(self.z), np.concatenate(self.sizes)

    def batch(self, rng, count):
        """Latents, then what expert.Denoiser.forward wants: token rows of both encoders, sizes
        [n, 6], told [n]."""
        pick = rng.integers(len(self.z), size=count)
        rows = []
        for i in pick:
            tokens = self.tokenizer.tags(captions.caption(*self.shown[i], rng, self.told))
            rows.append(self.tokenizer.rows(captions.with_strangers(tokens, rng)))
        told = torch.from_numpy((rng.random(count) >= UNTOLD).astype(np.float32))
        ids = torch.tensor(rows)
        return (torch.from_numpy(self.z[pick]), ids[:, 0], ids[:, 1],
                torch.from_numpy(self.sizes[pick]), told)


# ---- denoisers -----------------------------------------------------------------------------------


def signal_and_noise():
    """Share of the latent and of the noise at each of the 1000 timesteps (SDXL's schedule)."""
    betas = np.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)
    return (torch.from_numpy(np.sqrt(kept)).float(), torch.from_numpy(np.sqrt(1 - kept)).float())


def provenance(stage, parent):
    root = pathlib.Path(__file__).resolve().parents[2]
    commit = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()
    return {"stage": stage.name, "parent": parent, "step": stage.step, "seed": stage.args.seed,
            "batch": stage.args.batch or BATCH[stage.name],
            "rate": stage.args.rate or RATE[stage.name], "latents_per_style": LATENTS,
            "seconds": round(stage.seconds), "device": stage.args.device,
            "threads": torch.get_num_threads(), "bf16": stage.args.bf16,
            "torch": torch.__version__, "commit": commit,
            "written": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def train_denoiser(args, clock, name, styles, parent=None):
    """told: only the base expert is ever told places and counts; see README.md."""
    signal, noise_share = signal_and_noise()
    data = Data(args.work, styles, told=name == "base")
    net = expert.Denoiser(args.seed)
    if parent:
        averaged(parent, args.work, net)
    net.to(args.device).train()
    signal, noise_share = signal.to(args.device), noise_share.to(args.device)

    def loss_of(rng):
        z, *words = (x.to(args.device) for x in data.batch(rng, args.batch or BATCH[name]))
        # One timestep from each of n equal stretches: the same distribution, less variance.
        n = len(z)
        t = torch.from_numpy((rng.permutation(n) + rng.random(n)) / n * 1000)
        t, noise = t.long().clamp(max=999).to(args.device), normal(rng, z)
        x = signal[t][:, None, None, None] * z + noise_share[t][:, None, None, None] * noise
        with half(args):
            made = net(x, t, *words)
        loss = ((made.float() - noise) ** 2).mean(dim=(1, 2, 3))
        with torch.no_grad():
            early, late = loss[t >= 500].mean(), loss[t < 500].mean()
        snr = (signal[t] / noise_share[t]) ** 2
        weight = snr.clamp(max=SNR_MAX) / snr
        if name == "base":  # places and counts, which it alone is told, are decided in high noise
            weight = weight * snr.clamp(max=1.0) ** -0.5
        loss = (loss * weight).mean()
        return loss, {"high_noise": float(early), "low_noise": float(late)}

    def export(stage):
        now = {n: p.detach().clone() for n, p in stage.weights.items()}
        stage.use_average()
        path = pathlib.Path(args.work) / f"{name}.safetensors"
        expert.save(path, expert.checkpoint(net, finished_vae(args)), provenance(stage, parent))
        with torch.no_grad():
            for parameter, value in zip(stage.weights.values(), now.values()):
                parameter.copy_(value)

    Stage(name, net, args, clock).run(loss_of, export)


def write_parts(args, clock):
    """DIR/parts: what the tree holds.  A UNet and a pair of text encoders per expert, one VAE."""
    folder = pathlib.Path(args.work) / "parts"
    folder.mkdir(exist_ok=True)
    for name in ("base", "refiner"):
        net = averaged(name, args.work, expert.Denoiser(args.seed))
        notes = json.loads((pathlib.Path(args.work) / f"{name}.json").read_text("utf-8"))
        expert.save(folder / f"{name}-unet.safetensors", expert.unet_part(net), notes)
        expert.save(folder / f"{name}-text.safetensors", expert.text_part(net), notes)
    expert.save(folder / "vae.safetensors", expert.vae_part(finished_vae(args)), notes)


RUN = {
    "vae": train_vae,
    "latents": make_latents,
    "ancestor": lambda args, clock: train_denoiser(args, clock, "ancestor", "ab"),
    "base": lambda args, clock: train_denoiser(args, clock, "base", "a", "ancestor"),
    "refiner": lambda args, clock: train_denoiser(args, clock, "refiner", "b", "ancestor"),
    "decoder": train_decoder,
    "parts": write_parts,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=[*RUN, "all"])
    parser.add_argument("--work", required=True, help="folder of snapshots, curves, checkpoints")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, help="of this stage, in place of its own number")
    parser.add_argument("--batch", type=int, help="in place of the stage's own; for GPUs")
    parser.add_argument("--rate", type=float, help="learning rate, likewise")
    parser.add_argument("--style", choices="ab", help="latents: only these, for two processes")
    parser.add_argument("--until", help="HH:MM UTC: writes a snapshot and ends then")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--f32", dest="bf16", action="store_false",
                        help="no bf16 products, for CPUs that only emulate them")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    clock = Clock(args.until)
    try:
        for stage in RUN if args.stage == "all" else [args.stage]:
            if stage in ("latents", "parts") or not done(stage, args):
                RUN[stage](args, clock)
    except Stopped as stage:
        print(f"stopped in stage {stage}; the same command goes on from here", flush=True)


if __name__ == "__main__":
    main()
