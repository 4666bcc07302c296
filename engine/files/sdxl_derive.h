/* The sizes of an SDXL checkpoint's networks, read off its tensors. */
#ifndef RF_SDXL_DERIVE_H
#define RF_SDXL_DERIVE_H

#include "engine/core/arch.h"
#include "engine/core/tensors.h"
#include "kernels/status.h"

/* Whether bigG stands where Stability's refiner has it, and nowhere else. */
int rf_sdxl_is_refiner(const rf_tensors *list);

/* Looks at as few tensors as name every size, and checks that the sizes are sane and fit
 * together; whether all other tensors agree with them is for rf_checkpoint_check to say.
 * RF_E_MODEL naming the tensor. */
rf_status rf_sdxl_derive(rf_sdxl_arch *out, const rf_tensors *list, rf_error *err);

/* The sizes of a VAE in a file of its own, whose names are those of a checkpoint (vae_view.h); its
 * encoder may be missing.  RF_E_MODEL as above. */
rf_status rf_vae_derive(rf_vae_arch *out, const rf_tensors *list, rf_error *err);

#endif
