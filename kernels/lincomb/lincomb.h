/* lincomb: y[b, :] = sum over j of coef[b, j] * x_j[row_j(b), :], the arithmetic of every sampler.
 *
 *   x[j]  [rows, e]  xdtype[j]; sample b reads row  b + row_off[j]
 *   y     [n, e]     ydtype; may be x[j] itself where row_off[j] is 0 and the types are equal
 *   coef  [n, terms] f32, read at run time (a captured graph never bakes a coefficient)
 *
 * Terms are added in order j = 0, 1, ... with one f32 rounding per multiply and per add (no FMA),
 * so every level gives the same bits.  terms is 1..RF_LINCOMB_TERMS. Errors: RF_E_SHAPE (y
 * untouched). */
#ifndef RF_LINCOMB_H
#define RF_LINCOMB_H

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_LINCOMB_TERMS = 8 }; /* every slot of the widest sampler step */

typedef struct rf_lincomb_args {
    void        *y;
    const void  *x[RF_LINCOMB_TERMS];
    const float *coef;
    rf_dtype     xdtype[RF_LINCOMB_TERMS];
    int          row_off[RF_LINCOMB_TERMS];
    int          n, e, terms;
    rf_dtype     ydtype;
} rf_lincomb_args;

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
    X(cfg_512, 4, 16384, 3, "512 px: latent, cond, uncond")                                        \
    X(step_1024, 1, 65536, 4, "1024 px: one sampler step with noise")                              \
    X(step_batch, 8, 65536, 6, "a batch of eight, two histories")

#ifdef __cplusplus
}
#endif
#endif
