/* The profiler's two functions, as CUDA declares them; see cuda_runtime_api.h beside it. */
#ifndef RF_STANDIN_CUDA_PROFILER_API_H
#define RF_STANDIN_CUDA_PROFILER_API_H

#include "tests/emulator/runtime/cuda_runtime_api.h"

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t cudaProfilerStart(void);
cudaError_t cudaProfilerStop(void);

#ifdef __cplusplus
}
#endif
#endif
