/* Filters along the two axes of a picture, one after the other. */
#ifndef RF_RESAMPLE_H
#define RF_RESAMPLE_H

#include <stdint.h>

#include "kernels/status.h"

enum { RF_WEIGHT_ONE = 1 << 20 }; /* so much the weights of an output value add up to, nearly */

/* For each output place along an axis: which input places it is made of, and how much of each. */
typedef struct rf_taps {
    int      count;  /* output places */
    int      most;   /* taps of each have this much room */
    int     *first;  /* [count] the first input place */
    int     *taps;   /* [count] how many */
    int32_t *weight; /* [count, most] */
} rf_taps;

/* Lanczos's window of three lobes from `from` to `to` places.  RF_E_NOMEM; *out is zeroed then. */
rf_status rf_taps_lanczos(rf_taps *out, int from, int to, rf_error *err);
void      rf_taps_release(rf_taps *taps); /* {0} is fine */

/* out [y->count, x->count, channels] = in [height, width, channels], where `x` and `y` were made
 * for that width and height.  Rounded after each axis.  RF_E_NOMEM. */
rf_status rf_resample(uint8_t *out, const uint8_t *in, int width, int height, int channels,
                      const rf_taps *x, const rf_taps *y, rf_error *err);

#endif
