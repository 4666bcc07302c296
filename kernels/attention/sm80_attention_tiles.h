/* Which tile the sm80 attention works with: a pure function of the head's size, the queries of one
 * sample and the device's shared memory; never of the batch.  All tiles take 64 keys at a time in
 * the same order, so they give the same bytes.
 *
 * Not measured yet.  Rows of the device class's table (kernels/choice/), made by bench on a GPU, go
 * before it. */
#ifndef RF_SM80_ATTENTION_TILES_H
#define RF_SM80_ATTENTION_TILES_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_attention_tile {
    RF_ATTENTION_SMALL = 0, /* d <= 64,   64 queries, 3 stages,  48 KiB */
    RF_ATTENTION_TALL,      /* d <= 64,  128 queries, 3 stages,  48 KiB */
    RF_ATTENTION_WIDE,      /* d <= 512,  64 queries, 3 stages,  97 KiB */
    RF_ATTENTION_WIDE_DEEP, /* d <= 512,  64 queries, 4 stages of twice the size, 137 KiB */
    RF_ATTENTION_TILES,
} rf_attention_tile;

/* Whether a tile can do heads of `d` on a device with this much shared memory. */
static inline int rf_attention_tile_fits(int tile, int d, int shared_bytes)
{
    const int kib = tile == RF_ATTENTION_WIDE ? 97 : tile == RF_ATTENTION_WIDE_DEEP ? 137 : 48;
    return (tile >= RF_ATTENTION_WIDE) == (d > 64) && kib * 1024 <= shared_bytes;
}

static inline rf_attention_tile rf_attention_tile_sm80(int sq, int d, int shared_bytes)
{
    /* Twice as much arithmetic between two barriers, where it fits. */
    if (d > 64) return shared_bytes >= 137 * 1024 ? RF_ATTENTION_WIDE_DEEP : RF_ATTENTION_WIDE;
    /* 77 tokens or 16 x 16 pixels: with 20 heads tall tiles would be 20 or 40 blocks for some 100
     * multiprocessors.  From 1024 queries on there are enough, and a tall tile loads an operand of
     * k or v for twice the arithmetic. */
    return sq <= 256 ? RF_ATTENTION_SMALL : RF_ATTENTION_TALL;
}

#ifdef __cplusplus
}
#endif
#endif
