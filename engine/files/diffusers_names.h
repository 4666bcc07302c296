/* How diffusers names the tensors of a single-file SDXL checkpoint, and where it cuts them.
 *
 * Names are made from the layout's own, one canonical tensor at a time, never taken apart the other
 * way: what reads foreign names (LoRAs, folders) looks them up in a table of all names that exist.
 * Source: diffusers, convert_ldm_unet_checkpoint and its siblings; UNet2DConditionModel. */
#ifndef RF_DIFFUSERS_NAMES_H
#define RF_DIFFUSERS_NAMES_H

#include "engine/core/arch.h"
#include "engine/files/sdxl_layout.h"

enum { RF_DIFFUSERS_NAME = 128, RF_DIFFUSERS_PARTS = 3 };

typedef struct rf_diffusers_tensor {
    char name[RF_DIFFUSERS_NAME]; /* inside its folder: "down_blocks.0.resnets.0.conv1.weight" */
    int  transposed;              /* rows and columns are exchanged against the canonical tensor */
} rf_diffusers_tensor;

/* The folder of a part: "unet", "text_encoder", "text_encoder_2", "vae". */
const char *rf_diffusers_part(rf_part part);

/* The tensors that a canonical one is cut into, by equal stretches of rows, in order; their number.
 * 1 for all but OpenCLIP's fused q, k, v (3); 0 for what diffusers does not have (position ids,
 * logit scale). */
int rf_diffusers_names(const rf_sdxl_arch *arch, const rf_layout_tensor *tensor,
                       rf_diffusers_tensor out[RF_DIFFUSERS_PARTS]);

#endif
