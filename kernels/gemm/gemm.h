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
    void        *workspace; /* as many bytes as prepare said, 64-byte aligned; NULL if 0 */
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

/* Rows: name, m, n, k, k1, act, why.
 * Used by tests/ and bench/ alike; tests leave out what a plain reference cannot do in time.
 * m is for one image without CFG: 1024x1024 gives 128 x 128 pixels at the UNet's top level. */
#define RF_GEMM_SHAPES(X)                                                                          \
    X(edge_one, 1, 1, 1, 0, RF_ACT_NONE, "smallest legal")                                         \
    X(edge_k4_n4, 19, 4, 4, 0, RF_ACT_NONE, "VAE post_quant_conv")                                 \
    X(edge_n3, 33, 3, 63, 0, RF_ACT_NONE, "n below any vector, k odd")                             \
    X(edge_below, 63, 63, 31, 0, RF_ACT_SILU, "tile - 1 in every axis")                            \
    X(edge_exact, 64, 64, 32, 0, RF_ACT_GELU, "one tile exactly")                                  \
    X(edge_above, 65, 65, 33, 0, RF_ACT_QUICK_GELU, "tile + 1 in every axis")                      \
    X(edge_geglu, 5, 34, 20, 0, RF_ACT_GEGLU, "halves not a block wide")                           \
    X(edge_geglu_strip, 3, 1030, 16, 0, RF_ACT_GEGLU, "one past the 512-wide strip")               \
    X(edge_two, 17, 24, 21, 9, RF_ACT_NONE, "odd cut between two sources")                         \
    X(edge_chunk_below, 255, 40, 48, 16, RF_ACT_NONE, "cpu chunk of rows - 1")                     \
    X(edge_chunk, 256, 40, 48, 16, RF_ACT_SILU, "cpu chunk exactly")                               \
    X(edge_chunk_above, 257, 40, 48, 16, RF_ACT_GEGLU, "cpu chunk + 1, everything")                \
    X(edge_chunks, 600, 66, 34, 0, RF_ACT_GELU, "two chunks and a rest")                           \
    X(edge_sm80_square, 129, 136, 72, 0, RF_ACT_NONE, "128 x 128 tiles + 1, k a step and 8")       \
    X(edge_sm80_wide, 127, 480, 136, 64, RF_ACT_SILU, "128 x 160 tiles, two sources")              \
    X(edge_sm80_tall, 100, 320, 200, 0, RF_ACT_GEGLU, "256 x 160 tiles, gated")                    \
    X(edge_sm80_ragged, 65, 170, 141, 77, RF_ACT_GELU, "no 16-byte pieces anywhere")               \
    X(time_embed_1, 1, 1280, 320, 0, RF_ACT_SILU, "time_embed.0")                                  \
    X(time_embed_all, 30, 1280, 1280, 0, RF_ACT_NONE, "time_embed.2, 30 steps")                    \
    X(label_embed, 1, 1280, 2816, 0, RF_ACT_SILU, "label_emb.0.0")                                 \
    X(clip_l_qkv, 77, 2304, 768, 0, RF_ACT_NONE, "CLIP-L")                                         \
    X(clip_l_mlp, 77, 3072, 768, 0, RF_ACT_QUICK_GELU, "CLIP-L")                                   \
    X(clip_g_qkv, 77, 3840, 1280, 0, RF_ACT_NONE, "bigG")                                          \
    X(clip_g_mlp, 77, 5120, 1280, 0, RF_ACT_GELU, "bigG")                                          \
    X(clip_g_out, 77, 1280, 5120, 0, RF_ACT_NONE, "bigG")                                          \
    X(unet_kv, 77, 2560, 2048, 0, RF_ACT_NONE, "cross k and v, per prompt")                        \
    X(unet_256_2, 256, 1280, 1280, 0, RF_ACT_NONE, "512x512, level 2, attn out")                   \
    X(unet_256_2_geglu, 256, 10240, 1280, 0, RF_ACT_GEGLU, "512x512, level 2")                     \
    X(unet_1k_1, 1024, 640, 640, 0, RF_ACT_NONE, "512x512, level 1, attn out")                     \
    X(unet_1k_1_geglu, 1024, 5120, 640, 0, RF_ACT_GEGLU, "512x512, level 1")                       \
    X(unet_1k_2, 1024, 1280, 1280, 0, RF_ACT_NONE, "level 2: attn out, q2, proj")                  \
    X(unet_1k_2_qkv, 1024, 3840, 1280, 0, RF_ACT_NONE, "level 2: self q, k, v")                    \
    X(unet_1k_2_geglu, 1024, 10240, 1280, 0, RF_ACT_GEGLU, "level 2: 24 % of the UNet")            \
    X(unet_1k_2_ff, 1024, 1280, 5120, 0, RF_ACT_NONE, "level 2: ff out")                           \
    X(unet_1k_2_skip, 1024, 1280, 2560, 1280, RF_ACT_NONE, "level 2: 1x1 skip")                    \
    X(unet_1k_2_skip_1920, 1024, 1280, 1920, 1280, RF_ACT_NONE, "level 2: 1x1 skip")               \
    X(unet_1k_2_skip_640, 1024, 1280, 640, 0, RF_ACT_NONE, "level 2: 1x1 skip")                    \
    X(unet_4k_1, 4096, 640, 640, 0, RF_ACT_NONE, "level 1: attn out, q2, proj")                    \
    X(unet_4k_1_qkv, 4096, 1920, 640, 0, RF_ACT_NONE, "level 1: self q, k, v")                     \
    X(unet_4k_1_geglu, 4096, 5120, 640, 0, RF_ACT_GEGLU, "level 1")                                \
    X(unet_4k_1_ff, 4096, 640, 2560, 0, RF_ACT_NONE, "level 1: ff out")                            \
    X(unet_4k_1_skip, 4096, 640, 1920, 1280, RF_ACT_NONE, "level 1: 1x1 skip")                     \
    X(unet_4k_1_skip_1280, 4096, 640, 1280, 640, RF_ACT_NONE, "level 1: 1x1 skip")                 \
    X(unet_4k_1_skip_960, 4096, 640, 960, 640, RF_ACT_NONE, "level 1: 1x1 skip")                   \
    X(unet_4k_1_skip_320, 4096, 640, 320, 0, RF_ACT_NONE, "level 1: 1x1 skip")                     \
    X(unet_16k_0_skip, 16384, 320, 960, 640, RF_ACT_NONE, "level 0: 1x1 skip")                     \
    X(unet_16k_0_skip_640, 16384, 320, 640, 320, RF_ACT_NONE, "level 0: 1x1 skip")                 \
    X(refiner_time, 1, 1536, 384, 0, RF_ACT_SILU, "refiner: time_embed.0")                         \
    X(refiner_label, 1, 1536, 2560, 0, RF_ACT_SILU, "refiner: label_emb.0.0")                      \
    X(refiner_kv, 77, 3072, 1280, 0, RF_ACT_NONE, "refiner: cross k and v, per prompt")            \
    X(refiner_256_3_skip, 256, 1536, 3072, 1536, RF_ACT_NONE, "refiner, level 3: 1x1 skip")        \
    X(refiner_1k_2, 1024, 1536, 1536, 0, RF_ACT_NONE, "refiner, level 2: attn out, q2, proj")      \
    X(refiner_1k_2_qkv, 1024, 4608, 1536, 0, RF_ACT_NONE, "refiner, level 2: self q, k, v")        \
    X(refiner_1k_2_geglu, 1024, 12288, 1536, 0, RF_ACT_GEGLU, "refiner, level 2")                  \
    X(refiner_1k_2_ff, 1024, 1536, 6144, 0, RF_ACT_NONE, "refiner, level 2: ff out")               \
    X(refiner_1k_2_skip, 1024, 1536, 2304, 1536, RF_ACT_NONE, "refiner, level 2: 1x1 skip")        \
    X(refiner_4k_1, 4096, 768, 768, 0, RF_ACT_NONE, "refiner, level 1: attn out, q2, proj")        \
    X(refiner_4k_1_qkv, 4096, 2304, 768, 0, RF_ACT_NONE, "refiner, level 1: self q, k, v")         \
    X(refiner_4k_1_geglu, 4096, 6144, 768, 0, RF_ACT_GEGLU, "refiner, level 1")                    \
    X(refiner_4k_1_skip, 4096, 768, 1152, 768, RF_ACT_NONE, "refiner, level 1: 1x1 skip")          \
    X(refiner_16k_0_skip, 16384, 384, 1152, 768, RF_ACT_NONE, "refiner, level 0: 1x1 skip")        \
    X(vae_post_quant, 16384, 4, 4, 0, RF_ACT_NONE, "1x1 on the latent")                            \
    X(vae_qkv, 16384, 1536, 512, 0, RF_ACT_NONE, "mid attention")                                  \
    X(vae_skip, 65536, 256, 512, 0, RF_ACT_NONE, "1x1 skip, upper levels")                         \
    X(rate, 4096, 1280, 1280, 0, RF_ACT_NONE, "what bench calls the machine's rate")

rf_gemm_prepare_fn rf_gemm_prepare_ref, rf_gemm_prepare_cpu, rf_gemm_prepare_sm80,
    rf_gemm_prepare_vendor;
rf_gemm_fn            rf_gemm_ref, rf_gemm_cpu, rf_gemm_sm80, rf_gemm_vendor;
rf_gemm_pack_bytes_fn rf_gemm_pack_bytes_ref, rf_gemm_pack_bytes_cpu, rf_gemm_pack_bytes_sm80,
    rf_gemm_pack_bytes_vendor;
rf_gemm_pack_fn rf_gemm_pack_ref, rf_gemm_pack_cpu, rf_gemm_pack_sm80, rf_gemm_pack_vendor;

#ifdef __cplusplus
}
#endif
#endif
