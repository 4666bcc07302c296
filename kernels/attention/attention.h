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
 * Errors: RF_E_SHAPE if a size rule is broken (o untouched).
 *
 * sm80 takes f16 and bf16, pointers (also the table's bases) aligned to 16 bytes, strides and
 * kv_off that are multiples of 8 elements; all else is RF_E_SHAPE.  Its table lies in device memory
 * and is read when the kernel runs, so whoever fills it answers for its entries; a sample without
 * keys becomes NaN. */
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

/* The size rules, for every level. */
rf_status rf_attention_check(const rf_attention_args *a);

rf_attention_prepare_fn rf_attention_prepare_ref, rf_attention_prepare_cpu,
    rf_attention_prepare_sm80, rf_attention_prepare_vendor;
rf_attention_fn rf_attention_ref, rf_attention_cpu, rf_attention_sm80, rf_attention_vendor;

/* Used by tests/ and bench/ alike. */
#define RF_ATTENTION_SHAPES(X)                                                                     \
    /* name            n    sq    skv heads  d causal  why                                    */   \
    X(edge_one, 1, 1, 1, 1, 8, 0, "one key: the output is v")                                      \
    X(edge_one_query, 2, 1, 131, 2, 64, 0, "sq = 1; keys not a multiple of anything")              \
    X(edge_odd, 2, 67, 77, 3, 64, 0, "odd queries; one text chunk")                                \
    X(edge_block_less, 1, 63, 255, 1, 64, 0, "a query and a key block less one")                   \
    X(edge_block, 1, 64, 256, 1, 64, 0, "exactly one query and one key block")                     \
    X(edge_block_more, 1, 65, 257, 1, 64, 0, "one more: the last block holds one key")             \
    X(edge_wide, 1, 21, 300, 1, 512, 0, "largest d")                                               \
    X(edge_narrow, 2, 40, 33, 5, 40, 0, "d a multiple of 8 only")                                  \
    X(edge_causal, 2, 35, 35, 2, 64, 1, "causal, short")                                           \
    X(edge_causal_two, 1, 300, 300, 1, 64, 1, "causal: rows with a wholly masked block")           \
    X(edge_sm80_tall, 1, 257, 65, 2, 64, 0, "128 x 64 tiles + 1")                                  \
    X(edge_sm80_wide, 1, 65, 129, 1, 512, 0, "64 x 64 tiles + 1, all slices")                      \
    X(edge_sm80_slices, 2, 37, 70, 2, 200, 0, "a slice and a half, a tile with 8 columns")         \
    X(edge_sm80_causal, 1, 70, 70, 2, 136, 1, "causal, wide")                                      \
    X(edge_cross_1, 1, 33, 77, 2, 64, 0, "one chunk of text")                                      \
    X(edge_cross_2, 1, 33, 154, 2, 64, 0, "two")                                                   \
    X(edge_cross_3, 1, 33, 231, 2, 64, 0, "three")                                                 \
    X(tiny_self, 2, 64, 64, 2, 64, 0, "tiny checkpoint, 8x8")                                      \
    X(clip_l, 1, 77, 77, 12, 64, 1, "CLIP-L")                                                      \
    X(clip_g, 1, 77, 77, 20, 64, 1, "OpenCLIP bigG")                                               \
    X(unet_512_hi, 1, 1024, 1024, 10, 64, 0, "UNet self, 512 px, 32x32")                           \
    X(unet_512_lo, 1, 256, 256, 20, 64, 0, "UNet self, 512 px, 16x16")                             \
    X(unet_cross_hi, 1, 4096, 77, 10, 64, 0, "UNet cross, 1024 px, 64x64")                         \
    X(unet_cross_lo, 1, 1024, 154, 20, 64, 0, "UNet cross, 1024 px, 32x32, two chunks")            \
    X(unet_cross_hi_3, 1, 4096, 231, 10, 64, 0, "UNet cross, 1024 px, 64x64, three chunks")        \
    X(unet_1024_hi, 1, 4096, 4096, 10, 64, 0, "UNet self, 1024 px, 64x64")                         \
    X(unet_1024_lo, 1, 1024, 1024, 20, 64, 0, "UNet self, 1024 px, 32x32")                         \
    X(refiner_1024_hi, 1, 4096, 4096, 12, 64, 0, "refiner self, 1024 px, 64x64")                   \
    X(refiner_1024_lo, 1, 1024, 1024, 24, 64, 0, "refiner self, 1024 px, 32x32")                   \
    X(refiner_cross_lo, 1, 1024, 77, 24, 64, 0, "refiner cross, 1024 px, 32x32")                   \
    X(vae_512, 1, 4096, 4096, 1, 512, 0, "VAE middle, 512 px")                                     \
    X(vae_1024, 1, 16384, 16384, 1, 512, 0, "VAE middle, 1024 px")

#ifdef __cplusplus
}
#endif
#endif
