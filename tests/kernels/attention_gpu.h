/* What the tests of the sm80 attention share: devices, and a call from host memory. */
#ifndef RF_ATTENTION_GPU_H
#define RF_ATTENTION_GPU_H

#include "kernels/attention/sm80_attention_tiles.h"
#include "tests/kernels/attention_case.h"
#include "tests/kernels/gpu_case.h"

enum { ATTENTION_LIMITS = 3 };
extern const int attention_limits[ATTENTION_LIMITS]; /* shared memory of the three devices */

/* Runs `a`, whose pointers (table and its bases too) are the host's, on the device; o comes back.
 * v lies behind k in the same rows. */
void attention_run_sm80(const rf_gpu *gpu, rf_attention_args a);

/* Numbers from -1 to 1, 16-bit; free them. */
uint16_t *attention_random(size_t elems, rf_dtype dtype, unsigned seed);

#endif
