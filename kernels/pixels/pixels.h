/* pixels: decoder output to 8-bit RGB.
 *
 *   x [n, hw, 3] dtype, nominally in -1 .. 1
 *   y [n, hw, 3] uint8: trunc(255 * clamp((x + 1) / 2, 0, 1)), evaluated in f32; NaN becomes 0
 *   stats [n]    per image: elements that are NaN or infinite, the least and the greatest byte
 *
 * Truncation, not rounding, is what A1111 does.  Errors: RF_E_SHAPE (y untouched). */
#ifndef RF_PIXELS_H
#define RF_PIXELS_H

#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_pixels_stats {
    int32_t non_finite, least, greatest;
} rf_pixels_stats;

typedef struct rf_pixels_args {
    uint8_t         *y;
    const void      *x;
    rf_pixels_stats *stats;
    int              n, hw;
    rf_dtype         dtype;
} rf_pixels_args;

typedef rf_status rf_pixels_fn(void *stream, const rf_pixels_args *a);

/* The size rules, for every level. */
rf_status rf_pixels_check(const rf_pixels_args *a);

rf_pixels_fn rf_pixels_ref, rf_pixels_cpu, rf_pixels_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_PIXELS_SHAPES(X)                                                                        \
    /* name        n       hw  why                                    */                           \
    X(edge_one, 1, 1, "one pixel")                                                                 \
    X(edge_ragged, 3, 77, "not a multiple of a vector")                                            \
    X(edge_more, 1, 16385, "one pixel more than a block")                                          \
    X(image_512, 1, 262144, "512 px")                                                              \
    X(image_1024, 2, 1048576, "1024 px, two images")

#ifdef __cplusplus
}
#endif
#endif
