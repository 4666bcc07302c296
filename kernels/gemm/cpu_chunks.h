/* The gemm for products whose bits depend on the number of rows or threads (rf_dnn_alone): the
 * contract of gemm.h, for arguments that were checked. */
#ifndef RF_GEMM_CPU_CHUNKS_H
#define RF_GEMM_CPU_CHUNKS_H

#include "kernels/gemm/gemm.h"

rf_gemm_prepare_fn rf_gemm_chunks_prepare;
rf_gemm_fn         rf_gemm_chunks;

#endif
