/* gemm, the oracle: three loops, double accumulation, one rounding at the end. */
#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"

static double dot_row(const rf_gemm_args *a, size_t row, size_t col)
{
    const size_t k = (size_t)a->k, k1 = a->k1 ? (size_t)a->k1 : k;
    double       sum = 0;
    for (size_t i = 0; i < k; i++) {
        const double x = i < k1 ? rf_load(a->x, a->dtype, row * k1 + i)
                                : rf_load(a->x2, a->dtype, row * (k - k1) + i - k1);
        sum += x * (double)rf_load(a->w, a->wdtype, col * k + i);
    }
    return a->bias ? sum + (double)a->bias[col] : sum;
}

static double gelu(double v)
{
    return v / 2 * erfc(-v / sqrt(2));
}

static double activate(rf_act act, double v)
{
    switch (act) {
    case RF_ACT_SILU: return v / (1 + exp(-v));
    case RF_ACT_GELU: return gelu(v);
    case RF_ACT_QUICK_GELU: return v / (1 + exp(-1.702 * v));
    default: return v;
    }
}

rf_status rf_gemm_prepare_ref(void *stream, const rf_gemm_args *a, size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    return rf_gemm_check(a);
}

rf_status rf_gemm_ref(void *stream, const rf_gemm_args *a)
{
    (void)stream;
    const rf_status st = rf_gemm_check(a);
    if (st != RF_OK) return st;

    const int    gated = a->act == RF_ACT_GEGLU;
    const size_t cols = (size_t)(gated ? a->n / 2 : a->n);
    for (size_t row = 0; row < (size_t)a->m; row++)
        for (size_t col = 0; col < cols; col++) {
            const size_t at = row * cols + col;
            double       v = dot_row(a, row, col);
            if (a->residual) v += (double)rf_load(a->residual, a->dtype, at);
            v = gated ? v * gelu(dot_row(a, row, cols + col)) : activate(a->act, v);
            rf_store(a->y, a->dtype, at, (float)v);
        }
    return RF_OK;
}

rf_status rf_gemm_pack_bytes_ref(void *stream, const rf_gemm_weight_shape *s, size_t *bytes)
{
    (void)stream;
    *bytes = 0;
    if (s->n < 1 || s->k < 1) return RF_E_SHAPE;
    *bytes = (size_t)s->n * (size_t)s->k * rf_dtype_bytes(s->wdtype);
    return RF_OK;
}

rf_status rf_gemm_pack_ref(void *stream, const rf_gemm_weight_shape *s, void *dst, const void *src)
{
    size_t          bytes;
    const rf_status st = rf_gemm_pack_bytes_ref(stream, s, &bytes);
    if (st == RF_OK) memcpy(dst, src, bytes);
    return st;
}
