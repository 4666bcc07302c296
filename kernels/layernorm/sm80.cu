/* layernorm: a warp per row, the row in registers.
 *
 * Bandwidth bound: x is read once and y written once, 16 bytes a lane at a time; gamma and beta are
 * read again for every row, which the caches serve.  Mean first, squared deviations second, both
 * by a butterfly over the warp, so every lane holds the same bits and a row's bytes depend on that
 * row only.
 *
 * Rows of more than 2560 elements, or whose pieces are not 16 bytes, are read three times, element
 * by element: no row of SDXL is. */
#include "kernels/layernorm/layernorm.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    SHORT_BUTTERFLY, /* the sums of half a warp */
    UNGUARDED_ROW,   /* a last row that does not exist */
    PADDING_COUNTED, /* lanes beyond the row deviate from the mean too */
};

enum { LANES = 32, WARPS = 4, THREADS = WARPS * LANES };

RF_DEVICE float warp_sum(float x)
{
    for (int lanes = RF_DEFECT(SHORT_BUTTERFLY) ? 8 : 16; lanes; lanes /= 2)
        x += shuffle_xor(x, lanes);
    return x;
}

/* PIECES: that a lane holds; c <= 256 * PIECES. */
template <class T, int PIECES>
RF_KERNEL(THREADS)
layernorm_kernel(const __grid_constant__ rf_layernorm_args a)
{
    const int lane = (int)threadIdx.x % LANES;
    const int row = (int)blockIdx.x * WARPS + (int)threadIdx.x / LANES;
    if (row >= a.m && !RF_DEFECT(UNGUARDED_ROW)) return;
    const T *x = (const T *)a.x + (size_t)row * a.c;
    T       *y = (T *)a.y + (size_t)row * a.c;
    float    v[PIECES][PIECE] = {}, sum = 0, squares = 0;
    RF_UNROLL
    for (int j = 0; j < PIECES; j++) {
        const int col = (j * LANES + lane) * PIECE;
        if (col < a.c) load_piece(v[j], x + col);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) sum += v[j][i];
    }
    const float mean = warp_sum(sum) / (float)a.c;
    RF_UNROLL
    for (int j = 0; j < PIECES; j++) {
        if ((j * LANES + lane) * PIECE >= a.c && !RF_DEFECT(PADDING_COUNTED)) continue;
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) squares += (v[j][i] - mean) * (v[j][i] - mean);
    }
    const float rstd = 1.f / sqrtf(warp_sum(squares) / (float)a.c + a.eps);
    RF_UNROLL
    for (int j = 0; j < PIECES; j++) {
        const int col = (j * LANES + lane) * PIECE;
        if (col >= a.c) continue;
        float gamma[PIECE], beta[PIECE];
        load_piece(gamma, a.gamma + col);
        load_piece(beta, a.beta + col);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) v[j][i] = (v[j][i] - mean) * rstd * gamma[i] + beta[i];
        store_piece(y + col, v[j]);
    }
}

template <class T>
RF_KERNEL(THREADS)
layernorm_any_kernel(const __grid_constant__ rf_layernorm_args a)
{
    const int lane = (int)threadIdx.x % LANES;
    const int row = (int)blockIdx.x * WARPS + (int)threadIdx.x / LANES;
    if (row >= a.m && !RF_DEFECT(UNGUARDED_ROW)) return;
    const T *x = (const T *)a.x + (size_t)row * a.c;
    T       *y = (T *)a.y + (size_t)row * a.c;
    float    sum = 0, squares = 0;
    for (int c = lane; c < a.c; c += LANES) sum += widen(x[c]);
    const float mean = warp_sum(sum) / (float)a.c;
    for (int c = lane; c < a.c; c += LANES) squares += (widen(x[c]) - mean) * (widen(x[c]) - mean);
    const float rstd = 1.f / sqrtf(warp_sum(squares) / (float)a.c + a.eps);
    for (int c = lane; c < a.c; c += LANES)
        y[c] = narrow<T>((widen(x[c]) - mean) * rstd * a.gamma[c] + a.beta[c]);
}

template <class T> static rf_status launch_type(const rf_gpu *gpu, const rf_layernorm_args *a)
{
    const dim3 grid(((unsigned)a->m + WARPS - 1) / WARPS);
    const int  wide = a->c % PIECE == 0 && rf_aligned_16(a->x) && rf_aligned_16(a->y) &&
                     rf_aligned_16(a->gamma) && rf_aligned_16(a->beta);
    /* 1280 and below: all of SDXL.  2560: what still fits the registers. */
    if (wide && a->c <= 1280) return rf_launch(layernorm_kernel<T, 5>, grid, THREADS, 0, gpu, *a);
    if (wide && a->c <= 2560) return rf_launch(layernorm_kernel<T, 10>, grid, THREADS, 0, gpu, *a);
    return rf_launch(layernorm_any_kernel<T>, grid, THREADS, 0, gpu, *a);
}

extern "C" rf_status rf_layernorm_sm80(void *stream, const rf_layernorm_args *a)
{
    const rf_gpu *gpu = (const rf_gpu *)stream;
    if (rf_layernorm_check(a) != RF_OK) return RF_E_SHAPE;
    switch (a->dtype) {
    case RF_F16: return launch_type<f16>(gpu, a);
    case RF_BF16: return launch_type<bf16>(gpu, a);
    default: return RF_E_SHAPE; /* this level stores 16 bits */
    }
}
