/* What the tests of the sm80 conv share: a call on the device, and the sizes that tiles round. */
#ifndef RF_CONV_SM80_CASE_H
#define RF_CONV_SM80_CASE_H

#include "tests/kernels/conv_case.h"
#include "tests/kernels/gpu_case.h"

/* Rows of every time embedding here, and which one each image takes. */
enum { CONV_TEMB_ROWS = 3 };
extern const int32_t conv_temb_row[4];

/* Packs and runs `a`, whose pointers are the host's, on the device; y comes back.  With `offset`
 * every pointer is only aligned to that many bytes.  Counts are those of the convolution alone. */
void conv_run_sm80(gpu_settings settings, const conv_row *r, rf_conv_args a, size_t offset);

/* Pixels of an output image. */
int conv_out_pixels(const conv_row *r);

/* The least multiple of `to` that is not below x. */
double conv_round_up(double x, double to);

#endif
