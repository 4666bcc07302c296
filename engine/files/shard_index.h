/* The index of a sharded model, `....safetensors.index.json`: which tensor is in which file.
 *
 * Read in place and without a tree: what a tree would take of memory is for a hostile file to
 * choose. */
#ifndef RF_SHARD_INDEX_H
#define RF_SHARD_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

enum { RF_INDEX_BYTES_MAX = 1 << 20 }; /* SDXL's UNet has 0.25 MB */

typedef struct rf_shard_entry {
    const char *tensor, *file; /* UTF-8 */
} rf_shard_entry;

typedef struct rf_shard_index {
    rf_shard_entry *entry; /* [count], ascending by tensor */
    size_t          count;
    int64_t         total_size; /* bytes of all tensors; -1: it does not say */
    char           *text;
} rf_shard_index;

/* Errors as rf_whole_file_read; RF_E_FORMAT: no such index, too many tensors, a tensor twice. */
rf_status rf_shard_index_read(rf_shard_index *out, const char *path, rf_error *err);
void      rf_shard_index_free(rf_shard_index *index); /* {0} is fine */

/* The file that it names for the tensor, or NULL. */
const char *rf_shard_index_find(const rf_shard_index *index, const char *tensor);

#endif
