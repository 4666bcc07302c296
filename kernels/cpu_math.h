/* Elementary functions that vectorise inside an RF_TARGET function.  For kernels/<op>/cpu*.c only.
 */
#ifndef RF_CPU_MATH_H
#define RF_CPU_MATH_H

#include "kernels/cpu_isa.h"
#include "kernels/half.h"

/* exp(x), relative error below 2^-22 where the result is a normal number (the polynomial's 2^-27.9
 * and four roundings); x is clamped to -87 .. 88, NaN stays NaN.  x = n ln 2 + f: adding 1.5 * 2^23
 * rounds to a whole n and leaves it in the low mantissa bits; ln 2 is subtracted in two parts, the
 * first of which multiplies n exactly (Cody & Waite 1980). */
RF_INLINE float rf_exp(float x)
{
    float b = x < -87.0f ? -87.0f : x;
    b = b > 88.0f ? 88.0f : b;
    const float shifted = b * 1.44269504f + 0x1.8p23f;
    const float n = shifted - 0x1.8p23f;
    const float f = (b - n * 0.693359375f) - n * -2.12194440e-4f;
    float       p = 0.00138145988f;
    p = p * f + 0.00836871658f;
    p = p * f + 0.041668389f;
    p = p * f + 0.166665211f;
    p = p * f + 0.49999994f;
    p = (p * f) * f + f + 1.0f;
    return rf_f32_from_bits(rf_bits_from_f32(p) + (rf_bits_from_f32(shifted) << 23));
}

/* x / (1 + exp(-x)): 0 at minus infinity's side, x at plus infinity's. */
RF_INLINE float rf_silu(float x)
{
    return x / (1.0f + rf_exp(-x));
}

#endif
