r"""Writes tests/golden/trajectories.txt: every sampler on a model that is a formula.

Usage: pip download --no-deps --no-binary :all: k-diffusion==0.0.16, unpack it, then
    python3 tools/golden/make_trajectories.py k_diffusion/sampling.py \
        > tests/golden/trajectories.txt

Fourteen samplers are k-diffusion 0.0.16's own (MIT, Katherine Crowson), run in torch f32 and, for
the column f64, in f64; the others are trajectory_samplers.py (numpy f64).  Needs torch, numpy,
scipy; versions are written into the file, whose head explains its lines.
"""
import importlib.util
import sys
import types

import numpy as np
import torch

import noise_draws
import noise_levels as levels
import trajectory_samplers as plain

SEED, SIZE, STD = 1234, 32, 0.3
CENTERS = np.round(np.random.default_rng(5).standard_normal((3, SIZE))
                   * [[0.5], [1.0], [1.5]], 2)
WEIGHTS, UNCOND = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
DRAW0 = noise_draws.draw(SEED, 0, SIZE)
VP = ("DDIM", "DDIM CFG++", "PLMS", "UniPC")
DISCARD = ("DPM2", "DPM2 a", "DPM++ 3M SDE")  # these drop the penultimate value
CHURN = dict(s_churn=10.0, s_tmin=0.1, s_tmax=10.0, s_noise=1.003)

HEAD = """\
# Trajectories of A1111's samplers on a model that is a formula: tools/golden/make_trajectories.py,
# k-diffusion 0.0.16, torch {torch}, numpy {numpy}.
#
# Model: x0(x, sigma) = sum_k w_k (s^2 x + sigma^2 mu_k) / (s^2 + sigma^2), s = std, mu_k a line
# "centers", w_k = softmax of ln p_k - |x - mu_k|^2 / (2 (s^2 + sigma^2)), p = weights; evaluated in
# f64 from f32 x and sigma and rounded to f32.  DDIM CFG++: U is the same with p = uncond, and the
# guided x0 is U + cfg/12.5 (x0 - U), rounded last.
# Noise: 32 values, flat; draw d is source NV, seed 1234, draw index d, element e = 0..31.  Draw 0
# starts: x = sigmas[0] draw0; timestep samplers x = sqrt(1 + sigma^2) draw0.  Draws 1, 2, ... in
# the order they are asked for, used or not.  SDE samplers: the Brownian path of seed 1234 over
# [smallest positive, largest] of "sigmas".
# case <id> <tab> key=value <tab> ...: sampler, schedule (a label), steps, the settings that are not
#   the sampler's defaults as A1111 calls it (eta 1, DDIM 0; s_noise 1; s_churn 0), cfg; then calls,
#   draws (after draw 0; Brownian requests for SDE samplers), and f64, the relative L2 distance
#   to the same run in f64 with the same noise (k-diffusion's samplers only).
# sigmas: f32, as given to the sampler.  DPM fast, DPM adaptive: the table's two ends and 0, all
#   that they read; timestep samplers have none and their line is "sigmas" alone.
# call <k> <sigma> <timestep or nan> <x0 x1 x2 x3>: what the model is given, x in sigma space; only
#   for 10 steps and fewer, and Restart.  nan: follows from sigma.
# brownian <k> <from> <to>: noise levels asked for, as f32.  DPM++ SDE computes them in f32: t =
#   -ln sigma, s = t + h / 2 with h = t' - t, then exp(-t), exp(-s), exp(-t'), each rounded to f32.
#   In every case here correctly rounded operations give the same levels to six decimals.
# final <32 values>: in sigma space.  final_vp: timestep samplers, what A1111 decodes; their run
#   ends at table entry 1 (UniPC: 0), so final = final_vp sqrt(1 + sigma^2) of that entry.
# final_f64: DPM adaptive in f64, because its step sizes amplify f32 rounding."""


def number(v):
    return "%.9g" % v


def posterior_mean(x, sigma, weights):
    x, sigma = np.asarray(x, np.float64).reshape(-1), float(sigma)
    total = STD**2 + sigma**2
    log = np.log(weights) - ((x - CENTERS) ** 2).sum(1) / (2 * total)
    w = np.exp(log - log.max())
    return (w / w.sum()) @ ((STD**2 * x + sigma**2 * CENTERS) / total)


