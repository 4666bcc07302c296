/* A folder that is one part of a pipeline and nothing else, such as diffusers' `vae`: one weights
 * file, and a config.json beside it. */
#ifndef RF_PART_FOLDER_H
#define RF_PART_FOLDER_H

#include "kernels/status.h"

/* *file = its weights file; free() it.  NULL and RF_OK: `path` is a file, a whole pipeline (there
 * is a model_index.json), or a folder without weights.  RF_E_MODEL: the weights are in several
 * files; a VAE for latents of another scale than SDXL's, so of another family. */
rf_status rf_part_folder_file(char **file, const char *path, rf_error *err);

#endif
