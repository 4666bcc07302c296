/* Which tile the sm80 gemm works with: a pure function of the packed weights' rows (n, rounded up
 * for GEGLU), k and the device's shared memory; never of m, which grows with the batch.  All tiles
 * give the same bytes.
 *
 * Not measured yet: the reasons are wave counts of the UNet's shapes on 132 multiprocessors.  Rows
 * of the device class's table (kernels/choice/), made by bench on a GPU, go before it. */
#ifndef RF_SM80_TILES_H
#define RF_SM80_TILES_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rf_gemm_tile {
    RF_GEMM_SMALL = 0, /*  64 x  64, 4 stages,  64 KiB */
    RF_GEMM_SQUARE,    /* 128 x 128, 3 stages,  96 KiB */
    RF_GEMM_WIDE,      /* 128 x 160, 4 stages, 144 KiB */
    RF_GEMM_TALL,      /* 256 x 160, 4 stages, 208 KiB */
    RF_GEMM_TILES,
} rf_gemm_tile;

/* Shared memory of a block, bytes. */
static inline int rf_gemm_tile_bytes(int tile)
{
    const int kib = tile == RF_GEMM_SMALL    ? 64
                    : tile == RF_GEMM_SQUARE ? 96
                    : tile == RF_GEMM_WIDE   ? 144
                                             : 208;
    return kib * 1024;
}

static inline rf_gemm_tile rf_gemm_tile_sm80(int rows, int k, int shared_bytes)
{
    /* Half of a square tile or more would be padding. */
    if (rows <= 64) return RF_GEMM_SMALL;
    /* Less than a step of k: nothing to overlap, so more and smaller blocks. */
    if (k <= 64) return RF_GEMM_SMALL;
    /* 160 divides every width of SDXL's base UNet; 128 the refiner's, and those of the text
     * encoders and the VAE.  Of 128 x 128 a card with 99 KiB holds three stages, of 128 x 160 only
     * two. */
    if (rows % 160 || shared_bytes < 144 * 1024) return RF_GEMM_SQUARE;
    /* 640 and 1920 belong to the level with 4096 rows an image, and 5120 and more have columns
     * enough: 97 % of a wave's slots work with tall tiles.  1280 and 3840 need the wide ones. */
    const int many = rows == 320 || rows == 640 || rows == 1920 || rows >= 5120;
    return many && shared_bytes >= 208 * 1024 ? RF_GEMM_TALL : RF_GEMM_WIDE;
}

#ifdef __cplusplus
}
#endif
#endif