class Run:
    """One case: keeps what the model and the noise are asked for."""

    def __init__(self, cfg=None, rounded=True, noise=None):
        self.cfg, self.rounded, self.replay = cfg, rounded, noise
        self.calls, self.brownian, self.noise, self.drawn = [], [], [], 0

    def denoise(self, x, sigma, timestep):
        if self.rounded:
            x, sigma = np.asarray(x, np.float32), np.float32(sigma)
        self.calls.append((float(sigma), timestep, np.asarray(x).reshape(-1)[:4].copy()))
        out = posterior_mean(x, sigma, WEIGHTS)
        self.uncond = posterior_mean(x, sigma, UNCOND)
        if self.cfg:
            out = self.uncond + self.cfg / 12.5 * (out - self.uncond)
        if self.rounded:
            out = out.astype(np.float32).astype(np.float64)
            self.uncond = self.uncond.astype(np.float32).astype(np.float64)
        return out

    def x0(self, x, sigma, timestep=float("nan")):
        return self.denoise(x, sigma, timestep)

    def draw(self):
        self.drawn += 1
        if self.replay is None:
            self.noise.append(noise_draws.draw(SEED, self.drawn, SIZE))
        return (self.replay or self.noise)[self.drawn - 1].astype(np.float64)

    # As k-diffusion wants them.
    def model(self, x, sigma):
        return torch.from_numpy(self.denoise(x.numpy(), sigma.item(), float("nan"))).to(x)[None]

    def randn_like(self, x):
        return torch.from_numpy(self.draw()).to(x)[None]

    def brownian_sampler(self, x, sigmas):
        path = noise_draws.Brownian(SEED, sigmas[sigmas > 0].min(), sigmas.max(), SIZE)

        def sample(first, second):
            self.drawn += 1
            if self.replay is None:
                self.brownian.append((first.item(), second.item()))
                self.noise.append(path.noise(first.item(), second.item()))
            return torch.from_numpy((self.replay or self.noise)[self.drawn - 1]).to(x)[None]
        return sample


def load_k_diffusion(path):
    """sampling.py alone; what it imports for other purposes is left empty."""
    class Torch(types.ModuleType):
        def __getattr__(self, name):
            return getattr(torch, name)

    utils = types.ModuleType("k_diffusion.utils")
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    package = types.ModuleType("k_diffusion")
    package.utils, package.__path__ = utils, []
    sys.modules.update({"k_diffusion": package, "k_diffusion.utils": utils})
    for name in ("torchdiffeq", "torchsde"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchdiffeq"].odeint = None
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    sampling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sampling)
    sampling.torch = Torch("torch")
    return sampling


KD = {"Euler": "euler", "Euler a": "euler_ancestral", "LMS": "lms", "Heun": "heun", "DPM2": "dpm_2",
      "DPM2 a": "dpm_2_ancestral", "DPM++ 2S a": "dpmpp_2s_ancestral", "DPM++ 2M": "dpmpp_2m",
      "DPM++ SDE": "dpmpp_sde", "DPM++ 2M SDE": "dpmpp_2m_sde", "DPM++ 2M SDE Heun": "dpmpp_2m_sde",
      "DPM++ 3M SDE": "dpmpp_3m_sde", "DPM fast": "dpm_fast", "DPM adaptive": "dpm_adaptive"}


def run_kd(sampling, run, name, sigmas, steps, settings, dtype):
    sampling.torch.randn_like = run.randn_like
    torch.set_default_dtype(dtype)
    x = torch.from_numpy(DRAW0.astype(np.float32) * np.float32(sigmas[0])).to(dtype)[None]
    keys, ends = dict(settings, disable=True), (float(sigmas[-2]), float(sigmas[0]))
    if name in ("DPM fast", "DPM adaptive"):
        keys.setdefault("eta", 1.0)
        keys["noise_sampler"] = lambda *_: run.randn_like(x)
    if name == "DPM++ 2M SDE Heun":
        keys["solver_type"] = "heun"
    if "SDE" in name:
        keys["noise_sampler"] = run.brownian_sampler(x, sigmas)
    function = getattr(sampling, "sample_" + KD[name])
    if name == "DPM fast":
        out = function(run.model, x, *ends, steps, **keys)
    elif name == "DPM adaptive":
        out = function(run.model, x, *ends, **keys)
    else:
        out = function(run.model, x, torch.from_numpy(sigmas).to(dtype), **keys)
    torch.set_default_dtype(torch.float32)
    return out[0].double().numpy()


def run_plain(run, name, sigmas, steps, settings):
    """(final in sigma space, in VP space or None)"""
    if name in ("LCM", "Restart"):
        x = (DRAW0 * np.float32(sigmas[0])).astype(np.float64)
        return (plain.lcm if name == "LCM" else plain.restart)(run, x, sigmas, **settings), None
    function = {"PLMS": plain.plms, "UniPC": plain.unipc}.get(name, plain.ddim)
    keys = {k: v for k, v in settings.items() if k != "cfg"}
    if name == "DDIM CFG++":
        keys["plus"] = True
    x, keep = function(run, DRAW0.astype(np.float64), steps, **keys)
    return plain.to_sigma_space(x, keep), x


