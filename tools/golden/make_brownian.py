"""Writes tests/golden/brownian.txt: torchsde's Brownian paths, numpy's SeedSequence, round(x, 6).

Usage: python3 tools/golden/make_brownian.py > tests/golden/brownian.txt

Lines:
  words ENTROPY KEY,KEY|- w0 w1 w2 w3    SeedSequence(entropy, spawn_key, pool_size=24)
  round X Y                              hexadecimal floats, Y = round(X, 6)
  path SOURCE SEED T0 T1 FROM TO v...    -(W(FROM) - W(TO)) / sqrt(FROM - TO), shape (4, 2, 2)
The path's source CPU is torchsde as it is; for NV its _randn is replaced by Philox-4x32-10.
Made with torchsde 0.2.6, torch 2.13.0, numpy 2.4.6.
"""
import math
import random

import numpy as np
import torch
import torchsde
from torchsde._brownian import brownian_interval

from noise_nv import normal

SHAPE = (4, 2, 2)
torch_randn = brownian_interval._randn


def nv_randn(size, dtype, device, seed):
    values = [normal(int(seed), 0, e) for e in range(math.prod(size))]
    return torch.tensor(values, dtype=dtype, device=device).reshape(size)


def words():
    keys = [None, (0, 0), (1, 3), (5, 2**31), (2**32 + 7, 40)]
    for entropy in (0, 1234, 2**32 - 1, 2**32, 2**64 - 1):
        for key in keys:
            sequence = np.random.SeedSequence(entropy, spawn_key=key or (), pool_size=24)
            text = ",".join(map(str, key)) if key else "-"
            print("words", entropy, text, *sequence.generate_state(4))


def rounded():
    rng = random.Random(1)
    values = [0.0, 14.614643096923828, 0.029167533, 5e-7, 1.5e-6, 2.5e-6, 1e-9, 123456.7890125]
    values += [k / 128 for k in (1, 3, 5, 7, 129, 131)]  # exact ties
    values += [rng.uniform(0, 15) for _ in range(20)]
    values += [(rng.randrange(30_000_000) + 0.5) / 1e6 for _ in range(40)]  # nearly ties
    values += [(round(rng.uniform(0, 15), 6) + round(rng.uniform(0, 15), 6)) / 2 for _ in range(40)]
    for x in values:
        print("round", x.hex(), round(x, 6).hex())


def paths(source, randn):
    brownian_interval._randn = randn
    karras = (14.6146, 11.7254, 9.3402, 4.796544, 1.0908, .2730, .0485, .0292)
    cases = [(14.614643, 0.029167533, a, b) for a, b in zip(karras, karras[1:])]
    cases += [(14.614643, 0.029167533, 14.614643, 4.796544),
              (14.614643, 0.029167533, 14.614643, 0.029167533),
              (14.614643, 0.029167533, 20.0, 0.01), (3.0, 0.5, 1.75, 1.749999),
              (3.0, 0.5, 1.75, 1.125), (3.0, 0.5, 2.0, 1.7)]
    for seed in (1234, 2**40 + 3):
        for t1, t0, first, second in cases:
            tree = torchsde.BrownianTree(t0, torch.zeros(SHAPE), t1, entropy=seed)
            low, high = max(second, t0), min(first, t1)
            times = torch.tensor([low, high], dtype=torch.float64)
            values = (-tree(*times) / math.sqrt(first - second)).flatten().tolist()
            print("path", source, seed, t0, t1, first, second, *("%.9g" % v for v in values))


def main():
    words()
    rounded()
    paths("CPU", torch_randn)
    paths("NV", nv_randn)


main()
