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

/* The size rules, for every level. */
rf_status rf_resize_check(const rf_resize_args *a);

rf_resize_fn rf_resize_ref, rf_resize_cpu, rf_resize_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_RESIZE_SHAPES(X)                                                                        \
    /* name         n    h    w     c   ho   wo  why                                      */       \
    X(edge_one, 1, 1, 1, 1, 1, 1, "smallest")                                                      \
    X(edge_up, 2, 3, 5, 7, 8, 9, "up, no integer ratio")                                           \
    X(edge_down, 2, 9, 8, 3, 4, 3, "down, no integer ratio")                                       \
    X(edge_same, 1, 4, 6, 16, 4, 6, "nothing to do")                                               \
    X(unet_odd, 2, 34, 42, 640, 33, 41, "520x648: an upsampled map meets its skip")                \
    X(unet_1024, 1, 66, 66, 1280, 65, 65, "the same at 1040 px")

#ifdef __cplusplus
}
#endif
#endif
