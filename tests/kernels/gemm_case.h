/* What the tests of every gemm level share: the rows, the oracle's result, and the size of its
 * terms, from which the bound follows. */
#ifndef RF_GEMM_CASE_H
#define RF_GEMM_CASE_H

#include "kernels/gemm/gemm.h"
#include "tests/kernels/check.h"

typedef struct gemm_row {
    const char *name;
    int         m, n, k, k1;
    rf_act      act;
} gemm_row;

extern const gemm_row gemm_rows[];
extern const int      gemm_rows_count;

const gemm_row *gemm_row_named(const char *name); /* fails the test if there is none */

/* Columns of y. */
int gemm_cols(const gemm_row *r);

/* The reference's result on f32 copies of this case's buffers; CHECK_ABS gives the sum of |terms|.
 * `residual` stands for a.residual, which may already hold y. */
float *gemm_reference(check *k, rf_gemm_args a, const void *residual, rf_act act, check_view view);

/* Sum of |terms| of each output. */
float *gemm_magnitude(check *k, const rf_gemm_args *a, const void *residual);

#endif
