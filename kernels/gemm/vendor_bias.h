/* The one kernel of the vendor level's gemm. */
#ifndef RF_VENDOR_BIAS_H
#define RF_VENDOR_BIAS_H

#include "kernels/device/gpu.h"
#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dst [n] of `dtype` (f16 or bf16) = src [n] f32, rounded to nearest even.  Queued. */
rf_status rf_gemm_narrow_bias(const rf_gpu *gpu, void *dst, const float *src, int n,
                              rf_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
