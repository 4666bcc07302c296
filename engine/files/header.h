/* The JSON header of a safetensors file: one pass, no tree, every rule of the format enforced.
 *
 * Rules (safetensors README and tensor.rs, 2026): names unique; dims and offsets are integers;
 * dims times element size equals the bytes claimed, without overflow; sorted by offset, every
 * tensor starts where the last one ended and the last one ends where the file ends, so that no
 * byte is shared, skipped or left over.  Of our own: names of at most 512 bytes without control
 * characters, at most 8 dims, at most 1,000,000 entries. */
#ifndef RF_HEADER_H
#define RF_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/tensors.h"
#include "kernels/status.h"

enum {
    RF_HEADER_MAX = 100000000, /* bytes; the reference reader's own limit */
    RF_NAME_MAX = 512,
    RF_ENTRIES_MAX = 1000000,
};

typedef struct rf_pair {
    const char *key, *value; /* UTF-8 */
} rf_pair;

typedef struct rf_header {
    rf_tensor *tensor; /* [tensor_count], ascending by name; offsets from the start of the file */
    size_t     tensor_count;
    rf_pair   *meta; /* [meta_count], ascending by key: the `__metadata__` strings */
    size_t     meta_count;
    size_t     unknown_fields; /* fields of tensors that this reader does not know and skipped */
} rf_header;

/* The header length in the first eight bytes of a file. */
uint64_t rf_header_length(const unsigned char *head);

/* Parses the `bytes` bytes that stand at byte 8 of a file of `file_bytes` bytes.  `text` is
 * rewritten in place; names and metadata point into it, and it must outlive *out.  Free with
 * rf_header_free.  RF_E_FORMAT; RF_E_MODEL if an element type is one that no model here uses, or
 * there are no tensors at all; RF_E_NOMEM. */
rf_status rf_header_parse(rf_header *out, char *text, size_t bytes, uint64_t file_bytes,
                          const char *path, rf_error *err);
void      rf_header_free(rf_header *header);

#endif
