/* What a file may be used as.
 *
 * One answer per kind of model and use, without a look at the contents: the engine asks when it
 * opens a file, `refinery inspect` asks when it tells what would happen, and the two cannot
 * disagree.  A file that passes may still be refused for what it holds. */
#ifndef RF_MODEL_USE_H
#define RF_MODEL_USE_H

#include "engine/core/arch.h"
#include "engine/core/tensors.h"
#include "engine/files/model_kind.h"
#include "engine/files/vae_view.h"
#include "kernels/status.h"

typedef enum rf_model_use {
    RF_USE_BASE,
    RF_USE_REFINER,
    RF_USE_LORA,
    RF_USE_VAE,
    RF_USES,
} rf_model_use;

const char *rf_model_use_name(rf_model_use use); /* "base", "refiner", "LoRA", "VAE" */

/* RF_OK, or RF_E_MODEL and "PATH: what it is, what it is not, what it is for". */
rf_status rf_model_use_check(rf_model_kind kind, rf_model_use use, const char *path, rf_error *err);

/* A file whose VAE alone is wanted, under a checkpoint's names: rf_model_use_check, then as
 * rf_vae_view_open and rf_vae_derive.  *view is the caller's to close, NULL after an error. */
rf_status rf_model_use_check_vae(rf_vae_arch *out, rf_vae_view **view, const rf_tensors *list,
                                 rf_error *err);

#endif
