"""Writes tests/golden/sigmas.txt: every schedule of A1111 v1.10.1, recomputed in its arithmetic.

Usage: python3 tools/golden/make_sigmas.py > tests/golden/sigmas.txt

Needs torch, numpy, scipy (developer's tools; versions are written into the file).  Formulas and
arithmetic: noise_levels.py.  Lines: a label, steps as asked for, then the values as f32 in nine
digits.  Separated by tabs, because labels have spaces; values by spaces.
"""
import numpy as np
import scipy
import torch

import noise_levels as levels

STEPS = (1, 2, 10, 20, 30, 50)
MORE = {"DDIM": (15, 28, 35), "Align Your Steps": (11,), "Simple": (7, 15, 28)}
DISCARD = ("Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal",
           "Align Your Steps", "Simple", "Normal", "Beta")
ENDS = ("Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal", "Normal", "Beta")

HEAD = f"""\
# Schedules of A1111 v1.10.1 as it computes them (torch f32), for SDXL's table; made by
# tools/golden/make_sigmas.py with torch {torch.__version__.split("+")[0]}, numpy {np.__version__},
# scipy {scipy.__version__}.
# label <tab> steps asked for <tab> values.  The final 0 is written; KL Optimal has none in A1111
# (it ends with the smallest sigma), Beta is spread over sigma: both as A1111 has them.
# One step, as A1111 computes it: Align Your Steps is its smallest value, DDIM table entry 1.
# "-discard": one step more asked for, the value before the last left out.  "-rho5": rho = 5.
# "-ends": sigma_min 0.1 and sigma_max 10.  LCM: over the 50-entry table (entries 19, 39, ...).
# "timesteps": of every model call, in order; DDIM CFG++ is as DDIM; UniPC's are f64 of its own
# uniform grid from 999 to 0, one interval per entry of DDIM's list, the last point not given."""


def line(label, steps, values):
    print(label, steps, " ".join("%.9g" % v for v in values), sep="\t")


def main():
    print(HEAD)
    table, lcm = levels.Table(levels.alphas_cumprod()), levels.LcmTable()
    for name in levels.SCHEDULES:
        for steps in sorted(STEPS + MORE.get(name, ())):
            line(name, steps, levels.schedule(name, table, steps))
    for name in DISCARD:
        for steps in (1, 10, 20):
            line(name + " -discard", steps, levels.schedule(name, table, steps, discard=True))
    for name in ("Karras", "Polyexponential"):
        for steps in (2, 20):
            line(name + " -rho5", steps, levels.schedule(name, table, steps, rho=5))
    for name in ENDS:
        for steps in (1, 20):
            line(name + " -ends", steps, levels.schedule(name, table, steps, low=0.1, high=10.0))
    line("LCM table", 50, lcm.sigmas.numpy())
    for name in ("Uniform", "Karras"):
        for steps in (1, 4, 8, 20):
            line("LCM " + name, steps, levels.schedule(name, lcm, steps))
    for steps in (5, 10, 20, 30, 60):
        calls = levels.timestep_list(steps)[:0:-1]
        line("DDIM timesteps", steps, calls)
        line("PLMS timesteps", steps, calls[:1] + (calls + [1])[1:2] + calls[1:])
        count = len(calls) + 1
        line("UniPC timesteps", steps, (np.linspace(1, 0.001, count + 1)[:-1] - 0.001) * 1000)


main()
