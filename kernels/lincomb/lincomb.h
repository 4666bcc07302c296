/* lincomb: y[b, :] = sum over j of coef[b, j] * x_j[row_j(b), :], the arithmetic of every sampler.
 *
 *   x[j]  [rows, e]  xdtype[j]; sample b reads row  b + row_off[j], or xrow[b, j]
 *   y     [rows, e]  ydtype; sample b writes row b, or yrow[b]
 *   coef  [n, terms] f32
 *   xrow  [n, terms] or NULL; negative: sample b has no term j.  Without any term it is 0.
 *   yrow  [n] or NULL
 *   xstride[j], ystride: elements from row to row, at least e; 0: e
 *   bad   [n] or NULL: 1 is stored for a sample if any value of its row of y, as stored, is
 *         infinite or NaN; nothing else is stored, so whoever asks sets it to 0 before
 *
 * coef, xrow and yrow are read at run time (a captured graph bakes none of them), so that samples
 * at different calls of different samplers share a launch.  In place: a row of y may be read by the
 * sample that writes it, in y's own type, and by no other.
 *
 * Terms are added in order j = 0, 1, ... with one f32 rounding per multiply and per add (no FMA),
 * so every level gives the same bits; a term that is left out rounds nothing.  terms is
 * 1..RF_LINCOMB_TERMS. Errors: RF_E_SHAPE (y untouched). */
#ifndef RF_LINCOMB_H
#define RF_LINCOMB_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_LINCOMB_TERMS = 8 }; /* every slot of the widest sampler step */

typedef struct rf_lincomb_args {
    void          *y;
    const void    *x[RF_LINCOMB_TERMS];
    const float   *coef;
    const int32_t *xrow, *yrow;
    int32_t       *bad;
    size_t         xstride[RF_LINCOMB_TERMS], ystride;
    rf_dtype       xdtype[RF_LINCOMB_TERMS];
    int            row_off[RF_LINCOMB_TERMS];
    int            n, e, terms;
    rf_dtype       ydtype;
} rf_lincomb_args;

/* Where sample b's part of term j begins, in elements of x[j]; -1: it has none. */
static inline ptrdiff_t rf_lincomb_x(const rf_lincomb_args *a, size_t b, int j)
{
    const ptrdiff_t row =
        a->xrow ? a->xrow[b * (size_t)a->terms + (size_t)j] : (ptrdiff_t)b + a->row_off[j];
    return row < 0 ? -1 : row * (ptrdiff_t)(a->xstride[j] ? a->xstride[j] : (size_t)a->e);
}

/* Where sample b is written. */
static inline size_t rf_lincomb_y(const rf_lincomb_args *a, size_t b)
{
    const size_t row = a->yrow ? (size_t)a->yrow[b] : b;
    return row * (a->ystride ? a->ystride : (size_t)a->e);
}

typedef rf_status rf_lincomb_fn(void *stream, const rf_lincomb_args *a);

/* The size rules, for every level. */
rf_status rf_lincomb_check(const rf_lincomb_args *a);

rf_lincomb_fn rf_lincomb_ref, rf_lincomb_cpu, rf_lincomb_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_LINCOMB_SHAPES(X)                                                                       \
    /* name        n        e  terms  why                                         */               \
    X(edge_one, 1, 1, 1, "smallest")                                                               \
    X(edge_ragged, 3, 77, 2, "not a multiple of a vector")                                         \
    X(edge_most, 2, 129, 8, "as many terms as there can be")                                       \
    X(cells, 256, 4, 1, "cells that a mask keeps: a sample is a latent's pixel")                   \
    X(cfg_512, 4, 16384, 3, "512 px: latent, cond, uncond")                                        \
    X(step_1024, 1, 65536, 4, "1024 px: one sampler step with noise")                              \
    X(step_batch, 8, 65536, 6, "a batch of eight, two histories")

#ifdef __cplusplus
}
#endif
#endif
