/* The pass after a product on the CPU: activation and residual on f32 rows, one rounding. */
#ifndef RF_GEMM_CPU_ACT_H
#define RF_GEMM_CPU_ACT_H

#include "kernels/gemm/gemm.h"

/* Rows row0 .. row0+rows-1 of a->y from `product` [rows, n], which holds x · wᵀ + bias. */
void rf_gemm_act_rows(const rf_gemm_args *a, const float *product, int row0, int rows, int threads);

#endif
