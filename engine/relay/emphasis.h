/* Emphasis on the encoder's output, as three modes of A1111 do it (Original, No norm,
 * Ignore; the fourth does not parse attention at all). */
#ifndef RF_RELAY_EMPHASIS_H
#define RF_RELAY_EMPHASIS_H

#include "engine/text/prompt.h"
#include "kernels/half.h"

/* One variant's context: columns first_column .. first_column + width of rows of `stride` elements,
 * and the weight of every row. */
typedef struct rf_emphasis_target {
    void        *context; /* [chunks * 77, stride] */
    const float *weight;  /* [chunks * 77] */
} rf_emphasis_target;

typedef struct rf_emphasis_shape {
    int      chunks;
    size_t   stride, first_column, width;
    rf_dtype dtype;
} rf_emphasis_shape;

/* Chunk by chunk: z *= weight; Original then restores the mean of z over all `count` targets
 * (computed in f64, applied in f32 together with the weight, rounded once).  A chunk of weights 1
 * stays as it is, to the bit.  RF_E_NAN: the mean cannot be restored, because the weights have
 * made it 0. */
rf_status rf_emphasis_apply(rf_emphasis mode, const rf_emphasis_target *target, int count,
                            const rf_emphasis_shape *shape, rf_error *err);

#endif
