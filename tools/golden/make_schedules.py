"""Writes tests/golden/schedules.txt: SDXL's noise table and schedules, recomputed with numpy and
scipy, in f64.  (sigmas.txt has every schedule as A1111 computes it, in f32.)

Usage: python3 tools/golden/make_schedules.py > tests/golden/schedules.txt

Written from the formulas (Karras et al. 2022; the scaled-linear betas of SDXL), not from the C
code: vectorised, numpy's interpolation instead of a search.  Values are f32, printed with nine
digits, which identify an f32.  Made with numpy 2.4.6, scipy 1.17.1.
"""
import numpy as np
import scipy.stats

STEPS = (1, 2, 3, 7, 10, 20, 30, 50, 200)


def noise_table():
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    a = np.cumprod(1.0 - betas).astype(np.float32)
    return np.sqrt((np.float32(1) - a) / a)


def karras(table, steps):
    ends = table[[-1, 0]].astype(np.float64) ** (1 / 7)
    return np.linspace(ends[0], ends[1], steps) ** 7


def uniform(table, steps):
    t = np.linspace(999.0, 0.0, steps)
    return np.exp(np.interp(t, np.arange(1000), np.log(table.astype(np.float64))))


def beta(table, steps):
    """Quantiles as a fraction of the timesteps: the repaired schedule."""
    t = 999 * scipy.stats.beta.ppf(np.linspace(1, 0, steps), 0.6, 0.6)
    return np.exp(np.interp(t, np.arange(1000), np.log(table.astype(np.float64))))


def timesteps(table, sigmas):
    logs = np.log(table.astype(np.float64))
    t = np.interp(np.log(sigmas.astype(np.float64)), logs, np.arange(1000))
    return t.astype(np.float16)


def line(kind, steps, values):
    print(kind, steps, *("%.9g" % v for v in values))


def main():
    table = noise_table()
    line("table", len(table), table)
    for steps in STEPS:
        for name, schedule in (("Karras", karras), ("Uniform", uniform)):
            sigmas = schedule(table, steps).astype(np.float32)
            line(name, steps, sigmas)
            line(name + "-timesteps", steps, timesteps(table, sigmas))
    for steps in STEPS[:-1]:
        line("Beta", steps, beta(table, steps).astype(np.float32))


main()
