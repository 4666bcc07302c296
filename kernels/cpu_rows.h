/* Rows of elements between storage types and f32, written so that compilers vectorise them inside
 * an RF_TARGET function.  For kernels/<op>/cpu*.c only. */
#ifndef RF_CPU_ROWS_H
#define RF_CPU_ROWS_H

#include "kernels/cpu_isa.h"
#include "kernels/half.h"

static inline const void *rf_at(const void *p, rf_dtype t, size_t elem)
{
    return (const char *)p + elem * rf_dtype_bytes(t);
}

static inline void *rf_at_mut(void *p, rf_dtype t, size_t elem)
{
    return (char *)p + elem * rf_dtype_bytes(t);
}

RF_INLINE void rf_widen_row(float *restrict dst, const void *restrict src, rf_dtype t, size_t count)
{
    const uint16_t *h = src;
    if (t == RF_F32)
        memcpy(dst, src, count * sizeof *dst);
    else if (t == RF_BF16)
        for (size_t i = 0; i < count; i++) dst[i] = rf_f32_from_bf16(h[i]);
    else
        for (size_t i = 0; i < count; i++) dst[i] = rf_f32_from_f16(h[i]);
}

RF_INLINE void rf_narrow_row(void *restrict dst, const float *restrict src, rf_dtype t,
                             size_t count)
{
    uint16_t *h = dst;
    if (t == RF_F32)
        memcpy(dst, src, count * sizeof *src);
    else if (t == RF_BF16)
        for (size_t i = 0; i < count; i++) h[i] = rf_bf16_from_f32(src[i]);
    else
        for (size_t i = 0; i < count; i++) h[i] = rf_f16_from_f32(src[i]);
}

#endif
