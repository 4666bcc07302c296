/* Element conversion; see widen.h.  Plain loops, except where x86 converts f16 in hardware: the
 * whole of a 7 GB checkpoint passes through f16 -> bf16. */
#include "engine/core/widen.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/* 16 f32 rounded to nearest even in integers.  Rounding could carry a NaN's mantissa out of it: NaN
 * is made quiet instead. */
AVX512 static inline void store_bf16(uint16_t *dst, __m512 x)
{
    const __m512i   u = _mm512_castps_si512(x);
    const __m512i   odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i   bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i   quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x400000));
    const __m512i   chosen = _mm512_mask_mov_epi32(_mm512_add_epi32(u, bias), nan, quiet);
    _mm256_storeu_si256((__m256i *)dst, _mm512_cvtepi32_epi16(_mm512_srli_epi32(chosen, 16)));
}

AVX512 static size_t bf16_from_f16_avx512(uint16_t *dst, const uint16_t *src, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        store_bf16(dst + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(src + i))));
    return i;
}

AVX512 static size_t bf16_from_f32_avx512(uint16_t *dst, const float *src, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) store_bf16(dst + i, _mm512_loadu_ps(src + i));
    return i;
}

/* f16 -> f32. */
__attribute__((target("avx2,f16c"))) static size_t f32_from_f16_f16c(float          *dst,
                                                                     const uint16_t *src, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
    return i;
}

static size_t convert_fast(void *dst, rf_dtype to, const void *src, rf_dtype from, size_t n)
{
    const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512 && to == RF_BF16 && from == RF_F16) return bf16_from_f16_avx512(dst, src, n);
    if (avx512 && to == RF_BF16 && from == RF_F32) return bf16_from_f32_avx512(dst, src, n);
    /* Every CPU with AVX2 has F16C; gcc 12 has no name for the latter in cpu_supports. */
    if (__builtin_cpu_supports("avx2") && to == RF_F32 && from == RF_F16)
        return f32_from_f16_f16c(dst, src, n);
    return 0;
}
#else
static size_t convert_fast(void *dst, rf_dtype to, const void *src, rf_dtype from, size_t n)
{
    (void)dst, (void)to, (void)src, (void)from, (void)n;
    return 0;
}
#endif

void rf_convert(void *dst, rf_dtype to, const void *src, rf_dtype from, size_t n)
{
    if (to == from) {
        memcpy(dst, src, n * rf_dtype_bytes(to));
        return;
    }
    for (size_t i = convert_fast(dst, to, src, from, n); i < n; i++)
        rf_store(dst, to, i, rf_load(src, from, i));
}
