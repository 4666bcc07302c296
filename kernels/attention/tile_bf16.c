/* attention tiles for AVX512_BF16: bf16 operands, f32 accumulation.
 *
 * vdpbf16ps multiplies 32 pairs and adds neighbours; Zen 4 starts one per cycle, so 4 rows x 4
 * vectors give 16 independent chains, enough to cover its latency.  P is rounded to bf16 and the
 * row sum adds the same rounded values, so numerator and denominator agree. */
#include "kernels/attention/tile.h"

#include "kernels/cpu_isa.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

enum { PAIRS = 2 };

/* Two neighbouring bf16 of `p`, in every lane. */
#define BROADCAST_PAIR(p) ((__m512bh)_mm512_set1_epi32(load_pair(p)))
#define LOAD_PAIRS(p)     ((__m512bh)_mm512_loadu_si512(p))

RF_INLINE int load_pair(const uint16_t *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}

/* `groups` (1 or 4) vectors of 16 keys. */
#define SCORES(groups)                                                                             \
    do {                                                                                           \
        __m512 acc[RF_TILE_ROWS][groups];                                                          \
        for (int r = 0; r < RF_TILE_ROWS; r++)                                                     \
            for (int g = 0; g < (groups); g++) acc[r][g] = _mm512_setzero_ps();                    \
        for (int i = 0; i < d / PAIRS; i++)                                                        \
            for (int g = 0; g < (groups); g++) {                                                   \
                const __m512bh keys_r = LOAD_PAIRS(k + ((size_t)g * d + 2 * (size_t)i) * 16);      \
                for (int r = 0; r < RF_TILE_ROWS; r++)                                             \
                    acc[r][g] = _mm512_dpbf16_ps(acc[r][g], keys_r,                                \
                                                 BROADCAST_PAIR(q + (size_t)r * d + 2 * i));       \
            }                                                                                      \
        for (int r = 0; r < RF_TILE_ROWS; r++)                                                     \
            for (int g = 0; g < (groups); g++)                                                     \
                _mm512_storeu_ps(s + r * RF_TILE_KEYS + 16 * g,                                    \
                                 _mm512_mul_ps(acc[r][g], _mm512_set1_ps(factor)));                \
    } while (0)

RF_TARGET_AVX512_BF16 static void scores_64(float *s, const uint16_t *q, const uint16_t *k, int d,
                                            float factor)
{
    SCORES(4);
}

RF_TARGET_AVX512_BF16 static void scores_16(float *s, const uint16_t *q, const uint16_t *k, int d,
                                            float factor)
{
    SCORES(1);
}

RF_TARGET_AVX512_BF16 static void scores(float *s, const void *q, const void *k, int keys, int d,
                                         float factor)
{
    int j = 0;
    for (; j + 64 <= keys; j += 64) scores_64(s + j, q, (const uint16_t *)k + j * d, d, factor);
    for (; j < keys; j += 16) scores_16(s + j, q, (const uint16_t *)k + j * d, d, factor);
}

/* 2^x for x <= 0: relative error below 2^-13 (minimax polynomial on [-1/2, 1/2], found by Lawson's
 * iteration), a sixteenth of the rounding to bf16 that follows.  2^0 is exactly 1. */
RF_TARGET_AVX512_BF16 static inline __m512 exp2_vector(__m512 x)
{
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* a masked score is -infinity: take its fraction as 0, and scalef makes 2^-infinity = 0 */
    const __mmask16 finite = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-INFINITY), _CMP_NEQ_UQ);
    const __m512    f = _mm512_maskz_sub_ps(finite, x, whole);
    __m512          p = _mm512_set1_ps(0.0550089329f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.242210969f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693282902f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}

RF_TARGET_AVX512_BF16 static float softmax(void *p, float *s, float *max, float *sum, int keys)
{
    const int step = 32, end = (keys + step - 1) / step * step;
    __m512    max0 = _mm512_set1_ps(*max), max1 = max0;
    for (int j = 0; j < end; j += step) {
        max0 = _mm512_max_ps(max0, _mm512_loadu_ps(s + j));
        max1 = _mm512_max_ps(max1, _mm512_loadu_ps(s + j + 16));
    }
    const float    top = _mm512_reduce_max_ps(_mm512_max_ps(max0, max1));
    const __m512   top_r = _mm512_set1_ps(top);
    const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3F80);
    __m512         sum_r = _mm512_setzero_ps();
    for (int j = 0; j < end; j += step) {
        const __m512   lo = exp2_vector(_mm512_sub_ps(_mm512_loadu_ps(s + j), top_r));
        const __m512   hi = exp2_vector(_mm512_sub_ps(_mm512_loadu_ps(s + j + 16), top_r));
        const __m512bh both = _mm512_cvtne2ps_pbh(hi, lo);
        sum_r = _mm512_dpbf16_ps(sum_r, both, ones);
        _mm512_storeu_si512((uint16_t *)p + j, (__m512i)both);
    }
    const float shrink = exp2f(*max - top);
    *sum = *sum * shrink + _mm512_reduce_add_ps(sum_r);
    *max = top;
    return shrink;
}

RF_TARGET_AVX512_BF16 static void values(float *o, const void *p, const void *v,
                                         const float *shrink, int keys, int dp)
{
    const uint16_t *weight = p, *value = v;
    __m512          acc[RF_TILE_ROWS][4];
    for (int r = 0; r < RF_TILE_ROWS; r++)
        for (int g = 0; g < 4; g++)
            acc[r][g] = _mm512_mul_ps(_mm512_loadu_ps(o + (size_t)r * dp + 16 * g),
                                      _mm512_set1_ps(shrink[r]));
    for (int j = 0; j < keys; j += PAIRS)
        for (int g = 0; g < 4; g++) {
            const __m512bh value_r = LOAD_PAIRS(value + (size_t)j * RF_TILE_COLUMNS + 32 * g);
            for (int r = 0; r < RF_TILE_ROWS; r++)
                acc[r][g] = _mm512_dpbf16_ps(acc[r][g], value_r,
                                             BROADCAST_PAIR(weight + r * RF_TILE_KEYS + j));
        }
    for (int r = 0; r < RF_TILE_ROWS; r++)
        for (int g = 0; g < 4; g++) _mm512_storeu_ps(o + (size_t)r * dp + 16 * g, acc[r][g]);
}

static const rf_tile tile = {RF_BF16, scores, softmax, values};

const rf_tile *rf_tile_bf16(void)
{
    return rf_cpu_isa() >= RF_ISA_AVX512_BF16 ? &tile : NULL;
}

#else

const rf_tile *rf_tile_bf16(void)
{
    return NULL;
}

#endif
