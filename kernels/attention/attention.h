/* attention: o = softmax(scale * q kᵀ) v per head, never materialising sq x skv.
 *
 *   q  [n, sq, ...]   head h of a row starts at element h*d; rows are q_stride elements apart
 *   o  [n, sq, ...]   likewise with o_stride; must not overlap q, k or v
 *   k, v              [n, skv, ...] with kv_stride, as q; or per sample through `table` (below)
 *
 * Self attention reads q, k and v out of one fused projection (q_stride = kv_stride = 3*heads*d,
 * k = q + heads*d elements, v = q + 2*heads*d).
 *
 * Cross attention: keys and values depend only on the prompt, are computed once and stay in a
 * pool.  table[b] gives sample b's pool block and its own key count; k of this layer starts
 * `kv_off` elements per key into the block (so at base + kv_off * skv), rows are kv_stride apart,
 * and v follows k by heads*d elements in the same row.  k, v and skv are then ignored, except that
 * skv must be an upper bound of every table[b].skv.
 *
 * causal: key j is seen by query i only if j <= i; needs sq == skv (no table).
 * d is a multiple of 8, at most 512.  Softmax is computed in f32 (double in ref) from the row's
 * maximum (Milakov & Gimelshein 2018; Dao et al. 2022, algorithm 1).
 *
 * Row i of head h of sample b depends on nothing else in the batch, nor on the thread count.
 * Errors: RF_E_SHAPE if a size rule is broken (o untouched). */
#ifndef RF_ATTENTION_H
#define RF_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_attention_kv {
    const void *base;
    int32_t     skv;      /* keys of this sample, >= 1 */
    int32_t     reserved; /* 0 */
} rf_attention_kv;

typedef struct rf_attention_args {
    void                  *o;
    const void            *q, *k, *v;
    const rf_attention_kv *table; /* [n], or NULL */
    void                  *workspace;
    size_t                 kv_off; /* with table: elements per key before this layer's k */
    int                    n, sq, skv, heads, d;
    int                    q_stride, kv_stride, o_stride;
    float                  scale;
    int                    causal; /* 0 or 1 */
    rf_dtype               dtype;
} rf_attention_args;

typedef rf_status rf_attention_prepare_fn(void *stream, const rf_attention_args *a,
                                          size_t *workspace_bytes);
typedef rf_status rf_attention_fn(void *stream, const rf_attention_args *a);

rf_attention_prepare_fn rf_attention_prepare_ref, rf_attention_prepare_cpu;
rf_attention_fn         rf_attention_ref, rf_attention_cpu;

#ifdef __cplusplus
}
#endif
#endif
