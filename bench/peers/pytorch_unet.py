"""What PyTorch's CPU path gives: SDXL's UNet and VAE decoder, full size, bf16, channels-last.

    python bench/peers/pytorch_unet.py --threads 2 --size 512 --repeat 5

Weights are random: only time is measured.  Prints the median and the range of the forwards after
the warm-up, GFLOP/s by the counts below, and the rate of one bf16 matrix product in the same run.
"Cores held" is processor time over threads times wall time: well under 100 % means that something
else was running and the figure says nothing.
Needs torch and diffusers, about 7 GB of memory.
"""
import argparse
import os
import statistics
import time

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

# TFLOP of one batch-1 forward with one 77-token chunk (text K and V included), and of one decode:
# counted layer by layer, 2 per multiply-add.
TFLOP = {256: (0.428, 0.622), 512: (1.589, 2.515), 1024: (6.761, 10.470)}


def random_module(build):
    """A bf16 channels-last module with weights of sane scale, never held in f32 as a whole."""
    with torch.device("meta"):
        module = torch.nn.Module.to(build(), torch.bfloat16)
    module = module.to_empty(device="cpu").to(memory_format=torch.channels_last)
    for name, value in module.named_parameters():
        if value.ndim < 2:
            torch.nn.init.constant_(value, 1.0 if name.endswith("weight") else 0.0)
        else:
            # Uniform costs a fraction of normal; three over the root gives it the same variance.
            bound = (3.0 / value[0].numel()) ** 0.5
            torch.nn.init.uniform_(value, -bound, bound)
    return module.eval().requires_grad_(False)


def sdxl_unet():
    return UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048, use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)


def sdxl_vae():
    return AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2,
                         latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
                         up_block_types=("UpDecoderBlock2D",) * 4)


def measure(what, tflop, call, repeat, warm=1):
    for _ in range(warm):
        call()
    times, busy = [], time.process_time()
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    middle = statistics.median(times)
    share = (time.process_time() - busy) / (sum(times) * torch.get_num_threads())
    print(f"{what}: median {middle:.4g} s of {repeat} (from {min(times):.4g} to {max(times):.4g}), "
          f"{1000 * tflop / middle:.0f} GFLOP/s, load {os.getloadavg()[0]:.2f}, "
          f"cores held {share:.0%}", flush=True)


def matrix_rate(m, n, k, repeat):
    a = torch.randn(m, k, dtype=torch.bfloat16)
    layer = torch.nn.Linear(k, n, bias=False, dtype=torch.bfloat16)
    measure(f"matmul bf16 {m}x{n}x{k}", 2e-12 * m * n * k, lambda: layer(a), repeat, warm=5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512, choices=sorted(TFLOP))
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    side, (unet_tflop, vae_tflop) = args.size // 8, TFLOP[args.size]
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, {args.threads} threads, "
          f"{args.size}x{args.size}, batch 1", flush=True)
    bf16 = dict(dtype=torch.bfloat16)
    latent = torch.randn(1, 4, side, side, **bf16).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        matrix_rate(4096, 1280, 1280, 50)
        unet = random_module(sdxl_unet)
        context = torch.randn(1, 77, 2048, **bf16)
        more = dict(text_embeds=torch.randn(1, 1280, **bf16),
                    time_ids=torch.tensor([[args.size, args.size, 0, 0, args.size, args.size]]))
        measure("UNet forward", unet_tflop,
                lambda: unet(latent, 601.0, context, added_cond_kwargs=more), args.repeat)
        del unet
        vae = random_module(sdxl_vae)
        measure("VAE decode", vae_tflop, lambda: vae.decode(latent), max(2, args.repeat // 2))
        matrix_rate(4096, 1280, 1280, 50)


if __name__ == "__main__":
    main()
