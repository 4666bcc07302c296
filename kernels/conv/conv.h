/* conv: 3x3 convolution on channels-last maps, fused with what surrounds it.  (1x1 is gemm.)
 *
 *   y[b, oy, ox, :] = sum over ky, kx of u[b, oy*stride + ky - pad, ox*stride + kx - pad, :] · w
 *                     + bias + temb[temb_row[b]] + residual[b, oy, ox, :]
 *   and with `relu` the larger of that and 0 (NaN stays NaN)
 *   where u is x, or x enlarged twice by nearest neighbour if `up2`; outside u it is zero.
 *
 *   x         [n, h, w, cin]    dtype; with x2: channels 0..cin1-1 from x [n, h, w, cin1], the rest
 *                               from x2 [n, h, w, cin-cin1]
 *   wt        [cout, 3, 3, cin] packed by the same level's pack function (that order for ref)
 *   bias      [cout]            f32, or NULL
 *   temb      [rows, temb_stride] dtype, or NULL: row temb_row[b] is added to every pixel of b
 *   residual  [n, ho, wo, cout] dtype, or NULL; may be y itself, must not overlap it otherwise
 *   y         [n, ho, wo, cout] dtype; must not overlap x or x2
 *
 *   hu, wu = 2h, 2w if up2, else h, w.
 *   stride 1:        ho, wo = hu, wu             (pad 1 on all sides)
 *   stride 2:        ho, wo = (hu + 1)/2, ...    (pad 1 on all sides: the UNet)
 *   RF_CONV_DOWN_RB: ho, wo = hu/2, wu/2         (stride 2, pad 1 right and bottom: VAE encoder)
 *
 * Image b of y depends on image b of x alone, not on n or the thread count.
 * Errors: RF_E_SHAPE if a size rule is broken (y untouched). */
#ifndef RF_CONV_H
#define RF_CONV_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_conv_kind {
    RF_CONV_SAME = 0, /* stride 1 */
    RF_CONV_DOWN,     /* stride 2, symmetric padding */
    RF_CONV_DOWN_RB,  /* stride 2, padding right and bottom */
    RF_CONV_UP2,      /* nearest 2x, then stride 1 */
} rf_conv_kind;

typedef struct rf_conv_args {
    void          *y;
    const void    *x, *x2;
    const void    *wt;
    const float   *bias;
    const void    *temb;
    const int32_t *temb_row; /* [n] */
    const void    *residual;
    void          *workspace; /* 64-byte aligned */
    int            n, h, w, cin, cout;
    int            cin1;        /* channels taken from x; 0 means cin (and x2 is NULL) */
    int            temb_stride; /* elements between rows of temb */
    int            relu;
    rf_conv_kind   kind;
    rf_dtype       dtype, wdtype;
} rf_conv_args;

/* Output height and width. */
static inline int rf_conv_out(rf_conv_kind kind, int size)
{
    switch (kind) {
    case RF_CONV_DOWN: return (size + 1) / 2;
    case RF_CONV_DOWN_RB: return size / 2;
    case RF_CONV_UP2: return size * 2;
    default: return size;
    }
}

/* The size rules that hold at every level: RF_OK or RF_E_SHAPE. */
static inline rf_status rf_conv_check(const rf_conv_args *a)
{
    if (a->n < 1 || a->h < 1 || a->w < 1 || a->cin < 1 || a->cout < 1) return RF_E_SHAPE;
    if (a->cin1 < 0 || a->cin1 > a->cin) return RF_E_SHAPE;
    if (a->kind == RF_CONV_DOWN_RB && (a->h < 2 || a->w < 2)) return RF_E_SHAPE;
    if (a->temb && a->temb_stride < a->cout) return RF_E_SHAPE;
    return (unsigned)a->kind <= RF_CONV_UP2 && (unsigned)a->dtype < RF_DTYPES &&
                   (unsigned)a->wdtype < RF_DTYPES
               ? RF_OK
               : RF_E_SHAPE;
}

typedef rf_status rf_conv_prepare_fn(void *stream, const rf_conv_args *a, size_t *workspace_bytes);
typedef rf_status rf_conv_fn(void *stream, const rf_conv_args *a);

