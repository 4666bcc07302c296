/* 16-bit floating point on the host: storage types, conversions, and the dtype enum.
 *
 * f16 is IEEE binary16, bf16 the upper half of binary32; both convert from f32 with round to
 * nearest, ties to even, and keep NaN a NaN. */
#ifndef RF_HALF_H
#define RF_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types of tensors in memory.  Accumulation is always f32 or wider. */
typedef enum rf_dtype {
    RF_F32 = 0,
    RF_F16,
    RF_BF16,
    RF_DTYPES,
} rf_dtype;

static inline size_t rf_dtype_bytes(rf_dtype t)
{
    return t == RF_F32 ? 4 : 2;
}

static inline const char *rf_dtype_name(rf_dtype t)
{
    return t == RF_F32 ? "f32" : t == RF_F16 ? "f16" : "bf16";
}

static inline uint32_t rf_bits_from_f32(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float rf_f32_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float rf_f32_from_bf16(uint16_t h)
{
    return rf_f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t rf_bf16_from_f32(float x)
{
    const uint32_t u = rf_bits_from_f32(x);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)((u >> 16) | 0x40u); /* quiet NaN */
    return (uint16_t)((u + 0x7FFFu + ((u >> 16) & 1u)) >> 16);
}

static inline float rf_f32_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t magnitude = h & 0x7FFFu;
    if (magnitude >= 0x7C00u) /* infinity, NaN */
        return rf_f32_from_bits(sign | 0x7F800000u | (magnitude & 0x3FFu) << 13);
    if (magnitude >= 0x0400u) /* normal: rebias the exponent from 15 to 127 */
        return rf_f32_from_bits(sign | ((magnitude << 13) + (112u << 23)));
    const float value = (float)magnitude * 0x1p-24f; /* subnormal: exact in f32 */
    return sign ? -value : value;
}

static inline uint16_t rf_f16_from_f32(float x)
{
    const uint32_t u = rf_bits_from_f32(x);
    const uint32_t sign = (u >> 16) & 0x8000u;
    const uint32_t a = u & 0x7FFFFFFFu;
    if (a > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);  /* NaN */
    if (a >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* rounds to 65536 or more */
    if (a < 0x38800000u) { /* below 2^-14: let f32 addition round to units of 2^-24 */
        const float    shifted = rf_f32_from_bits(a) + 0.5f;
        const uint32_t units = rf_bits_from_f32(shifted) - 0x3F000000u;
        return (uint16_t)(sign | units);
    }
    const uint32_t rounded = a + 0xFFFu + ((a >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
}

/* Element `i` of an array of `t`, widened to f32. */
static inline float rf_load(const void *p, rf_dtype t, size_t i)
{
    if (t == RF_F32) return ((const float *)p)[i];
    const uint16_t h = ((const uint16_t *)p)[i];
    return t == RF_BF16 ? rf_f32_from_bf16(h) : rf_f32_from_f16(h);
}

/* Round `x` to `t` and store it as element `i`. */
static inline void rf_store(void *p, rf_dtype t, size_t i, float x)
{
    if (t == RF_F32)
        ((float *)p)[i] = x;
    else
        ((uint16_t *)p)[i] = t == RF_BF16 ? rf_bf16_from_f32(x) : rf_f16_from_f32(x);
}

#ifdef __cplusplus
}
#endif
#endif
