"""A1111's noise source NV, recomputed with plain integers: Philox-4x32-10 as published (Salmon et
al. 2011), one block per element."""
import math
import struct

MASK = 0xFFFFFFFF
ANGLE = struct.unpack("<f", struct.pack("<f", 2 * math.pi / 2**32))[0]


def philox(counter, key):
    for r in range(10):
        k = [(key[0] + r * 0x9E3779B9) & MASK, (key[1] + r * 0xBB67AE85) & MASK]
        a, b = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [(b >> 32) ^ counter[1] ^ k[0], b & MASK, (a >> 32) ^ counter[3] ^ k[1], a & MASK]
    return counter


def normal(seed, draw, element):
    g = philox([draw, 0, element, 0], [seed & MASK, seed >> 32])
    radius = math.sqrt(-2 * math.log((g[0] + 0.5) / 2**32))
    return radius * math.sin(g[1] * ANGLE + ANGLE / 2)
