"""Writes tests/golden/beta.txt: quantiles of beta distributions by scipy.

Usage: python3 tools/golden/make_beta.py > tests/golden/beta.txt

Each line: a, b, p, x with I_x(a, b) = p.  Made with scipy 1.17.1.
"""
from scipy.stats import beta

SHAPES = ((0.6, 0.6), (0.5, 2.0), (2.0, 3.5), (0.1, 0.1), (10.0, 10.0), (1.0, 1.0))
PARTS = (0, 1e-9, 1e-4, 0.003, 0.02, 0.1, 1 / 3, 0.5, 0.77, 0.95, 0.998, 0.9999, 1)

for a, b in SHAPES:
    for p in PARTS:
        print("%.17g %.17g %.17g %.17g" % (a, b, p, beta.ppf(p, a, b)))
