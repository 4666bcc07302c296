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

rf_groupnorm_prepare_fn rf_groupnorm_prepare_ref, rf_groupnorm_prepare_cpu;
rf_groupnorm_fn         rf_groupnorm_ref, rf_groupnorm_cpu;

#ifdef __cplusplus
}
#endif
#endif
