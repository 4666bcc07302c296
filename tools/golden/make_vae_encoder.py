r"""Writes tests/golden/vae_encoder.safetensors: what PyTorch's VAE encoder computes for a tiny expert.

A developer's tool, run by hand once; neither the build nor a test needs it.

    refinery synth --arch tiny --seed 7 --dtype f32 tiny7.safetensors
    python tools/golden/make_vae_encoder.py tiny7.safetensors tests/golden

Needs torch, diffusers and safetensors.  Pictures are random bytes, which the encoder gets as
2 * byte / 255 - 1; computed in f64, stored as f32, channels-last:

    CASE.pixels   [1, H, W, 3] what the encoder gets
    CASE.moments  [1, h, w, 8] the mean of every latent, then the logarithm of its variance
    CASE.LAYER    [1, ., ., c] after that part of the encoder (case "small" alone)
"""
import argparse
import hashlib
import pathlib

import numpy as np
import safetensors.numpy
import torch

import sdxl_modules as sdxl

CASES = {"small": (16, 24), "wide": (32, 40)}
ROOM = 40_000


def channels_last(tensor):
    return np.ascontiguousarray(tensor.detach().permute(0, 2, 3, 1).numpy().astype(np.float32))


def encode(vae, case, h, w, layers):
    """The tensors of one picture; `layers`: of parts too, those with few elements."""
    pixels = np.random.default_rng(h * 1000 + w).integers(0, 256, (1, h, w, 3))
    x = torch.from_numpy((pixels * 2 / 255 - 1).astype(np.float32)).permute(0, 3, 1, 2)
    out, handles = {f"{case}.pixels": channels_last(x)}, []
    x = x.to(torch.float64)
    encoder = vae.encoder
    last = len(encoder.down_blocks) - 1
    named = {"mid": encoder.mid_block, f"down.{last}": encoder.down_blocks[last]}
    for name, module in named.items() if layers else ():
        def hook(_module, _args, value, name=name):
            out[f"{case}.{name}"] = channels_last(value)
        handles.append(module.register_forward_hook(hook))
    moments = vae.quant_conv(encoder(x))
    out[f"{case}.moments"] = channels_last(moments)
    for handle in handles:
        handle.remove()
    mean = vae.encode(x).latent_dist.mode()
    np.testing.assert_allclose(channels_last(mean), out[f"{case}.moments"][..., :4], rtol=1e-6)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expert", type=pathlib.Path, help="tiny checkpoint of seed 7")
    parser.add_argument("folder", type=pathlib.Path, help="where the file goes")
    args = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation: the same file every time
    vae = sdxl.build_vae(sdxl.read_parts(args.expert)[sdxl.VAE], torch.float64)
    data = {}
    with torch.no_grad():
        for case, (h, w) in CASES.items():
            data |= encode(vae, case, h, w, case == "small")
    path = args.folder / "vae_encoder.safetensors"
    digest = hashlib.sha256(args.expert.read_bytes()).hexdigest()
    safetensors.numpy.save_file(data, path, metadata={"expert_sha256": digest})
    if path.stat().st_size > ROOM:
        raise ValueError(f"{path}: {path.stat().st_size} bytes, more than {ROOM}")
    print(f"{path}: {len(data)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