typedef struct rf_conv_weight_shape {
    int          cin, cout;
    rf_conv_kind kind;
    rf_dtype     dtype, wdtype;
} rf_conv_weight_shape;

/* `src` is in the file's order, [cout, cin, 3, 3]. */
typedef rf_status rf_conv_pack_bytes_fn(void *stream, const rf_conv_weight_shape *s, size_t *bytes);
typedef rf_status rf_conv_pack_fn(void *stream, const rf_conv_weight_shape *s, void *dst,
                                  const void *src);

/* Rows: name, n, h, w, cin, cin1, cout, kind, why.
 * Used by tests/ and bench/ alike; tests leave out what a plain reference cannot do in time.
 * n = 1 in real rows: images are convolved one by one at the cpu level. */
#define RF_CONV_SHAPES(X)                                                                          \
    X(edge_one_pixel, 1, 1, 1, 1, 0, 1, RF_CONV_SAME, "only the middle tap counts")                \
    X(edge_row, 2, 1, 7, 3, 0, 5, RF_CONV_SAME, "no row above or below")                           \
    X(edge_column, 1, 9, 1, 5, 0, 3, RF_CONV_SAME, "no column left or right")                      \
    X(edge_below, 1, 7, 15, 31, 0, 63, RF_CONV_SAME, "block - 1 in every axis")                    \
    X(edge_exact, 2, 8, 16, 32, 0, 64, RF_CONV_SAME, "one block exactly")                          \
    X(edge_above, 3, 9, 17, 33, 0, 65, RF_CONV_SAME, "block + 1 in every axis")                    \
    X(edge_small_map, 1, 8, 8, 320, 0, 64, RF_CONV_SAME, "other weights layout on cpu")            \
    X(edge_deep, 1, 4, 4, 256, 0, 128, RF_CONV_SAME, "oneDNN would cut its inputs by the threads") \
    X(edge_down, 2, 8, 10, 16, 0, 20, RF_CONV_DOWN, "even size, stride 2")                         \
    X(edge_down_odd, 1, 9, 7, 16, 0, 20, RF_CONV_DOWN, "odd size, stride 2")                       \
    X(edge_down_one, 1, 1, 1, 8, 0, 8, RF_CONV_DOWN, "one pixel stays one")                        \
    X(edge_rb, 2, 8, 10, 16, 0, 20, RF_CONV_DOWN_RB, "even: padding is read")                      \
    X(edge_rb_odd, 1, 9, 7, 16, 0, 20, RF_CONV_DOWN_RB, "odd: padding is not read")                \
    X(edge_up, 2, 5, 6, 16, 0, 20, RF_CONV_UP2, "one strip")                                       \
    X(edge_up_one, 1, 1, 1, 4, 0, 3, RF_CONV_UP2, "one pixel becomes four")                        \
    X(edge_up_strips, 1, 13, 3, 8, 0, 4, RF_CONV_UP2, "odd number of rows")                        \
    X(edge_two, 2, 5, 6, 40, 16, 24, RF_CONV_SAME, "two sources")                                  \
    X(edge_two_odd, 1, 6, 5, 21, 9, 12, RF_CONV_SAME, "odd cut between two sources")               \
    X(edge_two_down, 2, 6, 8, 48, 32, 20, RF_CONV_DOWN, "two sources, stride 2")                   \
    X(edge_two_up, 1, 3, 5, 24, 8, 16, RF_CONV_UP2, "two sources, enlarged")                       \
    X(edge_sm80_square, 2, 9, 8, 24, 0, 136, RF_CONV_SAME, "128 x 128 tiles + 1, k not a step")    \
    X(edge_sm80_wide, 3, 7, 9, 16, 0, 320, RF_CONV_SAME, "128 x 160 tiles, ragged below")          \
    X(edge_sm80_thin, 2, 8, 16, 24, 0, 16, RF_CONV_SAME, "128 x 16 tiles exactly")                 \
    X(edge_sm80_step, 1, 8, 8, 64, 0, 64, RF_CONV_SAME, "a step of k is a tap")                    \
    X(latent_to_unet, 1, 16, 16, 4, 0, 320, RF_CONV_SAME, "conv_in of a small picture")            \
    X(unet_to_latent, 1, 16, 16, 320, 0, 4, RF_CONV_SAME, "conv_out of a small picture")           \
    X(unet_in, 1, 128, 128, 4, 0, 320, RF_CONV_SAME, "conv_in")                                    \
    X(unet_out, 1, 128, 128, 320, 0, 4, RF_CONV_SAME, "conv_out")                                  \
    X(unet_16_1280, 1, 16, 16, 1280, 0, 1280, RF_CONV_SAME, "512x512, level 2")                    \
    X(unet_32_640, 1, 32, 32, 640, 0, 640, RF_CONV_SAME, "512x512, level 1")                       \
    X(unet_64_320, 1, 64, 64, 320, 0, 320, RF_CONV_SAME, "512x512, level 0")                       \
    X(unet_16_up, 1, 16, 16, 1280, 0, 1280, RF_CONV_UP2, "512x512, level 2 to 1")                  \
    X(unet_32_up_640, 1, 32, 32, 640, 0, 640, RF_CONV_UP2, "512x512, level 1 to 0")                \
    X(unet_32_1280, 1, 32, 32, 1280, 0, 1280, RF_CONV_SAME, "level 2, 10 of them")                 \
    X(unet_32_640_1280, 1, 32, 32, 640, 0, 1280, RF_CONV_SAME, "level 2, first")                   \
    X(unet_32_2560, 1, 32, 32, 2560, 0, 1280, RF_CONV_SAME, "level 2, after concatenation")        \
    X(unet_32_1920, 1, 32, 32, 1920, 0, 1280, RF_CONV_SAME, "level 2, after concatenation")        \
    X(unet_32_two, 1, 32, 32, 2560, 1280, 1280, RF_CONV_SAME, "the same, concatenation folded in") \
    X(unet_64_640, 1, 64, 64, 640, 0, 640, RF_CONV_SAME, "level 1")                                \
    X(unet_64_320_640, 1, 64, 64, 320, 0, 640, RF_CONV_SAME, "level 1, first")                     \
    X(unet_64_960, 1, 64, 64, 960, 0, 640, RF_CONV_SAME, "level 1, after concatenation")           \
    X(unet_64_1280, 1, 64, 64, 1280, 0, 640, RF_CONV_SAME, "level 1, after concatenation")         \
    X(unet_64_1920, 1, 64, 64, 1920, 0, 640, RF_CONV_SAME, "level 1, after concatenation")         \
    X(unet_128_320, 1, 128, 128, 320, 0, 320, RF_CONV_SAME, "level 0")                             \
    X(unet_128_640, 1, 128, 128, 640, 0, 320, RF_CONV_SAME, "level 0, after concatenation")        \
    X(unet_128_960, 1, 128, 128, 960, 0, 320, RF_CONV_SAME, "level 0, after concatenation")        \
    X(unet_128_down, 1, 128, 128, 320, 0, 320, RF_CONV_DOWN, "level 0 to 1")                       \
    X(unet_64_down, 1, 64, 64, 640, 0, 640, RF_CONV_DOWN, "level 1 to 2")                          \
    X(unet_32_up, 1, 32, 32, 1280, 0, 1280, RF_CONV_UP2, "level 2 to 1")                           \
    X(unet_64_up, 1, 64, 64, 640, 0, 640, RF_CONV_UP2, "level 1 to 0")                             \
    X(refiner_in, 1, 128, 128, 4, 0, 384, RF_CONV_SAME, "refiner: conv_in")                        \
    X(refiner_out, 1, 128, 128, 384, 0, 4, RF_CONV_SAME, "refiner: conv_out")                      \
    X(refiner_128_384, 1, 128, 128, 384, 0, 384, RF_CONV_SAME, "refiner, level 0")                 \
    X(refiner_128_1152, 1, 128, 128, 1152, 0, 384, RF_CONV_SAME, "refiner, after concatenation")   \
    X(refiner_64_384_768, 1, 64, 64, 384, 0, 768, RF_CONV_SAME, "refiner, level 1, first")         \
    X(refiner_64_768, 1, 64, 64, 768, 0, 768, RF_CONV_SAME, "refiner, level 1")                    \
    X(refiner_32_1536, 1, 32, 32, 1536, 0, 1536, RF_CONV_SAME, "refiner, level 2")                 \
    X(refiner_16_1536, 1, 16, 16, 1536, 0, 1536, RF_CONV_SAME, "refiner, level 3")                 \
    X(refiner_16_two, 1, 16, 16, 3072, 1536, 1536, RF_CONV_SAME, "refiner, level 3, two sources")  \
    X(refiner_128_down, 1, 128, 128, 384, 0, 384, RF_CONV_DOWN, "refiner, level 0 to 1")           \
    X(refiner_32_down, 1, 32, 32, 1536, 0, 1536, RF_CONV_DOWN, "refiner, level 2 to 3")            \
    X(refiner_16_up, 1, 16, 16, 1536, 0, 1536, RF_CONV_UP2, "refiner, level 3 to 2")               \
    X(refiner_64_up, 1, 64, 64, 768, 0, 768, RF_CONV_UP2, "refiner, level 1 to 0")                 \
    X(vae_128_in, 1, 128, 128, 4, 0, 512, RF_CONV_SAME, "decoder conv_in")                         \
    X(vae_128_512, 1, 128, 128, 512, 0, 512, RF_CONV_SAME, "decoder, lowest level")                \
    X(vae_128_up, 1, 128, 128, 512, 0, 512, RF_CONV_UP2, "decoder, first enlargement")             \
    X(vae_256_512, 1, 256, 256, 512, 0, 512, RF_CONV_SAME, "decoder: 21 % of it")                  \
    X(vae_256_up, 1, 256, 256, 512, 0, 512, RF_CONV_UP2, "decoder, second enlargement")            \
    X(vae_512_256, 1, 512, 512, 256, 0, 256, RF_CONV_SAME, "decoder")                              \
    X(vae_512_512, 1, 512, 512, 512, 0, 256, RF_CONV_SAME, "decoder, where channels halve")        \
    X(vae_512_up, 1, 512, 512, 256, 0, 256, RF_CONV_UP2, "decoder, last enlargement")              \
    X(vae_1024_128, 1, 1024, 1024, 128, 0, 128, RF_CONV_SAME, "decoder, top level")                \
    X(vae_1024_256, 1, 1024, 1024, 256, 0, 128, RF_CONV_SAME, "decoder, where channels halve")     \
    X(vae_1024_out, 1, 1024, 1024, 128, 0, 3, RF_CONV_SAME, "decoder conv_out")                    \
    X(vae_1024_enc, 1, 1024, 1024, 3, 0, 128, RF_CONV_SAME, "encoder conv_in")                     \
    X(vae_1024_down, 1, 1024, 1024, 128, 0, 128, RF_CONV_DOWN_RB, "encoder")                       \
    X(vae_512_down, 1, 512, 512, 256, 0, 256, RF_CONV_DOWN_RB, "encoder")                          \
    X(vae_256_down, 1, 256, 256, 512, 0, 512, RF_CONV_DOWN_RB, "encoder")                          \
    X(vae_128_out, 1, 128, 128, 512, 0, 8, RF_CONV_SAME, "encoder conv_out")

rf_conv_prepare_fn rf_conv_prepare_ref, rf_conv_prepare_cpu, rf_conv_prepare_sm80,
    rf_conv_prepare_vendor;
rf_conv_fn            rf_conv_ref, rf_conv_cpu, rf_conv_sm80, rf_conv_vendor;
rf_conv_pack_bytes_fn rf_conv_pack_bytes_ref, rf_conv_pack_bytes_cpu, rf_conv_pack_bytes_sm80,
    rf_conv_pack_bytes_vendor;
rf_conv_pack_fn rf_conv_pack_ref, rf_conv_pack_cpu, rf_conv_pack_sm80, rf_conv_pack_vendor;

#ifdef __cplusplus
}
#endif
#endif
