/* timestep: sinusoidal embedding of scalars, as SDXL spells it (cosines first).
 *
 *   value  [m]           f32
 *   y      [m, y_stride] dtype; columns 0 .. dim-1 of each row are written
 *
 *   f_i = exp(-ln(10000) * i / (dim/2)),  i = 0 .. dim/2 - 1
 *   y[r, i] = cos(value[r] * f_i),  y[r, dim/2 + i] = sin(value[r] * f_i)
 *
 * (Vaswani et al. 2017, section 3.5; generative-models, timestep_embedding.)  dim is even.
 * Evaluated in f64 and rounded once.  Errors: RF_E_SHAPE (y untouched). */
#ifndef RF_TIMESTEP_H
#define RF_TIMESTEP_H

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_timestep_args {
    void        *y;
    const float *value;
    int          m, dim, y_stride;
    rf_dtype     dtype;
} rf_timestep_args;

typedef rf_status rf_timestep_fn(void *stream, const rf_timestep_args *a);

/* The size rules, for every level. */
rf_status rf_timestep_check(const rf_timestep_args *a);

rf_timestep_fn rf_timestep_ref, rf_timestep_cpu, rf_timestep_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_TIMESTEP_SHAPES(X)                                                                      \
    /* name         m   dim  y_stride  why                                      */                 \
    X(edge_least, 1, 2, 2, "one frequency")                                                        \
    X(edge_stride, 3, 10, 17, "rows farther apart than they are long")                             \
    X(unet_time, 30, 320, 320, "the time embeddings of a whole run")                               \
    X(refiner_time, 30, 384, 384, "the same of the refiner")                                       \
    X(unet_size, 12, 256, 256, "SDXL's size and crop values")

#ifdef __cplusplus
}
#endif
#endif
