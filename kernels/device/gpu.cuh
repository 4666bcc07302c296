/* The one nvcc-or-host switch.  A .cu file includes this and ptx.cuh and nothing else of CUDA's.
 *
 * Under nvcc it brings CUDA's own headers.  Under a host C++17 compiler it declares what kernels
 * use of them (kernels/device/emulated.cuh) and needs no CUDA header: the same kernels then run on
 * the CPU, for tests.  RF_EMULATED tells the two apart.
 *
 * Kernels take one struct by value and keep all their shared memory in one dynamic buffer. */
#ifndef RF_GPU_CUH
#define RF_GPU_CUH

#include <stdint.h>
#include <string.h>

#include "kernels/device/gpu.h"
#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __CUDACC__
#define RF_EMULATED 0
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define RF_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#define RF_UNROLL       _Pragma("unroll")
#define RF_ROLLED       _Pragma("unroll 1")
#define RF_DEFECT(d)    false
#else
#define RF_EMULATED 1
#include "kernels/device/emulated.cuh"
#define RF_SHARED(name) unsigned char *name = emu::shared_memory()
#define RF_UNROLL
#define RF_ROLLED
#define RF_DEFECT(d) (emu::planted_defect() == (d)) /* a fault that a test asked for */
#endif

#define RF_DEVICE          static __device__ __forceinline__
#define RF_KERNEL(threads) static __global__ void __launch_bounds__(threads)

/* 16-bit storage: bits in memory, f32 in arithmetic. */
typedef struct f16 {
    uint16_t bits;
} f16;
typedef struct bf16 {
    uint16_t bits;
} bf16;

/* Eight 16-bit elements or four f32: the widest access a thread can make. */
typedef struct alignas(16) chunk16 {
    uint32_t word[4];
} chunk16;

/* Round to nearest, ties to even: `lo` in the low half, as the lower address. */
RF_DEVICE uint32_t pack_two(f16, float lo, float hi)
{
#if RF_EMULATED
    return rf_f16_from_f32(lo) | (uint32_t)rf_f16_from_f32(hi) << 16;
#else
    const __half2 v = __floats2half2_rn(lo, hi);
    return (uint32_t)__half_as_ushort(__low2half(v)) | (uint32_t)__half_as_ushort(__high2half(v))
                                                           << 16;
#endif
}

RF_DEVICE uint32_t pack_two(bf16, float lo, float hi)
{
#if RF_EMULATED
    return rf_bf16_from_f32(lo) | (uint32_t)rf_bf16_from_f32(hi) << 16;
#else
    const __nv_bfloat162 v = __floats2bfloat162_rn(lo, hi);
    return (uint32_t)__bfloat16_as_ushort(__low2bfloat16(v)) |
           (uint32_t)__bfloat16_as_ushort(__high2bfloat16(v)) << 16;
#endif
}

RF_DEVICE float widen(f16 x)
{
#if RF_EMULATED
    return rf_f32_from_f16(x.bits);
#else
    return __half2float(__ushort_as_half(x.bits));
#endif
}

RF_DEVICE float widen(bf16 x)
{
#if RF_EMULATED
    return rf_f32_from_bf16(x.bits);
#else
    return __bfloat162float(__ushort_as_bfloat16(x.bits));
#endif
}

RF_DEVICE float widen(float x)
{
    return x;
}

template <class T> RF_DEVICE T narrow(float x)
{
    if constexpr (sizeof(T) == sizeof(float))
        return x;
    else
        return T{(uint16_t)pack_two(T{}, x, 0.f)};
}

/* One rounding each, never fused: where the bits are part of a contract. */
RF_DEVICE float multiply_rounded(float a, float b)
{
#if RF_EMULATED
    return a * b;
#else
    return __fmul_rn(a, b);
#endif
}

RF_DEVICE float add_rounded(float a, float b)
{
#if RF_EMULATED
    return a + b;
#else
    return __fadd_rn(a, b);
#endif
}

template <class T> RF_DEVICE void unpack_two(uint32_t two, float *lo, float *hi)
{
    *lo = widen(T{(uint16_t)two});
    *hi = widen(T{(uint16_t)(two >> 16)});
}

/* Launches kernel<<<grid, threads, shared_bytes>>>(args).  RF_E_DEVICE if the launch is refused;
 * a fault inside the kernel surfaces at the next synchronisation (at once when emulated without a
 * stream). */
template <class Args>
static rf_status rf_launch(void (*kernel)(Args), dim3 grid, int threads, int shared_bytes,
                           const rf_gpu *gpu, const Args &args)
{
#if RF_EMULATED
    return emu::launch(kernel, grid, threads, shared_bytes, gpu->shared_bytes_max, gpu->stream,
                       args);
#else
    /* Above 48 KiB a kernel must opt in (Programming Guide, cudaFuncSetAttribute).  Not so the
     * samplers' sums, the only kernels between two calls of the UNet that are in no graph. */
    void *list[] = {const_cast<Args *>(&args)};
    if (shared_bytes > 48 << 10 &&
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes) !=
            cudaSuccess)
        return RF_E_DEVICE;
    return cudaLaunchKernel((const void *)kernel, grid, dim3((unsigned)threads), list,
                            (size_t)shared_bytes, (cudaStream_t)gpu->stream) == cudaSuccess
               ? RF_OK
               : RF_E_DEVICE;
#endif
}

#endif
