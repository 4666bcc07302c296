/* groupnorm: y = silu?((x - mean_g) * rstd_g * gamma_c + beta_c), fused.
 *
 *   x, x2        [n, hw, c1], [n, hw, c - c1]  dtype; channels c1.. come from x2.  c1 = 0 means all
 *                from x (x2 NULL).  This reads the UNet's [h, skip] without a concatenation.
 *   y            [n, hw, c]                    dtype; may be x if x2 is NULL, else overlaps nothing
 *   gamma, beta  [c]                           f32
 *
 * Statistics over the hw * (c / groups) elements of a group, biased variance (Wu & He 2018, eq.
 * 1-5), computed as mean first and squared deviations second: a sum of squares cancels in f32.
 * A group may span both sources.  Image b depends on image b alone, not on the thread count.
 * Errors: RF_E_SHAPE if c % groups, or another size rule is broken (y untouched). */
#ifndef RF_GROUPNORM_H
#define RF_GROUPNORM_H

#include <stddef.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_groupnorm_args {
    void        *y;
    const void  *x, *x2;
    const float *gamma, *beta;
    void        *workspace;
    int          n, hw, c, c1, groups;
    float        eps;
    int          silu; /* 0 or 1 */
    rf_dtype     dtype;
} rf_groupnorm_args;

typedef rf_status rf_groupnorm_prepare_fn(void *stream, const rf_groupnorm_args *a,
                                          size_t *workspace_bytes);
typedef rf_status rf_groupnorm_fn(void *stream, const rf_groupnorm_args *a);

/* The size rules, for every level. */
rf_status rf_groupnorm_check(const rf_groupnorm_args *a);

rf_groupnorm_prepare_fn rf_groupnorm_prepare_ref, rf_groupnorm_prepare_cpu,
    rf_groupnorm_prepare_sm80;
rf_groupnorm_fn rf_groupnorm_ref, rf_groupnorm_cpu, rf_groupnorm_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_GROUPNORM_SHAPES(X)                                                                     \
    /* name             n       hw     c    c1  groups  why                                    */  \
    X(edge_two_elems, 1, 1, 64, 0, 32, "one pixel, two channels a group")                          \
    X(edge_one_channel, 2, 19, 32, 0, 32, "one channel a group")                                   \
    X(edge_one_group, 2, 33, 24, 0, 1, "everything in one group")                                  \
    X(edge_ragged, 2, 77, 192, 0, 32, "pixels not a multiple of anything")                         \
    X(edge_three, 1, 130, 96, 0, 32, "three channels a group")                                     \
    X(edge_span, 2, 65, 96, 32, 8, "a group spans both sources")                                   \
    X(edge_odd_span, 3, 7, 30, 11, 3, "odd channel counts in both sources")                        \
    X(edge_block_less, 1, 255, 64, 0, 32, "a block of pixels less one")                            \
    X(edge_block, 1, 256, 64, 0, 32, "exactly one block")                                          \
    X(edge_block_more, 1, 257, 64, 0, 32, "one pixel more than a block")                           \
    X(edge_wide, 1, 9, 2560, 1280, 32, "UNet up path: 80 channels a group")                        \
    X(unet_1024_hi, 1, 16384, 320, 0, 32, "UNet, 1024 px, 128x128")                                \
    X(unet_1024_skip, 1, 16384, 960, 640, 32, "UNet up path, 128x128, two sources")                \
    X(unet_1024_mid, 1, 1024, 1280, 0, 32, "UNet middle, 1024 px, 32x32")                          \
    X(unet_512_skip, 2, 256, 2560, 1280, 32, "UNet up path, 512 px, 16x16, CFG pair")              \
    X(refiner_1024_hi, 1, 16384, 384, 0, 32, "refiner, 1024 px, 128x128: 12 channels a group")     \
    X(refiner_1024_skip, 1, 16384, 1152, 768, 32, "refiner up path, 128x128: 36 a group")          \
    X(refiner_1024_lo, 1, 256, 3072, 1536, 32, "refiner up path, 16x16: 96 a group")               \
    X(vae_512_top, 1, 262144, 128, 0, 32, "VAE decoder, last level, 512 px")                       \
    X(vae_1024_top, 1, 1048576, 128, 0, 32, "VAE decoder, last level, 1024 px")                    \
    X(vae_1024_wide, 1, 1048576, 256, 0, 32, "VAE decoder, first block of the last level")

#ifdef __cplusplus
}
#endif
#endif