def cases():
    """(sampler, schedule, steps, settings)"""
    for name in KD:
        sde = name in ("DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 3M SDE")
        if name == "DPM adaptive":
            yield from ((name, "-", 20, dict(eta=eta)) for eta in (0.0, 0.5, 1.0))
            yield name, "-", 20, dict(s_noise=1.05)
            yield from ((name, "10 to 0.1", 20, dict(eta=eta)) for eta in (0.0, 1.0))
            continue
        for schedule, counts in (("Karras", (2, 5, 10, 20)), ("Uniform", (1, 5, 20))):
            if name == "DPM fast":
                schedule, counts = "-", (1, 2, 3, 5, 10, 20) if schedule == "Karras" else ()
            if name == "DPM++ 2S a" and schedule == "Karras":
                counts = (3, 5, 10, 20)  # at 2, f32 cancels too much to compare with
            for steps in counts:
                if steps > 1 or not sde:  # k-diffusion stops there
                    yield name, schedule, steps, {}
        if name in ("Euler", "Heun", "DPM2"):
            for schedule, steps in (("Karras", 5), ("Karras", 20), ("Uniform", 10)):
                yield name, schedule, steps, CHURN
        elif name not in ("LMS", "DPM++ 2M"):
            own = name == "DPM fast"
            yield name, "-" if own else "Karras", 10, dict(eta=0.0)
            yield name, "-" if own else "Karras", 10, dict(eta=0.5)
            yield name, "-" if own else "Uniform", 5, dict(s_noise=1.01)
    for schedule, counts in (("Uniform", (1, 2, 5, 10, 20)), ("Karras", (5,))):
        yield from (("LCM", schedule, steps, {}) for steps in counts)
    for schedule, counts in (("Karras", (1, 5, 20, 30, 40)), ("Uniform", (20,))):
        yield from (("Restart", schedule, steps, {}) for steps in counts)
    yield "Restart", "Karras", 20, dict(s_noise=1.01)
    for steps in (2, 5, 10, 20, 30):
        yield "DDIM", "-", steps, {}
        yield "DDIM", "-", steps, dict(eta=0.5)
        yield "PLMS", "-", steps, {}
        if steps >= 5:  # its order must not be above its steps
            yield "UniPC", "-", steps, {}
        yield "DDIM CFG++", "-", steps, dict(cfg=7.0)
    yield "DDIM", "-", 10, dict(eta=1.0)
    yield "DDIM CFG++", "-", 10, dict(eta=0.5, cfg=7.0)
    yield "DDIM", "-", 60, {}


def levels_of(name, schedule, steps):
    if name in VP:
        return np.zeros(0, np.float32)
    table = levels.LcmTable() if name == "LCM" else levels.Table(levels.alphas_cumprod())
    if schedule == "10 to 0.1":
        return np.array([10, 0.1, 0], np.float32)
    if schedule == "-":
        return np.array([table.high, table.low, 0], np.float32)
    return levels.schedule(schedule, table, steps, discard=name in DISCARD)


def write(index, sampling, name, schedule, steps, settings):
    sigmas, vp = levels_of(name, schedule, steps), None
    cfg, keys = settings.get("cfg"), dict(settings)
    run = Run(cfg)
    if name in KD:
        final = run_kd(sampling, run, name, sigmas, steps, keys, torch.float32)
        again = Run(cfg, False, run.noise)
        exact = run_kd(sampling, again, name, sigmas, steps, keys, torch.float64)
        drift = np.linalg.norm(final - exact) / np.linalg.norm(exact)
        keys["f64"] = float("%.2g" % drift)
    else:
        final, vp = run_plain(run, name, sigmas, steps, keys)
    facts = dict(sampler=name, schedule=schedule, steps=steps, calls=len(run.calls),
                 draws=run.drawn, **keys)
    print(f"case {index}", *(f"{k}={v}" for k, v in facts.items()), sep="\t")
    print("sigmas", *map(number, sigmas))
    if steps <= 10 or name == "Restart":
        for k, (sigma, timestep, x) in enumerate(run.calls):
            print("call", k, number(sigma), number(timestep), *map(number, x))
    for k, pair in enumerate(run.brownian if steps <= 10 or name == "DPM++ SDE" else ()):
        print("brownian", k, *map(number, pair))
    print("final", *map(number, final.astype(np.float32)))
    if name == "DPM adaptive":
        print("final_f64", *map(number, exact))
    if vp is not None:
        print("final_vp", *map(number, vp.astype(np.float32)))
    print()


def main():
    sampling = load_k_diffusion(sys.argv[1])
    print(HEAD.format(torch=torch.__version__.split("+")[0], numpy=np.__version__))
    for center in CENTERS:
        print("centers", *map(number, center))
    print("weights", *map(number, WEIGHTS))
    print("uncond", *map(number, UNCOND))
    print("std", STD)
    print()
    for index, case in enumerate(cases()):
        write(index, sampling, *case)


main()
