/* The SDXL UNet as three forward functions (recorder.h): the denoiser itself, and the two parts
 * that do not depend on the latent and so run once, not once per step.
 *
 *   rf_unet_embed    time and vector conditioning of all calls of a run -> embedding table
 *   rf_unet_kv       a prompt's keys and values for every cross-attention layer -> pool block
 *   rf_unet_forward  latent -> predicted noise, for a batch whose samples may differ in step and
 * prompt
 *
 * The embedding table is [sum over ResBlocks of cout] columns by `rows` rows, one ResBlock after
 * the other: ResBlock i starts at temb_offset * rows elements and is [rows, cout].
 * A pool block is kv_elems elements per token: layer after layer, each [tokens, 2 c], keys then
 * values in a row. */
#ifndef RF_UNET_H
#define RF_UNET_H

#include "engine/core/recorder.h"
#include "engine/model/unet_blocks.h"

typedef struct rf_unet_embed_args {
    const rf_unet_list *list;
    const rf_unet_arch *arch;
    const float        *timestep; /* [rows] */
    const void         *vector;   /* [rows, arch->vector] */
    void               *table;    /* [list->temb_columns * rows] */
    int                 rows;
} rf_unet_embed_args;

typedef struct rf_unet_kv_args {
    const rf_unet_list *list;
    const rf_unet_arch *arch;
    const void         *context; /* [tokens, arch->context] */
    void               *pool;    /* [list->kv_elems * tokens] */
    int                 tokens;
} rf_unet_kv_args;

typedef struct rf_unet_forward_args {
    const rf_unet_list    *list;
    const rf_unet_arch    *arch;
    const void            *x; /* [n, h, w, in_channels], scaled */
    void                  *y; /* [n, h, w, out_channels] */
    const void            *temb;
    int                    temb_rows; /* rows of the table */
    const int32_t         *temb_row;  /* [n], read when the program runs */
    const rf_attention_kv *kv;        /* [n], read when the program runs */
    int                    kv_tokens; /* most tokens any sample will have */
    int                    n, h, w;
} rf_unet_forward_args;

rf_forward_fn rf_unet_embed;   /* arg: rf_unet_embed_args */
rf_forward_fn rf_unet_kv;      /* arg: rf_unet_kv_args */
rf_forward_fn rf_unet_forward; /* arg: rf_unet_forward_args */

/* All weights of the UNet in one table, and where each function's begin. */
typedef struct rf_unet_sections {
    size_t forward, kv, embed;
} rf_unet_sections;

rf_status rf_unet_list_weights(rf_device *device, rf_weights *w, const rf_unet_arch *arch,
                               const rf_unet_list *list, rf_unet_sections *sections, rf_error *err);

#endif
