"""Writes tests/golden/noise_cpu.txt: draws of torch.randn with a CPU generator.

Usage: python3 tools/golden/make_noise_cpu.py > tests/golden/noise_cpu.txt

Each line: seed, channels, height, width, draw, first element, then values as f32 in nine digits.
Sizes 1 .. 40 reach both of ATen's ways (below sixteen, and sixteen or more with and without a
rest); draws follow each other from one generator.  Made with torch 2.13.0 on a CPU with AVX2.
"""
import torch


def line(seed, shape, draw, first, values):
    print(seed, *shape, draw, first, *("%.9g" % v for v in values.tolist()))


def draws(seed, shape, count):
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(shape, generator=generator).flatten() for _ in range(count)]


def main():
    for n in range(1, 41):
        for d, values in enumerate(draws(42 + n, (1, 1, n), 3)):
            line(42 + n, (1, 1, n), d, 0, values)
    for seed in (0, 42, 4294967295):
        for d, values in enumerate(draws(seed, (4, 8, 8), 3)):
            line(seed, (4, 8, 8), d, 0, values[:32])
            line(seed, (4, 8, 8), d, 224, values[224:])
    for d, values in enumerate(draws(42, (4, 128, 128), 4)):
        line(42, (4, 128, 128), d, 65504, values[65504:])
    for d, values in enumerate(draws(7, (4, 5, 7), 3)):
        line(7, (4, 5, 7), d, 108, values[108:])


main()
