/* Whatever a user may point at when an expert is asked for: one safetensors file, a diffusers
 * folder or one part of it (part_folder.h), in 16, 32 or 8 bits, in whatever spelling; behind it
 * always the same list of tensors. */
#ifndef RF_MODEL_FILE_H
#define RF_MODEL_FILE_H

#include <stdatomic.h>

#include "engine/core/tensors.h"
#include "engine/files/hash.h"
#include "engine/files/header.h"

typedef struct rf_model_file rf_model_file;

/* Errors as rf_safetensors_open, rf_diffusers_folder_open and rf_part_folder_file. */
rf_status rf_model_file_open(rf_model_file **out, const char *path, rf_error *err);
void      rf_model_file_close(rf_model_file *model); /* NULL is fine */

const rf_tensors *rf_model_file_list(const rf_model_file *model);
/* As they are stored: 8-bit types, and a file's own names. */
const rf_tensors *rf_model_file_stored(const rf_model_file *model);
const rf_header  *rf_model_file_header(const rf_model_file *model); /* NULL: a folder */
const rf_header  *rf_model_file_told(const rf_model_file *model);   /* of a folder, its UNet's */

/* rf_file_sha256 of a file, and of the one in a part of a pipeline.  Of a folder: the SHA-256 of
 * the lines "HASH  NAME\n", as sha256sum prints them, of its weight files in use, by name
 * ("unet/...safetensors"). */
rf_status rf_model_file_sha256(char hex[RF_SHA256_HEX], const char *path, const char *cache,
                               const atomic_int *cancel, rf_error *err);

#endif
