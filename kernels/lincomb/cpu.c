/* lincomb on the CPU: chunks of a row, one term at a time, in f32 buffers that stay in L1.
 *
 * A vector lane multiplies and adds exactly as the reference does; the file must be compiled
 * without contraction to FMA.  Bound by memory. */
#include "kernels/lincomb/lincomb.h"

#include "kernels/cpu_rows.h"
#include "kernels/host.h"

enum { CHUNK = 1024 };

/* Whether a number of a stored row is infinite or NaN: its exponent is all ones. */
RF_INLINE int is_bad(const void *y, rf_dtype t, size_t count)
{
    const float    *f = y;
    const uint16_t *h = y;
    const uint32_t  exponent = t == RF_F32 ? 0x7F800000u : t == RF_BF16 ? 0x7F80u : 0x7C00u;
    uint32_t        bad = 0;
    if (t == RF_F32)
        for (size_t i = 0; i < count; i++) bad |= (rf_bits_from_f32(f[i]) & exponent) == exponent;
    else
        for (size_t i = 0; i < count; i++) bad |= (h[i] & exponent) == exponent;
    return bad != 0;
}

RF_INLINE void chunk_body(const rf_lincomb_args *a, size_t b, size_t from, size_t count)
{
    float sum[CHUNK], x[CHUNK];
    int   terms = 0;
    for (int j = 0; j < a->terms; j++) {
        const float     coef = a->coef[b * (size_t)a->terms + (size_t)j];
        const ptrdiff_t row = rf_lincomb_x(a, b, j);
        if (row < 0) continue;
        rf_widen_row(x, rf_at(a->x[j], a->xdtype[j], (size_t)row + from), a->xdtype[j], count);
        if (terms++ == 0)
            for (size_t i = 0; i < count; i++) sum[i] = coef * x[i];
        else
            for (size_t i = 0; i < count; i++) sum[i] += coef * x[i];
    }
    if (terms == 0)
        for (size_t i = 0; i < count; i++) sum[i] = 0;
    void *y = rf_at_mut(a->y, a->ydtype, rf_lincomb_y(a, b) + from);
    rf_narrow_row(y, sum, a->ydtype, count);
    if (!a->bad || !is_bad(y, a->ydtype, count)) return;
#pragma omp atomic write
    a->bad[b] = 1; /* other chunks of the sample may say the same */
}

RF_MULTIVERSION(chunk, (const rf_lincomb_args *a, size_t b, size_t from, size_t count),
                (a, b, from, count))

rf_status rf_lincomb_cpu(void *stream, const rf_lincomb_args *a)
{
    if (rf_lincomb_check(a) != RF_OK) return RF_E_SHAPE;
    const int  threads = rf_host_threads(stream);
    const long chunks = ((long)a->e + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < a->n * chunks; i++) {
        const size_t from = (size_t)(i % chunks) * CHUNK, left = (size_t)a->e - from;
        chunk(a, (size_t)(i / chunks), from, left < CHUNK ? left : CHUNK);
    }
    return RF_OK;
}
