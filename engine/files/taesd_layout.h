/* A tiny autoencoder's file (TAESD, for SDXL: TAESDXL), in the spellings that are in use:
 *
 *   1.weight, 3.conv.0.weight ...                 taesdxl_decoder.safetensors of its author
 *   decoder.1.weight, taesd_decoder.1.weight ...  both halves in one file
 *   decoder.layers.0.weight ...                   diffusers' AutoencoderTiny
 *
 * Encoders are not read.  Stable Diffusion 1's and SDXL's have the same tensors: a file does not
 * say whose it is, and with the wrong one previews have other colours. */
#ifndef RF_TAESD_LAYOUT_H
#define RF_TAESD_LAYOUT_H

#include "engine/core/arch.h"
#include "engine/core/tensors.h"

/* Whether there is such a decoder or encoder. */
int rf_is_taesd(const rf_tensors *list);

/* RF_E_MODEL: there is no decoder; latents of another number of channels than SDXL's 4; a width out
 * of bounds.  All other shapes are checked by whoever lists the weights. */
rf_status rf_taesd_derive(rf_taesd_arch *out, const rf_tensors *list, rf_error *err);

#endif
