/* What a UNet predicts, and on which noise levels: what `files` finds out, `sample` makes tables of
 * and `relay` computes x0 by.
 *
 * Every kind here shares SDXL's latent space and is asked about x / sqrt(sigma^2 + 1), x = x0 +
 * sigma * noise, so that experts of different kinds can follow each other at any sigma. */
#ifndef RF_PARAMETERISATION_H
#define RF_PARAMETERISATION_H

#include <math.h>

typedef enum rf_noise_range {
    RF_RANGE_SDXL = 0, /* the 1000 levels of sd_xl_base.yaml: 0.0292 .. 14.6 */
    RF_RANGE_ZTSNR,    /* these, rescaled to zero terminal SNR (Lin et al. 2023): .. 4519 */
    RF_RANGE_EDM,      /* any level between two ends, told to the UNet as ln(sigma) / 4: CosXL */
} rf_noise_range;

typedef struct rf_parameterisation {
    int            v; /* 0: the noise (epsilon); 1: v (Salimans & Ho 2022) */
    rf_noise_range range;
    double         sigma_min, sigma_max; /* of RF_RANGE_EDM */
} rf_parameterisation;

/* x0 = skip * x + out * (what the UNet says).  epsilon: x - sigma eps.  v = (noise - sigma x0) /
 * sqrt(sigma^2 + 1): x / (sigma^2 + 1) - v sigma / sqrt(sigma^2 + 1). */
typedef struct rf_x0_weights {
    double skip, out;
} rf_x0_weights;

static inline rf_x0_weights rf_x0_weights_at(const rf_parameterisation *p, double sigma)
{
    const double  square = sigma * sigma + 1;
    rf_x0_weights w = {1, -sigma};
    if (p->v) {
        w.skip = 1 / square;
        w.out = -sigma / sqrt(square);
    }
    return w;
}

#endif
