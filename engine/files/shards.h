/* The weights of one network in a folder: one safetensors file, or several and an index that says
 * which tensor is in which (the form of Hugging Face's `save_pretrained`).
 *
 * An index is as hostile as any file: the names in it are names of files in this very folder and of
 * nothing else, and index and files must agree in both directions. */
#ifndef RF_SHARDS_H
#define RF_SHARDS_H

#include "engine/core/tensors.h"
#include "engine/files/header.h"

enum { RF_SHARDS_MAX = 256 };

typedef struct rf_shards rf_shards;

/* Opens what is in `folder` under `stem`: STEM.safetensors.index.json, STEM.safetensors, or, where
 * neither is there, the one variant of them (STEM.fp16.safetensors, ...), fp16 first.
 * RF_E_NOT_FOUND, and errors as rf_safetensors_open. */
rf_status rf_shards_open(rf_shards **out, const char *folder, const char *stem, rf_error *err);
void      rf_shards_close(rf_shards *shards); /* NULL is fine */

/* The tensor of that name and the list that reads it; NULL: there is none. */
const rf_tensor *rf_shards_find(const rf_shards *shards, const char *name, const rf_tensors **list);

int         rf_shards_files(const rf_shards *shards);
const char *rf_shards_path(const rf_shards *shards, int file); /* of each */

const rf_header *rf_shards_header(const rf_shards *shards, int file); /* likewise */

#endif
