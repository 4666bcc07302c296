"""Writes tests/golden/predictions.txt: what diffusers makes of v-prediction, zero terminal SNR and
CosXL's EDM levels, and how x0 follows from what a UNet says.

Usage: python3 tools/golden/make_predictions.py > tests/golden/predictions.txt

Lines: ztsnr INDEX SIGMA (EulerDiscreteScheduler, rescale_betas_zero_snr; f32: its betas are taken
from the rescaled products and multiplied again), exact INDEX SIGMA (Lin et al. 2023 in f64, with
the last product that ComfyUI and A1111 set), edm INDEX SIGMA (ComfyUI's levels between CosXL's
ends, in f64), x0 KIND SIGMA INPUT ANSWER X0 (INPUT is what the UNet is given, x / sqrt(sigma^2 + 1);
EulerDiscreteScheduler.step, for edm EDMEulerScheduler), timestep SIGMA T (EDMEulerScheduler).
Made with diffusers %s, torch %s.
"""
import diffusers
import numpy as np
import torch
from diffusers import EDMEulerScheduler, EulerDiscreteScheduler

COMMON = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
ENTRIES = [0, 1, 17, 100, 250, 400, 500, 640, 777, 900, 950, 990, 997, 998, 999]


def euler(prediction, ztsnr=False):
    return EulerDiscreteScheduler(
        **COMMON, prediction_type=prediction, rescale_betas_zero_snr=ztsnr, timestep_spacing="trailing"
    )


def exact_ztsnr():
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    root = np.sqrt(np.cumprod(1 - betas))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    alphas = root**2
    alphas[-1] = 4.8973451890853435e-08
    return np.sqrt((1 - alphas) / alphas)


def tables():
    made = euler("v_prediction", True).alphas_cumprod.double()
    for i in ENTRIES[:-1]:  # the last one is 2^-24 there
        print("ztsnr %d %.9g" % (i, ((1 - made[i]) / made[i]).sqrt()))
    for i in ENTRIES:
        print("exact %d %.12g" % (i, exact_ztsnr()[i]))
    for i in ENTRIES:
        print("edm %d %.12g" % (i, np.exp(np.linspace(np.log(0.002), np.log(120.0), 1000))[i]))


def conversions():
    torch.manual_seed(3)
    for name, kind, ztsnr in (("epsilon", "epsilon", False), ("v", "v_prediction", False),
                              ("v-ztsnr", "v_prediction", True)):
        scheduler = euler(kind, ztsnr)
        scheduler.set_timesteps(7)
        for i, t in enumerate(scheduler.timesteps):
            sample, answer = torch.randn(2, dtype=torch.float64)
            sigma = scheduler.sigmas[i].double()
            x = sample * (sigma**2 + 1).sqrt()
            scheduler._step_index = i
            out = scheduler.step(answer.reshape(1, 1), t, x.reshape(1, 1))
            print("x0 %s %.17g %.17g %.17g %.17g"
                  % (name, sigma, sample, answer, out.pred_original_sample.item()))
    scheduler = EDMEulerScheduler(sigma_min=0.002, sigma_max=120, sigma_data=1.0,
                                  prediction_type="v_prediction")
    for sigma in (120.0, 14.6, 1.0, 0.1, 0.002):
        sample, answer = torch.randn(2, dtype=torch.float64)
        sigma = torch.tensor(sigma, dtype=torch.float64)
        x = sample * (sigma**2 + 1).sqrt()
        x0 = scheduler.precondition_outputs(x, answer, sigma)
        print("x0 edm %.17g %.17g %.17g %.17g" % (sigma, sample, answer, x0))
        print("timestep %.17g %.17g" % (sigma, scheduler.precondition_noise(sigma.float())))


def main():
    for line in (__doc__ % (diffusers.__version__, torch.__version__)).strip().splitlines():
        print("#", line)
    tables()
    conversions()


if __name__ == "__main__":
    main()
