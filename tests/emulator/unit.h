/* Small kernels that test the emulator itself: right ones, and one for each fault it must find. */
#ifndef RF_UNIT_H
#define RF_UNIT_H

#include <stdint.h>

#include "kernels/device/gpu.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum unit_case {
    /* right */
    UNIT_LDMATRIX = 0, /* in: [32][8] u16; out: [4][32] u32 */
    UNIT_LDMATRIX_TRANS,
    UNIT_LDMATRIX_CROWDED, /* rows 128 bytes apart: all in the same banks */
    UNIT_MMA_F16,          /* in: a [16][16], b [8][16] u16; out: d [16][8] f32 */
    UNIT_MMA_BF16,
    UNIT_COPY,    /* in: 32 times 16 bytes; out: thread t has t % 17 of its bytes, then zeros */
    UNIT_SHUFFLE, /* in: 32 f32; out: the sum of all, by butterfly */
    UNIT_ANY,     /* in: 32 u32; out: 1 in all lanes if one of them is 0 */
    UNIT_EXP2,    /* in: 32 f32; out: 2^x */
    UNIT_REVERSE, /* in: u32 of every thread; out: those of the block, last first */
    /* wrong */
    UNIT_NO_BARRIER,
    UNIT_NO_BARRIER_BEFORE_REUSE,
    UNIT_NO_WARP_BARRIER,
    UNIT_COPY_NOT_WAITED,
    UNIT_COPY_NO_BARRIER,
    UNIT_COPY_ABANDONED,
    UNIT_COPY_INTO_USE,
    UNIT_READ_BEYOND,
    UNIT_WRITE_BEYOND,
    UNIT_WIDE_BEYOND,
    UNIT_COPY_BEYOND,
    UNIT_SHARED_BEYOND,
    UNIT_FREED,
    UNIT_UNINITIALISED_SHARED,
    UNIT_UNINITIALISED_GLOBAL,
    UNIT_MISALIGNED,
    UNIT_LDMATRIX_MISALIGNED,
    UNIT_HOST_MEMORY,
    UNIT_BLOCKS_COLLIDE,
    UNIT_DIVERGENT_BARRIER,
    UNIT_DIVERGENT_SHUFFLE,
    UNIT_LANES_ENDED,
    UNIT_ENDLESS,
    UNIT_ARRAY_INDEX,
    UNIT_CASES,
} unit_case;

typedef struct unit_args {
    uint32_t       *out;
    const uint32_t *in;
    int             elems; /* u32 of `in` */
} unit_args;

/* `blocks` of 64 threads (32 for the instructions of one warp). */
rf_status unit_launch(unit_case c, int blocks, const rf_gpu *gpu, const unit_args *a);

#ifdef __cplusplus
}
#endif
#endif
