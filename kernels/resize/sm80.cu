/* resize: a thread per 16 bytes of y, or per element where a pixel is no multiple of 16 bytes.
 *
 * Bandwidth bound: y is written once, what it needs of x read once. */
#include "kernels/resize/resize.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    ROUNDED_UP,    /* the source row is rounded up */
    UNGUARDED_END, /* the last block's threads all work */
};

enum { THREADS = 256 };

typedef struct resize_call {
    rf_resize_args a;
    int            units; /* a pixel's pieces of 16 bytes, or its elements */
    size_t         total; /* units of y */
} resize_call;

/* UNIT: 16 bytes, or the storage of an element. */
template <class UNIT> RF_KERNEL(THREADS) resize_kernel(const __grid_constant__ resize_call c)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= c.total && !RF_DEFECT(UNGUARDED_END)) return;
    const size_t pixel = at / (unsigned)c.units, unit = at % (unsigned)c.units;
    const size_t wo = (size_t)c.a.wo, ho = (size_t)c.a.ho, h = (size_t)c.a.h, w = (size_t)c.a.w;
    const size_t i = pixel / wo % ho, b = pixel / wo / ho;
    const size_t row = (i * h + (RF_DEFECT(ROUNDED_UP) ? ho - 1 : 0)) / ho;
    const size_t from = ((b * h + row) * w + pixel % wo * w / wo) * (unsigned)c.units + unit;
    const UNIT  *x = (const UNIT *)c.a.x + from;
    UNIT        *y = (UNIT *)c.a.y + at;
    if constexpr (sizeof(UNIT) == 16)
        global_store_16(y, global_load_16(x));
    else
        *y = *x;
}

extern "C" rf_status rf_resize_sm80(void *stream, const rf_resize_args *a)
{
    const rf_gpu *gpu = (const rf_gpu *)stream;
    if (rf_resize_check(a) != RF_OK) return RF_E_SHAPE;
    const size_t size = rf_dtype_bytes(a->dtype), bytes = (size_t)a->c * size;
    const int    wide = bytes % 16 == 0 && rf_aligned_16(a->x) && rf_aligned_16(a->y);
    resize_call  c = {};
    c.a = *a;
    c.units = wide ? (int)(bytes / 16) : a->c;
    /* In double first: the product of four ints may be beyond 64 bits. */
    const double most = 0x7FFFFFFF * (double)THREADS;
    if ((double)a->n * a->ho * a->wo * c.units > most) return RF_E_SHAPE;
    c.total = (size_t)a->n * (size_t)a->ho * (size_t)a->wo * (size_t)c.units;
    const dim3 grid((unsigned)((c.total + THREADS - 1) / THREADS));
    if (wide) return rf_launch(resize_kernel<chunk16>, grid, THREADS, 0, gpu, c);
    if (size == 4) return rf_launch(resize_kernel<uint32_t>, grid, THREADS, 0, gpu, c);
    return rf_launch(resize_kernel<uint16_t>, grid, THREADS, 0, gpu, c);
}
