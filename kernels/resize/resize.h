/* resize: nearest-neighbour resize of a channels-last map.
 *
 *   x [n, h, w, c] -> y [n, ho, wo, c]  dtype;  y[b, i, j] = x[b, i*h/ho, j*w/wo] (integer
 * division)
 *
 * This is PyTorch's mode="nearest".  Needed where an odd-sized skip map meets an upsampled one.
 * Errors: RF_E_SHAPE (y untouched). */
#ifndef RF_RESIZE_H
#define RF_RESIZE_H

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_resize_args {
    void       *y;
    const void *x;
    int         n, h, w, c, ho, wo;
    rf_dtype    dtype;
} rf_resize_args;

typedef rf_status rf_resize_fn(void *stream, const rf_resize_args *a);

rf_resize_fn rf_resize_ref, rf_resize_cpu;

#ifdef __cplusplus
}
#endif
#endif
