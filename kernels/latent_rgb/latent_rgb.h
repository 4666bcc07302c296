/* latent_rgb: a latent as a small picture, one pixel per latent pixel: a preview for a fraction of
 * what a decoder takes.
 *
 *   x     [rows, hw, 4] f32; sample b reads row b, or xrow[b]
 *   y     [n, hw, 3] uint8; sample b writes picture b:
 *         y = round(clamp(255 * (bias[k] + sum over c of map[c][k] * (x[c] * scale[b])), 0, 255))
 *   map   [5, 3] f32: map[c][k] of the four channels, then bias[k]
 *   scale [n] f32
 *   xrow  [n] or NULL, within x; negative: sample b is left out and its picture stays as it was
 *   xstride: elements from row to row of x, at least 4 * hw; 0: 4 * hw
 *
 * map, scale and xrow are read at run time (a captured graph bakes none of them), so that samples
 * at different noise levels, of a pool of latents, share a launch.  y overlaps nothing.
 *
 * The sum begins with the bias and takes the channels in order, with one f32 rounding per multiply
 * and per add (no FMA), ties round to even and NaN becomes 0: every level gives the same bytes.
 * Errors: RF_E_SHAPE (y untouched): n outside 1..RF_LATENT_RGB_SAMPLES, no pixels, narrow rows. */
#ifndef RF_LATENT_RGB_H
#define RF_LATENT_RGB_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_LATENT_RGB_SAMPLES = 65535 }; /* of a grid's second axis */

typedef struct rf_latent_rgb_args {
    uint8_t       *y;
    const float   *x, *map, *scale;
    const int32_t *xrow;
    size_t         xstride;
    int            n, hw;
} rf_latent_rgb_args;

typedef rf_status rf_latent_rgb_fn(void *stream, const rf_latent_rgb_args *a);

/* The size rules, for every level. */
rf_status rf_latent_rgb_check(const rf_latent_rgb_args *a);

rf_latent_rgb_fn rf_latent_rgb_ref, rf_latent_rgb_cpu, rf_latent_rgb_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_LATENT_RGB_SHAPES(X)                                                                    \
    /* name        n     hw  why                                                */                 \
    X(edge_one, 1, 1, "one pixel")                                                                 \
    X(edge_ragged, 3, 77, "pictures that begin at no multiple of 16 bytes")                        \
    X(edge_more, 2, 257, "one pixel more than a block")                                            \
    X(edge_tail, 2, 272, "a block, and 16 pixels of the next")                                     \
    X(latent_512, 1, 4096, "512 px")                                                               \
    X(latent_portrait, 2, 15808, "832 x 1216 px")                                                  \
    X(latent_1024, 1, 16384, "1024 px")                                                            \
    X(latent_batch, 8, 16384, "1024 px, a batch of eight")

#ifdef __cplusplus
}
#endif
#endif
