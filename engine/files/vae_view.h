/* A VAE in a file of its own, under whatever names it has, as the VAE of a checkpoint.
 *
 * What its names may begin with: nothing, `first_stage_model.` or `vae.`.  What follows: the
 * original names, or diffusers' with either spelling of the attention (to_q, to_k, to_v, to_out.0;
 * query, key, value, proj_attn).  An encoder may be missing. */
#ifndef RF_VAE_VIEW_H
#define RF_VAE_VIEW_H

#include "engine/core/tensors.h"

typedef struct rf_vae_view rf_vae_view;

/* `list` must outlive the view.  Tensors under another prefix than the VAE's are left out.
 * RF_E_MODEL: two tensors have one meaning; there is no VAE (a decoder's first convolution). */
rf_status rf_vae_view_open(rf_vae_view **out, const rf_tensors *list, rf_error *err);
void      rf_vae_view_close(rf_vae_view *view); /* NULL is fine */

/* Every name begins with RF_PREFIX_VAE and is the original one behind it. */
const rf_tensors *rf_vae_view_list(const rf_vae_view *view);

#endif
