r"""Writes tests/golden/taesd.safetensors: what diffusers' AutoencoderTiny makes of a latent.

A developer's tool, run by hand once; neither the build nor a test needs it.

    python tools/golden/make_taesd.py tests/golden/taesd.safetensors

Needs torch, diffusers (0.39 was used), safetensors.  Weights are those of tests/model/taesd_file.c,
so that the file holds a latent and its picture alone: computed in f64, stored as f32, channels last.
"""
import math
import sys

import numpy as np
import torch
from diffusers import AutoencoderTiny
from safetensors.numpy import save_file

WIDTH, H, W = 16, 3, 4


def numbers(seed, count):
    out = np.empty(count)
    for i in range(count):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = (seed >> 8) * 2.0**-23 - 1
    return out


def gain_of(name):
    if name.endswith("conv.4.weight"):
        return 0.3
    if name in ("layers.6.weight", "layers.11.weight", "layers.16.weight"):
        return 0.6
    return 0.2 if name == "layers.18.weight" else 1.0


def fill(decoder):
    for i, (name, p) in enumerate(decoder.named_parameters()):
        scale, middle = 0.1, 0.5 if name == "layers.18.bias" else 0.0
        if name.endswith("weight"):
            scale = gain_of(name) * math.sqrt(6.0 / (9 * p.shape[1]))
        values = (numbers(i + 1, p.numel()) * scale + middle).astype(np.float32)
        p.data = torch.from_numpy(values.astype(np.float64)).reshape(p.shape)


def main():
    model = AutoencoderTiny(encoder_block_out_channels=(WIDTH,) * 4,
                            decoder_block_out_channels=(WIDTH,) * 4)
    model = model.double().eval().requires_grad_(False)
    fill(model.decoder)
    latent = np.random.default_rng(7).standard_normal((1, 4, H, W)).astype(np.float32) * 2
    image = model.decode(torch.from_numpy(latent).double()).sample.numpy()
    print("picture from", image.min(), "to", image.max())
    save_file({
        "latent": np.ascontiguousarray(latent[0].transpose(1, 2, 0)),
        "image": np.ascontiguousarray(image[0].transpose(1, 2, 0).astype(np.float32)),
    }, sys.argv[1])


main()
