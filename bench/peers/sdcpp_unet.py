"""What stable-diffusion.cpp's CPU path gives: UNet and VAE decode of a full-size SDXL checkpoint.

    python bench/peers/sdcpp_unet.py path/to/sd-cli checkpoint.safetensors --size 512

The program is built by whoever runs this (Release, native CPU, OpenMP).  CFG 1 is one UNet forward
a step; two steps, because the first one also reads the weights.  Prints the second step, the VAE
decode, GFLOP/s by the counts below, peak memory and how much of the cores it held: well under
100 % means that something else was running and the figure says nothing.  Needs 9 GB at 512.
"""
import argparse
import os
import re
import resource
import subprocess
import tempfile
import time

# TFLOP of one batch-1 forward with one 77-token chunk, and of one decode; as in pytorch_unet.py.
TFLOP = {256: (0.428, 0.622), 512: (1.589, 2.515), 1024: (6.761, 10.470)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("checkpoint")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512, choices=sorted(TFLOP))
    parser.add_argument("more", nargs="*", help="passed on, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [args.program, "-m", args.checkpoint, "-p", "a cat on a bench", "-s", "1", "-v",
                   "-W", str(args.size), "-H", str(args.size), "--steps", "2", "--cfg-scale", "1",
                   "-t", str(args.threads), "-o", f"{folder}/out.png", *args.more]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        wall = time.perf_counter() - start
    log = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(f"{log[-2000:]}\n{args.program} ended with {done.returncode}")
    text = float(re.search(r"get_learned_condition completed, taking ([\d.]+)", log)[1])
    rate, unit = re.findall(r"2/2 - ([\d.]+)(s/it|it/s)", log)[-1]
    step = float(rate) if unit == "s/it" else 1 / float(rate)
    sampling = float(re.search(r"sampling completed, taking ([\d.]+)", log)[1])
    decode = float(re.search(r"decode_first_stage completed, taking ([\d.]+)", log)[1])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    share = (used.ru_utime + used.ru_stime) / (wall * args.threads)
    unet_tflop, vae_tflop = TFLOP[args.size]
    print(f"stable-diffusion.cpp, {args.threads} threads, {args.size}x{args.size}, batch 1\n"
          f"text encoders: {text:.3g} s\n"
          f"UNet forward: {step:.4g} s, {1000 * unet_tflop / step:.0f} GFLOP/s "
          f"(second step; both {sampling:.4g} s with reading)\n"
          f"VAE decode: {decode:.4g} s, {1000 * vae_tflop / decode:.0f} GFLOP/s\n"
          f"peak memory {used.ru_maxrss / 1e6:.2f} GB, load {os.getloadavg()[0]:.2f}, "
          f"cores held {share:.0%}")


if __name__ == "__main__":
    main()
