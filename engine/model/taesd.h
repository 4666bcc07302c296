/* The decoder of a tiny autoencoder as a forward function (TAESD, Ollin Boer Bohan 2023; diffusers,
 * DecoderTiny): previews in a twentieth of the VAE's work. */
#ifndef RF_TAESD_H
#define RF_TAESD_H

#include "engine/core/arch.h"
#include "engine/core/recorder.h"

typedef struct rf_taesd_args {
    const rf_taesd_arch *arch;
    /* [n, h, w, 4] in the recorder's dtype: the sampler's latent, not unscaled, through
     * rf_taesd_enter */
    const void      *latent;
    uint8_t         *pixels; /* [n, 8 h, 8 w, 3] */
    rf_pixels_stats *stats;  /* [n] */
    int              n, h, w;
} rf_taesd_args;

rf_forward_fn rf_taesd_decode; /* arg: rf_taesd_args */

/* Its soft clamp, 3 tanh(x / 3), of count numbers, in `dtype` at `to`: by the host, who has a
 * quarter of a megabyte of them for a picture of 1024x1024. */
void rf_taesd_enter(void *to, rf_dtype dtype, const float *latent, size_t count);

/* Its last convolution gives colours 0..1 where the op `pixels` expects -1..1: doubled and moved
 * while it is read.  `user` of the patch is the arch. */
rf_weights_patch rf_taesd_patch(const rf_taesd_arch *arch);

#endif
