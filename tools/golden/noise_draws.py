"""The noise of the golden trajectories: A1111's source NV, and a Brownian path drawn from it.

Philox-4x32-10 (Salmon et al. 2011) and torchsde's Brownian interval (Kidger et al. 2021), restated
in numpy for make_trajectories.py; not from the C code.  Everything in f64, rounded to f32 once.
"""
import functools

import numpy as np

ANGLE = np.float64(np.float32(2 * np.pi / 2**32))
LOW = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Ten rounds over four arrays of words (uint64 that hold 32 bits)."""
    for r in range(10):
        k0, k1 = np.uint64(key[0] + r * 0x9E3779B9 & 0xFFFFFFFF), np.uint64(
            key[1] + r * 0xBB67AE85 & 0xFFFFFFFF)
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        counter = ((b >> np.uint64(32)) ^ counter[1] ^ k0, b & LOW,
                   (a >> np.uint64(32)) ^ counter[3] ^ k1, a & LOW)
    return counter


def draw(seed, index, n):
    """[n] f32: draw number `index` of a generator seeded `seed`; element e is counter word 2."""
    seed = int(seed)
    zero = np.zeros(n, np.uint64)
    g = philox((zero + np.uint64(index), zero, np.arange(n, dtype=np.uint64), zero),
               (seed & 0xFFFFFFFF, seed >> 32))
    radius = np.sqrt(-2 * np.log(g[0].astype(np.float64) / 2**32 + 2.0**-33))
    return (radius * np.sin(g[1].astype(np.float64) * ANGLE + ANGLE / 2)).astype(np.float32)


class Brownian:
    """One path over [t0, t1], by bisection; times are rounded to six decimals."""

    def __init__(self, seed, t0, t1, n):
        self.seed, self.n = seed, n
        self.t0, self.t1 = round(float(t0), 6), round(float(t1), 6)
        first = np.random.SeedSequence(entropy=seed, pool_size=24).generate_state(3)[0]
        self.total = self.normal(first) * np.sqrt(float(t1) - float(t0))

    def normal(self, seed):
        return draw(seed, 0, self.n).astype(np.float64)

    @functools.cache
    def half(self, key, depth):
        """The normal that splits interval number `key` of that depth."""
        sequence = np.random.SeedSequence(entropy=self.seed, spawn_key=(key, depth), pool_size=24)
        return self.normal(sequence.generate_state(4)[0])

    def at(self, t):
        t = min(max(round(float(t), 6), self.t0), self.t1)
        a, b, key, depth, w, before = self.t0, self.t1, 0, 0, self.total, np.zeros(self.n)
        while t > a:
            if t >= b:
                return before + w
            m = round((a + b) / 2, 6)
            spread = np.sqrt((m - a) * (b - m) / (b - a))
            left = (m - a) / (b - a) * w + spread * self.half(key, depth)
            if t <= m:
                w, b, key = left, m, 2 * key
            else:
                before, w, a, key = before + left, w - left, m, 2 * key + 1
            depth += 1
        return before

    def noise(self, first, second):
        """[n] f32 standard normal of the step from noise level `first` down to `second`."""
        scale = np.sqrt(np.float64(first) - np.float64(second))
        return (-(self.at(first) - self.at(second)) / scale).astype(np.float32)
