"""Trains the judge of the demo's pictures:  python train_judge.py --work DIR OUT.safetensors

The judge (tools/judge/, in C) says what a picture shows at each of the three places, the background
and the style.  It learns from drawings of the world alone, never from a generated picture, so it
cannot be bent towards the experts.  Each drawing is made in both styles; a picture in between, as a
switched relay may give, is taught as a cross-fade of the two: style "a" is 0, style "b" is 1, and
0.3 is three tenths of the way.  Softened, shifted, noisy and recompressed drawings are taught too,
and drawings that no caption asks for: no creature, three of them, different ones.
"""
import argparse
import io
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

import world

SEED, DRAWINGS, BATCH, STEPS, RATE = 31, 8000, 48, 4000, 3e-3
SLOTS = (27, 64, 101)  # middles of the three places, in pixels
WINDOWS = (0, 5, 10)  # first column of a place in the map of 16 x 16
ROWS, COLUMNS = (2, 14), 6
WIDTHS = (3, 12, 24, 40, 40)  # channels: the picture, then each convolution
STRIDES = (2, 2, 2, 1)
NARROW, HIDDEN = 16, 32
KINDS, COLOURS = len(world.KINDS), len(world.COLOURS)
ACCESSORIES, BACKGROUNDS = len(world.ACCESSORIES), len(world.BACKGROUNDS)
# What is said of each place: is somebody there, and if so which, of what colour, with what.
PARTS = (1, KINDS, COLOURS, ACCESSORIES)


# ---- drawings ------------------------------------------------------------------------------------


def random_slots(rng):
    """([creature or None at each place], background); a creature is (kind, colour, accessory)."""
    scene = world.random_scene(rng)
    what = (world.KINDS.index(scene.kind), list(world.COLOURS).index(scene.colour),
            world.ACCESSORIES.index(scene.accessory))
    names = list(world.PLACES)
    here = [n == scene.place if scene.place else n != "centre" for n in names]
    slots = [what if there else None for there in here]
    if rng.random() < 0.3:  # nobody asks for these
        slots = [(int(rng.integers(KINDS)), int(rng.integers(COLOURS)),
                  int(rng.integers(ACCESSORIES))) if rng.random() < 0.5 else None for _ in names]
    return slots, world.BACKGROUNDS.index(scene.background)


