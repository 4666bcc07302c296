"""SDXL's noise table and A1111's schedules over it, in the arithmetic A1111 has: torch f32 (numpy
or scipy f64 where it uses those), values rounded to f32 last.  For make_sigmas.py and
make_trajectories.py; written from the formulas (Karras et al. 2022; Sabour et al. 2024, "Align Your
Steps"; the list of schedules of A1111 v1.10.1), not from the C code.
"""
import math

import numpy as np
import scipy.stats
import torch

F32 = torch.float32
AYS = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]


def alphas_cumprod():
    """[1000] f32: what is left of the picture after each training step."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    return np.cumprod(1.0 - betas).astype(np.float32)


class Table:
    """The noise levels a model was trained on, ascending, and its way between index and sigma."""

    def __init__(self, keep):
        keep = torch.from_numpy(np.ascontiguousarray(keep, dtype=np.float32))
        self.sigmas = ((1 - keep) / keep) ** 0.5
        self.logs = self.sigmas.log()
        self.low, self.high = self.sigmas[0].item(), self.sigmas[-1].item()

    def sigma(self, t):
        """Linear in ln sigma between entries; t fractional."""
        t = torch.as_tensor(t, dtype=F32)
        below, above, part = t.floor().long(), t.ceil().long(), t - t.floor()
        return ((1 - part) * self.logs[below] + part * self.logs[above]).exp()

    def t(self, sigma):
        """The inverse, clamped to the ends."""
        log = torch.as_tensor(sigma, dtype=F32).log()
        count = (log[..., None] >= self.logs).sum(-1)
        below = (count - 1).clamp(0, len(self.logs) - 2)
        first, second = self.logs[below], self.logs[below + 1]
        part = ((first - log) / (first - second)).clamp(0, 1)
        return (1 - part) * below + part * (below + 1)


class LcmTable(Table):
    """Every twentieth level, from 19; t keeps the numbers of the large table and is always that of
    an entry, the nearest in ln sigma."""

    def __init__(self):
        super().__init__(alphas_cumprod()[19::20])

    def sigma(self, t):
        return super().sigma(((torch.as_tensor(t, dtype=F32) - 19) / 20).clamp(0, 49))

    def t(self, sigma):
        log = torch.as_tensor(sigma, dtype=F32).log()
        return (log[..., None] - self.logs).abs().argmin(-1) * 20 + 19


def ramp(first, last, n):
    return torch.linspace(float(first), float(last), n, dtype=F32)


def uniform(table, n, low, high, rho):
    return table.sigma(ramp(table.t(table.sigmas[-1]), table.t(table.sigmas[0]), n))


def karras(table, n, low, high, rho):
    first, last = high ** (1 / (rho or 7)), low ** (1 / (rho or 7))
    return (first + ramp(0, 1, n) * (last - first)) ** (rho or 7)


def exponential(table, n, low, high, rho):
    return ramp(math.log(high), math.log(low), n).exp()


def polyexponential(table, n, low, high, rho):
    return (ramp(1, 0, n) ** (rho or 1) * (math.log(high) - math.log(low)) + math.log(low)).exp()


def sgm_uniform(table, n, low, high, rho):
    return table.sigma(ramp(table.t(high), table.t(low), n + 1)[:-1])


def kl_optimal(table, n, low, high, rho):
    part = torch.arange(n + 1) / n
    low, high = torch.tensor(low).arctan(), torch.tensor(high).arctan()
    return torch.tan(part * low + (1 - part) * high)


def align_your_steps(table, n, low, high, rho):
    """Spread over n from the small end, so that n = 1 is the smallest value."""
    if n == len(AYS):
        return torch.tensor(AYS)
    have, want = np.linspace(0, 1, len(AYS)), np.linspace(0, 1, n)
    return torch.from_numpy(np.exp(np.interp(want, have, np.log(AYS[::-1])))[::-1].copy())


def simple(table, n, low, high, rho):
    return torch.stack([table.sigmas[len(table.sigmas) - 1 - int(i * (len(table.sigmas) / n))]
                        for i in range(n)])


def normal(table, n, low, high, rho):
    return table.sigma(ramp(table.t(high), table.t(low), n))


def ddim(table, n, low, high, rho):
    return table.sigmas[1::max(len(table.sigmas) // n, 1)].flip(0)


def beta(table, n, low, high, rho):
    part = scipy.stats.beta.ppf(1 - np.linspace(0, 1, n), 0.6, 0.6)
    return torch.from_numpy(low + part * (high - low))


SCHEDULES = {"Uniform": uniform, "Karras": karras, "Exponential": exponential,
             "Polyexponential": polyexponential, "SGM Uniform": sgm_uniform,
             "KL Optimal": kl_optimal, "Align Your Steps": align_your_steps, "Simple": simple,
             "Normal": normal, "DDIM": ddim, "Beta": beta}


def schedule(name, table, steps, low=None, high=None, rho=None, discard=False):
    """f32 numpy array, ending with 0 (KL Optimal: with the smallest sigma, as in A1111)."""
    made = SCHEDULES[name](table, steps + discard, low or table.low, high or table.high, rho)
    made = made.to(F32)
    if name != "KL Optimal":
        made = torch.cat([made, torch.zeros(1)])
    return (torch.cat([made[:-2], made[-1:]]) if discard else made).numpy()


def timestep_list(steps):
    """The indices of A1111's timestep samplers, ascending; they never evaluate the first one."""
    stride = 1000 // steps
    return [min(i + 1, 999) for i in range(0, 1000, stride)]
