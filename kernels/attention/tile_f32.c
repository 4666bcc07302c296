/* attention tiles in f32, for every CPU: plain vectors of 16 floats that the compiler maps to one
 * AVX-512 register, two of AVX2, or four of SSE.  This file is compiled with contraction to FMA. */
#include "kernels/attention/tile.h"

#include <math.h>

#include "kernels/cpu_isa.h"

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* Groups of 16 columns that accumulate at once: as many as there are registers for. */
enum { GROUPS_AVX512 = 4, GROUPS_OTHER = 1, GROUP = 16 };

/* rows x (16 * groups) of sums over i < count of a[r][i] * b[i][...]; b advances b_step. */
#define PRODUCT(groups, acc, a, a_stride, b, b_group, count)                                       \
    for (int i = 0; i < (count); i++)                                                              \
        for (int g = 0; g < (groups); g++) {                                                       \
            const lanes b_r = *(const lanes *)((b) + (size_t)g * (b_group) + (size_t)i * b_step);  \
            for (int r = 0; r < RF_TILE_ROWS; r++)                                                 \
                acc[r][g] += (a)[(size_t)r * (a_stride) + i] * b_r;                                \
        }

RF_INLINE void scores_part(float *s, const float *q, const float *k, int d, float factor,
                           const int groups)
{
    const int b_step = GROUP;
    lanes     acc[RF_TILE_ROWS][GROUPS_AVX512] = {0};
    PRODUCT(groups, acc, q, d, k, (size_t)GROUP * d, d)
    for (int r = 0; r < RF_TILE_ROWS; r++)
        for (int g = 0; g < groups; g++)
            *(lanes *)(s + r * RF_TILE_KEYS + GROUP * g) = acc[r][g] * factor;
}

RF_INLINE void scores_body(float *s, const void *q, const void *k, int keys, int d, float factor,
                           const int groups)
{
    int j = 0;
    for (; j + GROUP * groups <= keys; j += GROUP * groups)
        scores_part(s + j, q, (const float *)k + (size_t)j * d, d, factor, groups);
    for (; j < keys; j += GROUP)
        scores_part(s + j, q, (const float *)k + (size_t)j * d, d, factor, 1);
}

RF_INLINE void values_body(float *o, const void *p, const void *v, const float *shrink, int keys,
                           int dp, const int groups)
{
    const int    b_step = RF_TILE_COLUMNS;
    const float *weight = p, *value = v;
    for (int c = 0; c < RF_TILE_COLUMNS; c += GROUP * groups) {
        lanes acc[RF_TILE_ROWS][GROUPS_AVX512];
        for (int r = 0; r < RF_TILE_ROWS; r++)
            for (int g = 0; g < groups; g++)
                acc[r][g] = *(lanes *)(o + (size_t)r * dp + c + GROUP * g) * shrink[r];
        PRODUCT(groups, acc, weight, RF_TILE_KEYS, value + c, GROUP, keys)
        for (int r = 0; r < RF_TILE_ROWS; r++)
            for (int g = 0; g < groups; g++)
                *(lanes *)(o + (size_t)r * dp + c + GROUP * g) = acc[r][g];
    }
}

/* 2^x for x <= 0; relative error below 2^-22.8: 2^-25.9 from the minimax polynomial on
 * [-1/2, 1/2] and three roundings.  2^0 is exactly 1; below 2^-126 the result is 0.  Adding
 * 1.5 * 2^23 rounds to a whole number and leaves it in the low mantissa bits. */
RF_INLINE float exp2_float(float x)
{
    const float bounded = x < -126.0f ? -126.0f : x;
    const float shifted = bounded + 0x1.8p23f;
    const float f = bounded - (shifted - 0x1.8p23f);
    float       p = 0.00015353362f;
    p = p * f + 0.0013398875f;
    p = p * f + 0.00961843692f;
    p = p * f + 0.0555033237f;
    p = p * f + 0.240226477f;
    p = p * f + 0.693147182f;
    p = p * f + 1.0f;
    const float scaled = rf_f32_from_bits(rf_bits_from_f32(p) + (rf_bits_from_f32(shifted) << 23));
    return x < -126.0f ? 0.0f : scaled;
}

RF_INLINE void softmax_body(float *shrink, float *p, float *s, float *max, float *sum, int keys)
{
    float top_r[GROUP], sum_r[GROUP] = {0};
    for (int l = 0; l < GROUP; l++) top_r[l] = *max;
    for (int j = 0; j < keys; j += GROUP)
        for (int l = 0; l < GROUP; l++) top_r[l] = s[j + l] > top_r[l] ? s[j + l] : top_r[l];
    float top = top_r[0];
    for (int l = 1; l < GROUP; l++) top = top_r[l] > top ? top_r[l] : top;
    for (int j = 0; j < keys; j += GROUP)
        for (int l = 0; l < GROUP; l++) {
            p[j + l] = exp2_float(s[j + l] - top);
            sum_r[l] += p[j + l];
        }
    float total = 0;
    for (int l = 0; l < GROUP; l++) total += sum_r[l];
    *shrink = exp2_float(*max - top);
    *sum = *sum * *shrink + total;
    *max = top;
}

#define TILE(isa, target, groups)                                                                  \
    target static void scores_##isa(float *s, const void *q, const void *k, int keys, int d,       \
                                    float factor)                                                  \
    {                                                                                              \
        scores_body(s, q, k, keys, d, factor, groups);                                             \
    }                                                                                              \
    target static float softmax_##isa(void *p, float *s, float *max, float *sum, int keys)         \
    {                                                                                              \
        float shrink;                                                                              \
        softmax_body(&shrink, p, s, max, sum, keys);                                               \
        return shrink;                                                                             \
    }                                                                                              \
    target static void values_##isa(float *o, const void *p, const void *v, const float *shrink,   \
                                    int keys, int dp)                                              \
    {                                                                                              \
        values_body(o, p, v, shrink, keys, dp, groups);                                            \
    }                                                                                              \
    static const rf_tile tile_##isa = {RF_F32, scores_##isa, softmax_##isa, values_##isa};

TILE(any, , GROUPS_OTHER)
TILE(avx2, RF_TARGET_AVX2, GROUPS_OTHER)
TILE(avx512, RF_TARGET_AVX512, GROUPS_AVX512)

const rf_tile *rf_tile_f32(void)
{
    const rf_isa isa = rf_cpu_isa();
    return isa >= RF_ISA_AVX512 ? &tile_avx512 : isa >= RF_ISA_AVX2 ? &tile_avx2 : &tile_any;
}
