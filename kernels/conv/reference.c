/* conv, the oracle: the formula of the header, double accumulation, one rounding at the end. */
#include <string.h>

#include "kernels/conv/conv.h"

/* Padding before the first row and column. */
static int pad_before(rf_conv_kind kind)
{
    return kind == RF_CONV_DOWN_RB ? 0 : 1;
}

/* Channel `ci` of the input pixel `at`. */
static double input(const rf_conv_args *a, size_t at, size_t ci)
{
    const size_t cin = (size_t)a->cin, c1 = a->cin1 ? (size_t)a->cin1 : cin;
    return (double)(ci < c1 ? rf_load(a->x, a->dtype, at * c1 + ci)
                            : rf_load(a->x2, a->dtype, at * (cin - c1) + ci - c1));
}

static double pixel(const rf_conv_args *a, int b, int oy, int ox, int co)
{
    const int up = a->kind == RF_CONV_UP2 ? 2 : 1, pad = pad_before(a->kind);
    const int stride = a->kind == RF_CONV_DOWN || a->kind == RF_CONV_DOWN_RB ? 2 : 1;
    double    sum = 0;
    for (int ky = 0; ky < 3; ky++)
        for (int kx = 0; kx < 3; kx++) {
            const int uy = oy * stride + ky - pad, ux = ox * stride + kx - pad;
            if (uy < 0 || uy >= up * a->h || ux < 0 || ux >= up * a->w) continue;
            const size_t row = ((size_t)b * a->h + uy / up) * a->w + ux / up;
            const size_t tap = ((size_t)co * 3 + ky) * 3 + kx;
            for (size_t ci = 0; ci < (size_t)a->cin; ci++)
                sum += input(a, row, ci) * (double)rf_load(a->wt, a->wdtype, tap * a->cin + ci);
        }
    return sum;
}

rf_status rf_conv_prepare_ref(void *stream, const rf_conv_args *a, size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    return rf_conv_check(a);
}

rf_status rf_conv_ref(void *stream, const rf_conv_args *a)
{
    (void)stream;
    const rf_status st = rf_conv_check(a);
    if (st != RF_OK) return st;

    const int ho = rf_conv_out(a->kind, a->h), wo = rf_conv_out(a->kind, a->w);
    size_t    at = 0;
    for (int b = 0; b < a->n; b++)
        for (int oy = 0; oy < ho; oy++)
            for (int ox = 0; ox < wo; ox++)
                for (int co = 0; co < a->cout; co++, at++) {
                    double v = pixel(a, b, oy, ox, co);
                    if (a->bias) v += (double)a->bias[co];
                    if (a->temb)
                        v += (double)rf_load(a->temb, a->dtype,
                                             (size_t)a->temb_row[b] * a->temb_stride + co);
                    if (a->residual) v += (double)rf_load(a->residual, a->dtype, at);
                    rf_store(a->y, a->dtype, at, (float)(a->relu && v < 0 ? 0 : v));
                }
    return RF_OK;
}

rf_status rf_conv_pack_bytes_ref(void *stream, const rf_conv_weight_shape *s, size_t *bytes)
{
    (void)stream;
    *bytes = 0;
    if (s->cin < 1 || s->cout < 1) return RF_E_SHAPE;
    *bytes = (size_t)s->cout * (size_t)s->cin * 9 * rf_dtype_bytes(s->wdtype);
    return RF_OK;
}

rf_status rf_conv_pack_ref(void *stream, const rf_conv_weight_shape *s, void *dst, const void *src)
{
    size_t          bytes;
    const rf_status st = rf_conv_pack_bytes_ref(stream, s, &bytes);
    if (st != RF_OK) return st;

    const size_t size = rf_dtype_bytes(s->wdtype), cin = (size_t)s->cin;
    for (size_t co = 0; co < (size_t)s->cout; co++)
        for (size_t ci = 0; ci < cin; ci++)
            for (size_t tap = 0; tap < 9; tap++)
                memcpy((char *)dst + ((co * 9 + tap) * cin + ci) * size,
                       (const char *)src + ((co * cin + ci) * 9 + tap) * size, size);
    return RF_OK;
}
