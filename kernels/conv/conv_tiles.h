/* Which tile the sm80 conv works with: a pure function of the map's size, the channels and the
 * device's shared memory; never of n, which is the batch.  All tiles give the same bytes.
 *
 * Not measured yet: the reasons are wave counts of SDXL's shapes on 132 multiprocessors.  Rows of
 * the device class's table (kernels/choice/), made by bench on a GPU, go before it. */
#ifndef RF_CONV_TILES_H
#define RF_CONV_TILES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pixels x output channels.  A block also keeps 8 bytes a pixel: where its taps lie. */
typedef enum rf_conv_tile {
    RF_CONV_SMALL = 0, /*  64 x  64, 4 stages,  64.5 KiB */
    RF_CONV_THIN,      /* 128 x  16, 4 stages,  73   KiB */
    RF_CONV_SQUARE,    /* 128 x 128, 3 stages,  97   KiB */
    RF_CONV_WIDE,      /* 128 x 160, 4 stages, 145   KiB */
    RF_CONV_TALL,      /* 256 x 160, 4 stages, 210   KiB */
    RF_CONV_TILES,
} rf_conv_tile;

/* Shared memory of a block, bytes. */
static inline int rf_conv_tile_bytes(int tile)
{
    const int half_kib = tile == RF_CONV_SMALL    ? 129
                         : tile == RF_CONV_THIN   ? 146
                         : tile == RF_CONV_SQUARE ? 194
                         : tile == RF_CONV_WIDE   ? 290
                                                  : 420;
    return half_kib * 512;
}

/* `pixels`: of one image of the output. */
static inline rf_conv_tile rf_conv_tile_sm80(int pixels, int cin, int cout, int shared_bytes)
{
    /* conv_out makes 3 or 4 channels (the encoder's 8): of 16 columns most are padding, of 64
     * nearly all would be. */
    if (cout <= 16) return RF_CONV_THIN;
    /* conv_in has two steps of k: nothing to overlap, so more and smaller blocks. */
    if (cout <= 64 || cin <= 8) return RF_CONV_SMALL;
    /* 160 divides every width of SDXL's base UNet; 128 the refiner's, and those of the VAE.  Of 128
     * x 128 a card with 99 KiB holds three stages, of 128 x 160 only two. */
    if (cout % 160 || shared_bytes < 145 * 1024) return RF_CONV_SQUARE;
    /* From 64 tall tiles an image on, the two of classifier-free guidance fill 97 % of a wave:
     * 640 channels at 64 x 64, 320 at 128 x 128.  1280 at 32 x 32 needs the wide ones for that. */
    const int64_t tall = (int64_t)pixels * cout / (256 * 160);
    return tall >= 64 && shared_bytes >= 210 * 1024 ? RF_CONV_TALL : RF_CONV_WIDE;
}

#ifdef __cplusplus
}
#endif
#endif
