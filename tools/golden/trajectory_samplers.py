"""Samplers that k-diffusion lacks, as A1111 v1.10.1 runs them; a plain numpy restatement in f64 for
make_trajectories.py.  Not from the C code.

LCM: Luo et al. 2023; Restart: Xu et al. 2023 (Heun, the segment A1111 chooses); DDIM: Song et al.
2020; DDIM CFG++: Chung et al. 2024; PLMS: Liu et al. 2022; UniPC (B(h) = h, order 3): Zhao et al.
2023.  The last four walk in VP space: x_vp = x / sqrt(1 + sigma^2) = sqrt(a) x0 + sqrt(1 - a)
noise, with a of alphas_cumprod.

`run` gives each what it needs: run.x0(x, sigma, timestep) asks the model in sigma space (guided
x0), run.uncond is the negative prompt's x0 of that call, run.draw() is the next draw.
"""
import numpy as np

import noise_levels as levels


def lcm(run, x, sigmas):
    """x0 with LCM's boundary scaling, then noise again."""
    table = levels.LcmTable()
    for sigma, after in zip(sigmas[:-1], sigmas[1:]):
        t = float(table.t(float(sigma)))
        scaled = 10 * t
        root = np.sqrt(scaled**2 + 0.25)
        x = scaled / root * run.x0(x, sigma, t) + 0.25 / root**2 * x
        if after > 0:
            x = x + after * run.draw()
    return x


def restart_segments(sigmas):
    """The (from, to) pairs of Restart: Karras' grid made shorter, and from the level nearest 0.1
    back to the one nearest 2, once or twice."""
    steps = len(sigmas) - 1
    if steps < 20:
        return list(zip(sigmas[:-1], sigmas[1:]))
    extra, times = (9, 1) if steps < 36 else (steps // 4, 2)

    def grid(n, low, high):
        return levels.karras(None, n, float(low), float(high), 7).numpy()

    main = np.append(grid(steps - extra * times, sigmas[-2], sigmas[0]), np.float32(0))
    low, high = np.abs(main - np.float32(0.1)).argmin(), np.abs(main - np.float32(2)).argmin()
    again = grid(extra + 1, main[low], main[high])
    pairs = list(zip(main[:-1], main[1:]))
    return pairs[:low] + times * list(zip(again[:-1], again[1:])) + pairs[low:]


def restart(run, x, sigmas, s_noise=1.0):
    last = None
    for sigma, after in restart_segments(sigmas):
        sigma, after = float(sigma), float(after)
        if last is not None and last < sigma:
            x = x + s_noise * np.sqrt(sigma**2 - last**2) * run.draw()
        slope = (x - run.x0(x, sigma)) / sigma
        if after > 0:
            there = x + slope * (after - sigma)
            slope = (slope + (there - run.x0(there, after)) / after) / 2
        x, last = x + slope * (after - sigma), after
    return x


class Vp:
    """The model in VP space at a training step: eps out of x0."""

    def __init__(self, run):
        self.run = run
        self.keep = levels.alphas_cumprod().astype(np.float64)

    def eps(self, x, t, x0=None):
        a = self.keep[t]
        if x0 is None:
            x0 = self.run.x0(x / np.sqrt(a), np.sqrt((1 - a) / a), t)
        return (x - np.sqrt(a) * x0) / np.sqrt(1 - a)


def to_sigma_space(x, keep):
    return x / np.sqrt(keep)


def ddim(run, x, steps, eta=0.0, plus=False):
    """Ends at table entry 1, in VP space; (x, sqrt-alpha squared there)."""
    vp, times = Vp(run), levels.timestep_list(steps)
    for t, after in zip(times[:0:-1], times[-2::-1]):
        a, b = vp.keep[t], vp.keep[after]
        eps = vp.eps(x, t)
        spread = eta * np.sqrt((1 - b) / (1 - a) * (1 - a / b))
        x0 = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
        back = vp.eps(x, t, run.uncond) if plus else eps
        x = np.sqrt(b) * x0 + np.sqrt(1 - b - spread**2) * back + spread * run.draw()
    return x, vp.keep[times[0]]


def plms(run, x, steps):
    vp, times, old = Vp(run), levels.timestep_list(steps), []

    def move(eps, t, after):
        a, b = vp.keep[t], vp.keep[after]
        return np.sqrt(b) * (x - np.sqrt(1 - a) * eps) / np.sqrt(a) + np.sqrt(1 - b) * eps

    for t, after in zip(times[:0:-1], times[-2::-1]):
        eps = vp.eps(x, t)
        if not old:
            slope = (eps + vp.eps(move(eps, t, after), after)) / 2
        elif len(old) == 1:
            slope = (3 * eps - old[0]) / 2
        elif len(old) == 2:
            slope = (23 * eps - 16 * old[0] + 5 * old[1]) / 12
        else:
            slope = (55 * eps - 59 * old[0] + 37 * old[1] - 9 * old[2]) / 24
        x, old = move(slope, t, after), [eps] + old[:2]
    return x, vp.keep[times[0]]


def unipc(run, x, steps):
    """A uniform grid from 999 to 0 of as many intervals as DDIM's list has entries; the logarithm
    of alpha linear between entries; order 3, falling at the end."""
    logs = 0.5 * np.log(levels.alphas_cumprod().astype(np.float64))
    count = len(levels.timestep_list(steps))
    times = (np.linspace(1, 0.001, count + 1) - 0.001) * 1000
    log_alpha = np.interp(times, np.arange(1000), logs)
    alpha, spread = np.exp(log_alpha), np.sqrt(1 - np.exp(2 * log_alpha))
    lam = np.log(alpha / spread)

    def model(x, i):
        return run.x0(x / alpha[i], spread[i] / alpha[i], times[i])

    known = [model(x, 0)]  # x0 of the grid's points so far
    for i in range(1, count + 1):
        order = min(3, i, count + 1 - i)
        h = lam[i] - lam[i - 1]
        ratio = np.array([(lam[i - 1 - j] - lam[i - 1]) / h for j in range(1, order)])
        slopes = [(known[i - 1 - j] - known[i - 1]) / ratio[j - 1] for j in range(1, order)]
        powers = np.vander(np.append(ratio, 1.0), order, increasing=True).T
        phi, factorial, b = np.expm1(-h) / -h - 1, 1, []
        for k in range(1, order + 1):
            b.append(phi * factorial / -h)
            factorial *= k + 1
            phi = phi / -h - 1 / factorial
        plain = spread[i] / spread[i - 1] * x - alpha[i] * np.expm1(-h) * known[i - 1]
        predict = [0.5] if order == 2 else np.linalg.solve(powers[:-1, :-1], b[:-1])
        guess = plain + alpha[i] * h * sum(c * s for c, s in zip(predict, slopes))
        if i == count:
            return guess, alpha[i] ** 2
        known.append(model(guess, i))
        correct = [0.5] if order == 1 else np.linalg.solve(powers, b)
        x = plain + alpha[i] * h * sum(
            c * s for c, s in zip(correct, slopes + [known[i] - known[i - 1]]))
