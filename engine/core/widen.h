/* Conversion of element arrays between f32, f16 and bf16, at memory speed. */
#ifndef RF_WIDEN_H
#define RF_WIDEN_H

#include <stddef.h>

#include "kernels/half.h"

/* dst[i] = src[i] rounded to nearest even; f16 values beyond bf16's precision round once.  Same
 * types copy.  dst and src do not overlap. */
void rf_convert(void *dst, rf_dtype to, const void *src, rf_dtype from, size_t n);

#endif
