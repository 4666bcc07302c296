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

rf_layernorm_fn rf_layernorm_ref, rf_layernorm_cpu;

#ifdef __cplusplus
}
#endif
#endif
