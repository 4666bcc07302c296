/* The UNet as a list of blocks in the order in which they run: the one place that knows how levels,
 * skips and attention sites are laid out (Podell et al. 2023; generative-models, UNetModel). */
#ifndef RF_UNET_BLOCKS_H
#define RF_UNET_BLOCKS_H

#include <stddef.h>

#include "engine/core/arch.h"

typedef enum rf_unet_block_kind {
    RF_UNET_IN,   /* first convolution */
    RF_UNET_RES,  /* ResBlock */
    RF_UNET_ATTN, /* SpatialTransformer */
    RF_UNET_DOWN, /* stride-2 convolution */
    RF_UNET_UP,   /* nearest 2x and convolution */
} rf_unet_block_kind;

typedef struct rf_unet_block {
    rf_unet_block_kind kind;
    char               path[24];    /* "input_blocks.4.1" */
    int                cin, cout;   /* channels from the block before, and of the result */
    int                skip;        /* RES: channels of the skip joined behind them; 0: none */
    int                depth;       /* ATTN: transformer blocks */
    int                keep;        /* the result is kept as a skip for the way up */
    size_t             temb_offset; /* RES: columns of earlier ResBlocks in the embedding table */
    size_t kv_offset; /* ATTN: elements per text token of earlier layers in the K/V pool */
} rf_unet_block;

enum { RF_UNET_BLOCKS = 128 }; /* 8 levels of 3 ResBlocks with attention, both ways */

typedef struct rf_unet_list {
    rf_unet_block block[RF_UNET_BLOCKS];
    int           count;
    size_t        temb_columns; /* sum of cout over ResBlocks: 1 row of the embedding table */
    size_t        kv_elems;     /* elements per text token: K and V of every layer */
} rf_unet_list;

/* Returns 0, or -1 if the sizes need more than RF_UNET_BLOCKS blocks. */
int rf_unet_list_blocks(const rf_unet_arch *arch, rf_unet_list *list);

#endif
