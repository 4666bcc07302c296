/* Tiles: the inner loops of the cpu level's attention, one set per arithmetic.
 *
 * A tile works on RF_TILE_ROWS queries against a block of keys; cpu.c packs the operands, walks
 * the blocks and owns the scratch.  Packed layouts (t = the tile's type, all padding is zero):
 *
 *   q  [rows][d]                 rows padded to a multiple of RF_TILE_ROWS
 *   k  f32: [keys/16][d][16]     bf16: [keys/16][d/2][16][2]
 *   v  f32: [dp/64][keys][64]    bf16: [dp/64][keys/2][64][2]     dp = d rounded up to 64
 *   s  f32 [rows][RF_TILE_KEYS]  scores, times scale * log2 e
 *   p  t   [rows][RF_TILE_KEYS]  2^(s - max), may be s itself where t is f32
 *   o  f32 [rows][dp]            the running, unnormalised output */
#ifndef RF_ATTENTION_TILE_H
#define RF_ATTENTION_TILE_H

#include <stddef.h>

#include "kernels/half.h"

enum {
    RF_TILE_ROWS = 4,    /* 4 rows x 64 columns: 16 of 32 vector registers accumulate */
    RF_TILE_KEYS = 256,  /* keys per online-softmax step: 64 KiB of K and V at d = 64 */
    RF_TILE_COLUMNS = 64 /* columns of v and o per pass */
};

typedef struct rf_tile {
    rf_dtype dtype; /* of the packed q, k, v and of p */
    /* s = factor * q kT for RF_TILE_ROWS rows; keys is a multiple of 16. */
    void (*scores)(float *s, const void *q, const void *k, int keys, int d, float factor);
    /* One row of `keys` scores: raises *max, writes p, updates *sum, and returns the factor by
     * which earlier output of the row must shrink.  Reads and writes up to the next multiple of 32
     * keys; the caller has set masked scores and those beyond to -infinity. */
    float (*softmax)(void *p, float *s, float *max, float *sum, int keys);
    /* o = shrink * o + p v for RF_TILE_ROWS rows and one pass of columns; o rows are dp apart. */
    void (*values)(float *o, const void *p, const void *v, const float *shrink, int keys, int dp);
} rf_tile;

const rf_tile *rf_tile_f32(void);
const rf_tile *rf_tile_bf16(void); /* NULL if this CPU lacks AVX512_BF16 */

#endif
