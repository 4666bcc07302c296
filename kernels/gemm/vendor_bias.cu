/* A bias in y's type: cuBLASLt adds no other, and the engine keeps biases in f32.
 *
 * n elements a call, some microseconds of launch and next to nothing of work: a piece a thread. */
#include "kernels/gemm/vendor_bias.h"

#include "kernels/device/gpu.cuh"
#include "kernels/device/piece.cuh"

typedef struct bias_call {
    void        *dst;
    const float *src;
    int          n;
} bias_call;

enum { BIAS_THREADS = 256 };

template <class T> RF_KERNEL(BIAS_THREADS) vendor_bias_kernel(const __grid_constant__ bias_call c)
{
    const int first = ((int)blockIdx.x * BIAS_THREADS + (int)threadIdx.x) * PIECE;
    if (first >= c.n) return;
    const int count = c.n - first < PIECE ? c.n - first : PIECE;
    float     v[PIECE];
    load_few(v, c.src + first, count);
    store_few((T *)c.dst + first, v, count);
}

extern "C" rf_status rf_gemm_narrow_bias(const rf_gpu *gpu, void *dst, const float *src, int n,
                                         rf_dtype dtype)
{
    const int       per_block = BIAS_THREADS * PIECE;
    const dim3      grid((unsigned)((n + per_block - 1) / per_block));
    const bias_call c = {dst, src, n};
    return dtype == RF_F16 ? rf_launch(vendor_bias_kernel<f16>, grid, BIAS_THREADS, 0, gpu, c)
                           : rf_launch(vendor_bias_kernel<bf16>, grid, BIAS_THREADS, 0, gpu, c);
}