def draw(slots, background, style, seed):
    """As world.draw, for any creatures; one seed gives one layout in both styles."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((world.SIDE, world.SIDE, 3))
    painter = world.Painter(style, canvas, loose=True)  # the judge knows no lattice
    world.PLACES_DRAWN[world.BACKGROUNDS[background]](painter, rng, rng.uniform(66, 78))
    y, size = rng.uniform(76, 84), rng.uniform(18.0, 20.5)
    for centre, what in zip(SLOTS, slots):
        x, flip = centre + rng.uniform(-5, 5), rng.choice((-1, 1))
        if what is None:
            continue
        colour = list(world.COLOURS)[what[1]]
        scene = world.Scene(world.KINDS[what[0]], colour, world.ACCESSORIES[what[2]], None, "")
        for role, points in world.creature(scene):
            painter.part(world.place_points(points, x, y, size, flip),
                         world.role_colour(role, colour), role not in world.UNLINED)
    if style == "a":
        canvas *= world.TINT
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def recompressed(picture, quality):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def make_drawing(index):
    """(pictures u8 [2, side, side, 3] in styles a and b, labels i64 [13]); -1: nobody there."""
    rng = np.random.default_rng([SEED, index])
    slots, background = random_slots(rng)
    pair = [draw(slots, background, style, [SEED, index, 1]) for style in "ab"]
    if rng.random() < 0.2:
        quality = int(rng.integers(35, 90))
        pair = [recompressed(p, quality) for p in pair]
    labels = [background]
    for what in slots:
        labels += [0, -1, -1, -1] if what is None else [1, *what]
    return np.stack(pair), np.array(labels)


def drawings(work):
    """All drawings and labels, kept in the work folder between runs."""
    path = pathlib.Path(work) / "judge_drawings.npz"
    if not path.exists():
        made = [make_drawing(i) for i in range(DRAWINGS)]
        np.savez(path, pictures=np.stack([m[0] for m in made]),
                 labels=np.stack([m[1] for m in made]))
    kept = np.load(path)
    return torch.from_numpy(kept["pictures"]), torch.from_numpy(kept["labels"])


# ---- what a picture may suffer -------------------------------------------------------------------


def blurred(x, sigma):
    taps = torch.exp(-0.5 * (torch.arange(-3, 4) / sigma) ** 2)
    kernel = (taps / taps.sum()).repeat(3, 1, 1, 1)
    x = F.conv2d(F.pad(x, (3, 3, 0, 0), "replicate"), kernel, groups=3)
    return F.conv2d(F.pad(x, (0, 0, 3, 3), "replicate"), kernel.transpose(2, 3), groups=3)


def suffered(x, rng):
    """Mild corruption of f32 [n, 3, side, side] in -1 .. 1: one kind for the batch."""
    kind, side = rng.integers(4), x.shape[-1]
    if kind == 1:
        x = blurred(x, rng.uniform(0.4, 1.4))
    elif kind == 2:  # soft as a small autoencoder is: details smaller than some pixels are gone
        small = F.interpolate(x, scale_factor=rng.uniform(0.45, 0.8), mode="area")
        x = F.interpolate(small, size=(side, side), mode="bicubic", align_corners=False)
    if rng.random() < 0.5:
        n = x.shape[0]
        coarse = torch.randn(n, 3, side // 4, side // 4) * rng.uniform(0, 0.06)
        x = x + F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
        x = x + torch.randn_like(x) * rng.uniform(0, 0.07)
    x = x * (1 + 0.06 * torch.randn(x.shape[0], 3, 1, 1)) + 0.04 * torch.randn(x.shape[0], 3, 1, 1)
    dx, dy = (int(v) for v in rng.integers(-4, 5, 2))
    x = F.pad(x, (4, 4, 4, 4), "replicate")[:, :, 4 + dy:4 + dy + side, 4 + dx:4 + dx + side]
    return x.clamp(-1, 1)


def mirrored(x, labels):
    places = labels[:, 1:].reshape(-1, 3, 4).flip(1).reshape(-1, 12)
    return x.flip(3), torch.cat([labels[:, :1], places], dim=1)


# ---- the network ---------------------------------------------------------------------------------


class Judge(torch.nn.Module):
    """Four convolutions to 16 x 16; one small network looks at each place, one at the whole."""

    def __init__(self):
        super().__init__()
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(i, o, 3, s, 1) for i, o, s in zip(WIDTHS, WIDTHS[1:], STRIDES))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(o) for o in WIDTHS[1:])
        self.narrow = torch.nn.Conv2d(WIDTHS[-1], NARROW, 1)
        self.hidden = torch.nn.Linear(NARROW * (ROWS[1] - ROWS[0]) * COLUMNS, HIDDEN)
        self.place = torch.nn.Linear(HIDDEN, sum(PARTS))
        self.whole = torch.nn.Linear(2 * WIDTHS[-1], BACKGROUNDS + 1)

    def forward(self, x):
        """(per place [n, 3, 16], background [n, 4], style [n]) of pictures in -1 .. 1."""
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        narrow = F.relu(self.narrow(x))[:, :, ROWS[0]:ROWS[1]]
        windows = torch.stack([narrow[:, :, :, w:w + COLUMNS] for w in WINDOWS], dim=1)
        said = self.place(F.relu(self.hidden(windows.flatten(2))))
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        whole = self.whole(pooled)
        return said, whole[:, :BACKGROUNDS], whole[:, BACKGROUNDS]

    def tensors(self):
        """{name: f32 tensor} with the normalisation folded into the convolutions."""
        out = {}
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            out[f"conv{i}.weight"] = conv.weight * gain[:, None, None, None]
            out[f"conv{i}.bias"] = (conv.bias - norm.running_mean) * gain + norm.bias
        out["narrow.weight"] = self.narrow.weight.flatten(1)
        out["narrow.bias"] = self.narrow.bias
        for name in ("hidden", "place", "whole"):
            out[f"{name}.weight"] = getattr(self, name).weight
            out[f"{name}.bias"] = getattr(self, name).bias
        return {name: t.detach().clone() for name, t in out.items()}


def loss_of(judge, x, labels, style):
    said, background, shade = judge(x)
    loss = F.cross_entropy(background, labels[:, 0]) + 4 * F.mse_loss(shade, style)
    places = labels[:, 1:].reshape(-1, 3, 4)
    loss = loss + F.binary_cross_entropy_with_logits(said[..., 0], places[..., 0].float())
    at = 1
    for i, size in enumerate(PARTS[1:]):
        loss = loss + F.cross_entropy(said[..., at:at + size].reshape(-1, size),
                                      places[..., i + 1].flatten(), ignore_index=-1)
        at += size
    return loss


def batch(pictures, labels, rng):
    """Random drawings, each in style a, in style b or between, as a tensor in -1 .. 1."""
    rows = torch.from_numpy(rng.integers(0, len(pictures), BATCH))
    pure = torch.from_numpy((rng.random(BATCH) < 0.5).astype(np.float32))
    style = torch.from_numpy(np.where(rng.random(BATCH) < 0.7, pure, rng.random(BATCH))).float()
    pair = pictures[rows].float().permute(0, 1, 4, 2, 3) / 127.5 - 1
    x = torch.lerp(pair[:, 0], pair[:, 1], style[:, None, None, None])
    x, told = suffered(x, rng), labels[rows]
    return (*(mirrored(x, told) if rng.random() < 0.5 else (x, told)), style)


def train(args):
    pictures, labels = drawings(args.work)
    torch.manual_seed(SEED)
    judge = Judge().train()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=args.steps)
    mean = 0.0
    for step in range(args.steps):
        loss = loss_of(judge, *batch(pictures, labels, np.random.default_rng([SEED, 2, step])))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = float(loss.detach()) if step == 0 else 0.99 * mean + 0.01 * float(loss.detach())
        if step % 50 == 49:
            print(step + 1, round(mean, 4), flush=True)
    tensors = {n: t.half() for n, t in judge.eval().tensors().items()}
    save_file(tensors, args.out, metadata={"format": "pt", "made by": "train_judge.py",
                                           "seed": str(SEED), "steps": str(args.steps)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--work", default=".", help="where the drawings are kept")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(args)


if __name__ == "__main__":
    main()
