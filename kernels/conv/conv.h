/* conv: 3x3 convolution on channels-last maps, fused with what surrounds it.
 *
 *   y[b, oy, ox, :] = sum over ky, kx of u[b, oy*stride + ky - pad, ox*stride + kx - pad, :] · w
 *                     + bias + temb[temb_row[b]] + residual[b, oy, ox, :]
 *   where u is x, or x enlarged twice by nearest neighbour if `up2`; outside u it is zero.
 *
 *   x         [n, h, w, cin]    dtype
 *   wt        [cout, 3, 3, cin] packed by the same level's pack function (that order for ref)
 *   bias      [cout]            f32, or NULL
 *   temb      [rows, temb_stride] dtype, or NULL: row temb_row[b] is added to every pixel of b
 *   residual  [n, ho, wo, cout] dtype, or NULL; may be y itself, must not overlap it otherwise
 *   y         [n, ho, wo, cout] dtype; must not overlap x
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
    const void    *x;
    const void    *wt;
    const float   *bias;
    const void    *temb;
    const int32_t *temb_row; /* [n] */
    const void    *residual;
    void          *workspace;
    int            n, h, w, cin, cout;
    int            temb_stride; /* elements between rows of temb */
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

rf_conv_prepare_fn    rf_conv_prepare_ref, rf_conv_prepare_cpu;
rf_conv_fn            rf_conv_ref, rf_conv_cpu;
rf_conv_pack_bytes_fn rf_conv_pack_bytes_ref, rf_conv_pack_bytes_cpu;
rf_conv_pack_fn       rf_conv_pack_ref, rf_conv_pack_cpu;

#ifdef __cplusplus
}
#endif
#endif
