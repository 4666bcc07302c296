"""Writes tests/golden/noise.txt: draws of the NV noise source, recomputed with plain integers.

Usage: python3 tools/golden/make_noise.py > tests/golden/noise.txt

Philox-4x32-10 as published (Salmon et al. 2011), one block per element.  Each line: seed, draw,
first element, then the f32 bit patterns of COUNT elements.  Made with Python 3.11, glibc 2.36.
"""
import struct

from noise_nv import normal

COUNT = 64


def main():
    for seed in (0, 1, 42, 4294967295, 1234567890123, 2**64 - 1):
        for draw, first in ((0, 0), (1, 0), (29, 0), (0, 65536 - COUNT)):
            values = [normal(seed, draw, e) for e in range(first, first + COUNT)]
            bits = [struct.unpack("<I", struct.pack("<f", v))[0] for v in values]
            print(seed, draw, first, *("%08x" % b for b in bits))


main()
