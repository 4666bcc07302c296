/* The VAE decoder as a forward function (Rombach et al. 2022; generative-models, Decoder). */
#ifndef RF_VAE_H
#define RF_VAE_H

#include "engine/core/arch.h"
#include "engine/core/recorder.h"

/* SDXL's latents are the encoder's times this (sd_xl_base.yaml, scale_factor). */
#define RF_VAE_SCALE 0.13025f

typedef struct rf_vae_decode_args {
    const rf_vae_arch *arch;
    const float       *latent; /* [n, h, w, z], f32, as the sampler leaves it */
    uint8_t           *pixels; /* [n, H, W, 3], H = h * 2^(levels-1) */
    rf_pixels_stats   *stats;  /* [n] */
    int                n, h, w;
    /* [n, 1], each 1 / RF_VAE_SCALE: the first op reads its coefficients when it runs. */
    const float *unscale;
} rf_vae_decode_args;

rf_forward_fn rf_vae_decode; /* arg: rf_vae_decode_args */

#endif
