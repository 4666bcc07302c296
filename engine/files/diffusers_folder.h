/* A diffusers folder as the single-file checkpoint it would be: the same list of tensors, under
 * the canonical names, put together from the parts of the folder while it is read. */
#ifndef RF_DIFFUSERS_FOLDER_H
#define RF_DIFFUSERS_FOLDER_H

#include "engine/core/tensors.h"
#include "engine/files/header.h"

typedef struct rf_diffusers_folder rf_diffusers_folder;

/* Opens a folder with model_index.json, unet/, text_encoder/ (which Stability's refiner has not),
 * text_encoder_2/ and, if it is there, vae/.  RF_E_NOT_FOUND names what is missing; RF_E_MODEL: a
 * pipeline that is not SDXL's, or a tensor that is missing; other errors as rf_safetensors_open. */
rf_status rf_diffusers_folder_open(rf_diffusers_folder **out, const char *path, rf_error *err);
void      rf_diffusers_folder_close(rf_diffusers_folder *folder); /* NULL is fine */

/* Lives as long as the folder is open. */
const rf_tensors *rf_diffusers_folder_list(const rf_diffusers_folder *folder);

/* Of the UNet's first file, whose metadata are the folder's. */
const rf_header *rf_diffusers_folder_header(const rf_diffusers_folder *folder);

/* The weight files in use: "PATH/unet/diffusion_pytorch_model.safetensors". */
int         rf_diffusers_folder_files(const rf_diffusers_folder *folder);
const char *rf_diffusers_folder_file(const rf_diffusers_folder *folder, int index);

#endif
