"""What the experts and the judge are examined on: scenes that neither of them was trained on.

    python ground_truth.py prompts OUT.txt             every held-out scene and a prompt for it
    python ground_truth.py drawings COUNT STEM         STEM.txt, and STEM-a.png and STEM-b.png
    python ground_truth.py decoded WORK STEM OUT       the sheets through the VAE trained at WORK:
                                                       no picture can be better than these

A line of the texts: kind, colour, accessory, place (or "two"), background; a tab; the content tags.
"""
import argparse
import pathlib
import sys

import numpy as np
from PIL import Image

import captions
import world

SEED, COLUMNS = 47, 16


def held_out():
    """All held-out scenes in a seeded order, so that any first few are a fair sample."""
    scenes = [s for s in world.all_scenes() if s.held_out]
    return [scenes[i] for i in np.random.default_rng(SEED).permutation(len(scenes))]


def line(scene, number):
    tags = list(captions.content_tags(scene).values())
    order = np.random.default_rng([SEED, number]).permutation(len(tags))
    names = (scene.kind, scene.colour, scene.accessory or "none", scene.place or "two",
             scene.background)
    return " ".join(names) + "\t" + ", ".join(tags[i] for i in order) + "\n"


def write_list(path, scenes, what):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"# {what}, by tools/demo-experts/ground_truth.py\n")
        out.writelines(line(s, i) for i, s in enumerate(scenes))


def write_drawings(count, stem):
    scenes = (held_out() * (count // len(held_out()) + 1))[:count]
    write_list(stem + ".txt", scenes, "scenes that nothing was trained on, drawn in two sheets")
    for style in "ab":
        sheet = np.zeros((-(-count // COLUMNS) * world.SIDE, COLUMNS * world.SIDE, 3), np.uint8)
        for i, scene in enumerate(scenes):
            y, x = i // COLUMNS * world.SIDE, i % COLUMNS * world.SIDE
            rng = np.random.default_rng([SEED, "ab".index(style), i])
            sheet[y:y + world.SIDE, x:x + world.SIDE] = world.draw(scene, style, rng)
        Image.fromarray(sheet).save(f"{stem}-{style}.png", optimize=True)


def decoded(vae, sheet):
    """The sheet's drawings encoded and decoded, a row at a time."""
    import torch  # only here: drawings need none of it

    made = np.zeros_like(sheet)
    for y in range(0, sheet.shape[0], world.SIDE):
        row = sheet[y:y + world.SIDE].reshape(world.SIDE, -1, world.SIDE, 3).transpose(1, 3, 0, 2)
        with torch.no_grad():
            x = torch.from_numpy(row.astype(np.float32) / 127.5 - 1)
            x = vae.decode(vae.encode(x).latent_dist.mean).sample
        row = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().numpy().transpose(2, 0, 3, 1)
        made[y:y + world.SIDE] = row.reshape(world.SIDE, -1, 3)
    return made


def write_decoded(work, stem, out):
    import train

    if (pathlib.Path(work) / "decoder.pt").exists():
        vae = train.finished_vae(argparse.Namespace(work=work, seed=train.SEED))
    else:
        vae = train.averaged("vae", work, train.new_vae(train.SEED))
    for style in "ab":
        sheet = np.asarray(Image.open(f"{stem}-{style}.png"))
        Image.fromarray(decoded(vae.eval(), sheet)).save(f"{out}-{style}.png")


def main():
    if sys.argv[1:2] == ["prompts"] and len(sys.argv) == 3:
        write_list(sys.argv[2], held_out(), "every scene that no expert was trained on")
    elif sys.argv[1:2] == ["drawings"] and len(sys.argv) == 4:
        write_drawings(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == ["decoded"] and len(sys.argv) == 5:
        write_decoded(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
