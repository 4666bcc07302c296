/* Tiles of 16-bit elements in shared memory: [rows][64], 128 bytes a row, so that a row is once
 * around the 32 banks.
 *
 * The 16-byte chunk c of row r lies at place c ^ (r % 8).  Eight rows of one column of chunks,
 * which is what ldmatrix reads, then hit eight different places: no bank conflict.  So do eight
 * chunks of one row, which is what cp.async writes. */
#ifndef RF_TILE_CUH
#define RF_TILE_CUH

#include "kernels/device/ptx.cuh"

enum {
    TILE_K = 64, /* elements of a row */
    TILE_ROW_BYTES = TILE_K * 2,
    TILE_CHUNKS = 8, /* of 8 elements, in a row */
};

RF_DEVICE uint32_t tile_chunk(uint32_t tile_s, int row, int chunk)
{
    return tile_s + (uint32_t)(row * TILE_ROW_BYTES + ((chunk ^ (row & 7)) << 4));
}

/* The 16 x 16 elements from (row, 16 * k16) on, as mma's operand a. */
RF_DEVICE void tile_load_a(uint32_t (&a)[4], uint32_t tile_s, int row, int k16, int lane)
{
    ldmatrix_x4(a, tile_chunk(tile_s, row + lane % 16, 2 * k16 + lane / 16));
}

/* The 16 rows from `row` on, each a column of mma's operand b: two operands of 8 columns, the first
 * in b[0] and b[1]. */
RF_DEVICE void tile_load_b(uint32_t (&b)[4], uint32_t tile_s, int row, int k16, int lane)
{
    ldmatrix_x4(b, tile_chunk(tile_s, row + lane % 8 + lane / 16 * 8, 2 * k16 + lane / 8 % 2));
}

/* The 16 rows from `row` on and the 16 columns from 8 * chunk on, rows being the inner axis: two
 * operands b of 8 columns, the first in b[0] and b[1]. */
RF_DEVICE void tile_load_b_trans(uint32_t (&b)[4], uint32_t tile_s, int row, int chunk, int lane)
{
    ldmatrix_x4_trans(b, tile_chunk(tile_s, row + lane % 16, chunk + lane / 16));
}

#endif
