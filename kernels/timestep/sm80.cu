/* timestep: a thread per frequency of a row, in f64 as the contract says.
 *
 * Some thousand values once a run, outside the loop: f64, slow on consumer cards, costs nothing
 * here. */
#include "kernels/timestep/timestep.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    SINES_FIRST,
    STRIDE_LOST, /* rows lie without a gap */
};

enum { THREADS = 128 };

template <class T> RF_KERNEL(THREADS) timestep_kernel(const __grid_constant__ rf_timestep_args a)
{
    const int half = a.dim / 2, i = (int)blockIdx.y * THREADS + (int)threadIdx.x;
    const int r = (int)blockIdx.x;
    if (i >= half) return;
    const double log_10000 = 9.2103403719761827;
    const double angle = (double)a.value[r] * exp(-log_10000 * i / half);
    const double turn = angle / 3.1415926535897932; /* cos and sin reduce angles in local memory */
    T           *y = (T *)a.y + (size_t)r * (size_t)(RF_DEFECT(STRIDE_LOST) ? a.dim : a.y_stride);
    y[RF_DEFECT(SINES_FIRST) ? half + i : i] = narrow<T>((float)cospi(turn));
    y[RF_DEFECT(SINES_FIRST) ? i : half + i] = narrow<T>((float)sinpi(turn));
}

extern "C" rf_status rf_timestep_sm80(void *stream, const rf_timestep_args *a)
{
    enum { DIM_MOST = 2 * THREADS * 65535 }; /* of a grid's second axis */
    const rf_gpu *gpu = (const rf_gpu *)stream;
    if (rf_timestep_check(a) != RF_OK || a->dim > DIM_MOST) return RF_E_SHAPE;
    const dim3 grid((unsigned)a->m, ((unsigned)a->dim / 2 + THREADS - 1) / THREADS);
    switch (a->dtype) {
    case RF_F16: return rf_launch(timestep_kernel<f16>, grid, THREADS, 0, gpu, *a);
    case RF_BF16: return rf_launch(timestep_kernel<bf16>, grid, THREADS, 0, gpu, *a);
    default: return rf_launch(timestep_kernel<float>, grid, THREADS, 0, gpu, *a);
    }
}
