/* gemm: y = act(x · wᵀ + bias + residual), or the gated form for GEGLU.
 *
 *   x         [m, k]   dtype; with x2: columns 0..k1-1 from x [m, k1], the rest from x2 [m, k-k1]
 *   w         [n, k]   packed by the same level's pack function (row-major for ref)
 *   bias      [n]      f32, or NULL
 *   residual  [m, n]   dtype, or NULL; may be y itself, must not overlap it otherwise
 *   y         [m, n]   dtype; [m, n/2] for RF_ACT_GEGLU; must not overlap x or x2
 *
 * RF_ACT_GEGLU (Shazeer 2020, "GLU variants improve transformer", eq. 6, with exact GELU): the
 * first n/2 columns of x·wᵀ+bias are the value, the last n/2 the gate; y = value * gelu(gate).
 * It takes no residual.  A 1x1 convolution on channels-last data is this op with m = n*h*w.
 *
 * Row i of y depends on row i of x alone and on nothing else: not on m, not on the thread count.
 * Errors: RF_E_SHAPE if a size rule is broken (y untouched). */
#ifndef RF_GEMM_H
#define RF_GEMM_H

#include <stddef.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_act {
    RF_ACT_NONE = 0,
    RF_ACT_SILU,       /* v / (1 + exp(-v)) */
    RF_ACT_GELU,       /* v/2 * (1 + erf(v / sqrt 2)) */
    RF_ACT_QUICK_GELU, /* v / (1 + exp(-1.702 v)), CLIP-L */
    RF_ACT_GEGLU,
} rf_act;

typedef struct rf_gemm_args {
    void        *y;
    const void  *x, *x2;
    const void  *w;
    const float *bias;
    const void  *residual;
    void        *workspace; /* as many bytes as prepare said; NULL if 0 */
    int          m, n, k;
    int          k1;     /* columns taken from x; 0 means k (and x2 is NULL) */
    rf_dtype     dtype;  /* of x, x2, residual, y */
    rf_dtype     wdtype; /* storage type of the packed weights; widening happens inside */
    rf_act       act;
} rf_gemm_args;

/* The size rules that hold at every level: RF_OK or RF_E_SHAPE. */
static inline rf_status rf_gemm_check(const rf_gemm_args *a)
{
    if (a->m < 1 || a->n < 1 || a->k < 1) return RF_E_SHAPE;
    if (a->k1 < 0 || a->k1 > a->k) return RF_E_SHAPE;
    if (a->act == RF_ACT_GEGLU && (a->n % 2 || a->residual)) return RF_E_SHAPE;
    return (unsigned)a->act <= RF_ACT_GEGLU && (unsigned)a->dtype < RF_DTYPES &&
                   (unsigned)a->wdtype < RF_DTYPES
               ? RF_OK
               : RF_E_SHAPE;
}

/* Checks the sizes, compiles what the call will need, and says how much workspace it wants.
 * Pointers in `a` are ignored. */
typedef rf_status rf_gemm_prepare_fn(void *stream, const rf_gemm_args *a, size_t *workspace_bytes);
typedef rf_status rf_gemm_fn(void *stream, const rf_gemm_args *a);

/* Packed size in bytes of w [n, k], and packing from row-major `src` [n, k], both of `wdtype`.
 * `dtype` is the activation type the weights will meet. */
typedef struct rf_gemm_weight_shape {
    int      n, k;
    rf_dtype dtype, wdtype;
    rf_act   act; /* a level may lay out GEGLU halves in its own way */
} rf_gemm_weight_shape;

typedef rf_status rf_gemm_pack_bytes_fn(void *stream, const rf_gemm_weight_shape *s, size_t *bytes);
typedef rf_status rf_gemm_pack_fn(void *stream, const rf_gemm_weight_shape *s, void *dst,
                                  const void *src);

rf_gemm_prepare_fn    rf_gemm_prepare_ref, rf_gemm_prepare_cpu;
rf_gemm_fn            rf_gemm_ref, rf_gemm_cpu;
rf_gemm_pack_bytes_fn rf_gemm_pack_bytes_ref, rf_gemm_pack_bytes_cpu;
rf_gemm_pack_fn       rf_gemm_pack_ref, rf_gemm_pack_cpu;

#ifdef __cplusplus
}
#endif
#endif
