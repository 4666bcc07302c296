/* How the sm80 gemm lays out its packed weights: what both the kernel and those who only count
 * bytes must know. */
#ifndef RF_SM80_GEMM_PLAN_H
#define RF_SM80_GEMM_PLAN_H

#include "kernels/gemm/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_GEMM_PIECE_SM80 = 8 }; /* elements that move at once: 16 bytes */

static inline int rf_gemm_whole_pieces_sm80(int elems)
{
    return (elems + RF_GEMM_PIECE_SM80 - 1) / RF_GEMM_PIECE_SM80 * RF_GEMM_PIECE_SM80;
}

/* Rows of the packed weights: pieces of value and of gate take turns for GEGLU. */
static inline int rf_gemm_packed_rows_sm80(int n, rf_act act)
{
    return act == RF_ACT_GEGLU ? 2 * rf_gemm_whole_pieces_sm80(n / 2) : n;
}

#ifdef __cplusplus
}
#endif
#endif
