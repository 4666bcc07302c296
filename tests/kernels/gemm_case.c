/* gemm_case: rows and oracle of the gemm tests. */
#include "tests/kernels/gemm_case.h"

#include <math.h>

#define ROW(name, m, n, k, k1, act, why) {#name, m, n, k, k1, act},
const gemm_row gemm_rows[] = {RF_GEMM_SHAPES(ROW)};
const int      gemm_rows_count = sizeof gemm_rows / sizeof *gemm_rows;

const gemm_row *gemm_row_named(const char *name)
{
    for (int i = 0; i < gemm_rows_count; i++)
        if (!strcmp(gemm_rows[i].name, name)) return &gemm_rows[i];
    cr_assert_fail("no row %s", name);
    return NULL;
}

int gemm_cols(const gemm_row *r)
{
    return r->act == RF_ACT_GEGLU ? r->n / 2 : r->n;
}

float *gemm_reference(check *k, rf_gemm_args a, const void *residual, rf_act act, check_view view)
{
    a.y = check_floats(k, (size_t)a.m * (size_t)a.n);
    a.x = check_widened(k, a.x, view);
    a.x2 = check_widened(k, a.x2, view);
    a.w = check_widened(k, a.w, view);
    a.bias = check_widened(k, a.bias, view);
    a.residual = check_widened(k, residual, view);
    a.dtype = a.wdtype = RF_F32;
    a.act = act;
    cr_assert_eq(rf_gemm_ref(NULL, &a), RF_OK);
    return a.y;
}

/* An activation passes an error on times its slope, 1.13 at most (GELU near 1.4); the product
 * v * gelu(g) passes on both factors' errors. */
float *gemm_magnitude(check *k, const rf_gemm_args *a, const void *residual)
{
    float       *sum = gemm_reference(k, *a, residual, RF_ACT_NONE, CHECK_ABS);
    const size_t cols = (size_t)a->n / 2;
    if (a->act != RF_ACT_GEGLU) {
        for (size_t i = 0; i < (size_t)a->m * (size_t)a->n && a->act != RF_ACT_NONE; i++)
            sum[i] *= 1.13f;
        return sum;
    }
    const float *exact = gemm_reference(k, *a, NULL, RF_ACT_NONE, CHECK_EXACT);
    float       *mag = check_floats(k, (size_t)a->m * cols);
    for (size_t i = 0; i < (size_t)a->m * cols; i++) {
        const size_t value = i / cols * 2 * cols + i % cols, gate = value + cols;
        mag[i] = sum[value] * fabsf(exact[gate]) + 1.13f * fabsf(exact[value]) * sum[gate];
    }
    return mag;
}
