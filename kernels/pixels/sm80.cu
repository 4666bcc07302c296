/* pixels: a block per picture, so that its statistics are joined in shared memory: no second pass,
 * no workspace, no atomics.
 *
 * One multiprocessor reads 6 MiB for 1024 x 1024 pixels; that is once a picture, after a decoder
 * that takes many times as long.  Bits are the reference's: f32, truncated. */
#include "kernels/pixels/pixels.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    ROUNDED,    /* to the nearest byte, not down */
    LAST_LOST,  /* a last piece of fewer than eight elements is left out */
    NO_BARRIER, /* while statistics are joined */
};

enum { THREADS = 512 };

typedef struct pixels_call {
    rf_pixels_args a;
    int            wide; /* pieces are 16 bytes of x and 8 of y everywhere */
} pixels_call;

RF_DEVICE void join(rf_pixels_stats *into, const rf_pixels_stats &s)
{
    into->non_finite += s.non_finite;
    into->least = s.least < into->least ? s.least : into->least;
    into->greatest = s.greatest > into->greatest ? s.greatest : into->greatest;
}

/* The bytes of a piece, and what the first `count` add to the statistics. */
RF_DEVICE uint64_t piece_bytes(const float (&x)[PIECE], int count, rf_pixels_stats *stats)
{
    uint64_t bytes = 0;
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) {
        if (i >= count) break;
        const float   unit = (x[i] + 1) / 2;
        const float   bounded = unit > 1 ? 1 : unit > 0 ? unit : 0; /* NaN compares false: 0 */
        const int32_t byte = (int32_t)(255 * bounded + (RF_DEFECT(ROUNDED) ? 0.5f : 0.f));
        bytes |= (uint64_t)byte << (8 * i);
        join(stats, rf_pixels_stats{!(fabsf(x[i]) <= 3.40282347e38f), byte, byte});
    }
    return bytes;
}

template <class T> RF_KERNEL(THREADS) pixels_kernel(const __grid_constant__ pixels_call c)
{
    RF_SHARED(raw_s);
    rf_pixels_stats *stats_s = (rf_pixels_stats *)raw_s; /* [THREADS] */
    const size_t     elems = (size_t)c.a.hw * 3, base = (size_t)blockIdx.x * elems;
    const int        t = (int)threadIdx.x;
    rf_pixels_stats  mine = {0, 255, 0};
    for (size_t at = (size_t)t * PIECE; at < elems; at += (size_t)THREADS * PIECE) {
        const T *x = (const T *)c.a.x + base + at;
        uint8_t *y = c.a.y + base + at;
        float    v[PIECE];
        if (c.wide) {
            load_piece(v, x);
            *(uint64_t *)y = piece_bytes(v, PIECE, &mine);
            continue;
        }
        const int count = elems - at < PIECE ? (int)(elems - at) : PIECE;
        if (count < PIECE && RF_DEFECT(LAST_LOST)) continue;
        load_few(v, x, count);
        const uint64_t bytes = piece_bytes(v, count, &mine);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++)
            if (i < count) y[i] = (uint8_t)(bytes >> (8 * i));
    }
    stats_s[t] = mine;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (!RF_DEFECT(NO_BARRIER)) __syncthreads(); /* the upper half was written above */
        if (t < half) join(&stats_s[t], stats_s[t + half]);
    }
    if (t == 0) c.a.stats[blockIdx.x] = stats_s[0];
}

extern "C" rf_status rf_pixels_sm80(void *stream, const rf_pixels_args *a)
{
    const rf_gpu *gpu = (const rf_gpu *)stream;
    if (rf_pixels_check(a) != RF_OK) return RF_E_SHAPE;
    const int   shared_bytes = THREADS * (int)sizeof(rf_pixels_stats);
    const dim3  grid((unsigned)a->n);
    pixels_call c = {};
    c.a = *a;
    c.wide = (size_t)a->hw * 3 % PIECE == 0 && rf_aligned_16(a->x) && (uintptr_t)a->y % PIECE == 0;
    switch (a->dtype) {
    case RF_F16: return rf_launch(pixels_kernel<f16>, grid, THREADS, shared_bytes, gpu, c);
    case RF_BF16: return rf_launch(pixels_kernel<bf16>, grid, THREADS, shared_bytes, gpu, c);
    default: return rf_launch(pixels_kernel<float>, grid, THREADS, shared_bytes, gpu, c);
    }
}
