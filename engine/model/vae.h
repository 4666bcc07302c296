/* The VAE's two halves as forward functions (Rombach et al. 2022; generative-models, Decoder and
 * Encoder). */
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

typedef struct rf_vae_encode_args {
    const rf_vae_arch *arch;
    const void        *pixels;  /* [n, H, W, 3] in the recorder's dtype, -1..1; H as above */
    void              *moments; /* [n, h, w, 2 z], likewise: of every latent the mean, not yet times
                                   RF_VAE_SCALE, then the logarithm of the variance */
    int n, h, w;
} rf_vae_encode_args;

rf_forward_fn rf_vae_encode; /* arg: rf_vae_encode_args */

#endif
