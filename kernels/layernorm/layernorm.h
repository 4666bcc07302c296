/* layernorm: y = (x - mean) * rstd * gamma + beta over the last axis.
 *
 *   x, y         [m, c]  dtype; y may be x
 *   gamma, beta  [c]     f32
 *
 * Biased variance from squared deviations (Ba et al. 2016, eq. 3).  Rows are independent.
 * Errors: RF_E_SHAPE if a size rule is broken (y untouched). */
#ifndef RF_LAYERNORM_H
#define RF_LAYERNORM_H

#include <stddef.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_layernorm_args {
    void        *y;
    const void  *x;
    const float *gamma, *beta;
    int          m, c;
    float        eps;
    rf_dtype     dtype;
} rf_layernorm_args;

typedef rf_status rf_layernorm_fn(void *stream, const rf_layernorm_args *a);

/* The size rules, for every level. */
rf_status rf_layernorm_check(const rf_layernorm_args *a);

rf_layernorm_fn rf_layernorm_ref, rf_layernorm_cpu, rf_layernorm_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_LAYERNORM_SHAPES(X)                                                                     \
    /* name            m     c  why                                          */                    \
    X(edge_one, 1, 1, "one element: the output is beta")                                           \
    X(edge_short, 3, 7, "shorter than a vector")                                                   \
    X(edge_ragged, 5, 77, "not a multiple of a vector")                                            \
    X(edge_less, 2, 63, "a multiple of 64 less one")                                               \
    X(edge_more, 2, 65, "a multiple of 64 and one")                                                \
    X(clip_l, 77, 768, "CLIP-L")                                                                   \
    X(clip_g, 77, 1280, "OpenCLIP bigG")                                                           \
    X(unet_hi, 4096, 640, "UNet transformer, 1024 px, 64x64")                                      \
    X(unet_lo, 1024, 1280, "UNet transformer, 1024 px, 32x32")                                     \
    X(refiner_hi, 4096, 768, "refiner transformer, 1024 px, 64x64")                                \
    X(refiner_lo, 1024, 1536, "refiner transformer, 1024 px, 32x32")                               \
    X(unet_batch, 8192, 1280, "a batch of four with CFG, 32x32")

#ifdef __cplusplus
}
#endif
#endif
