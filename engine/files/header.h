/* The JSON header of a safetensors file: one pass through a window, no tree, every rule of the
 * format enforced.
 *
 * Rules (safetensors README and tensor.rs, 2026): names unique; dims and offsets are integers;
 * dims times element size equals the bytes claimed, without overflow; sorted by offset, every
 * tensor starts where the last one ended and the last one ends where the file ends, so that no
 * byte is shared, skipped or left over.  Of our own: names of at most 512 bytes without control
 * characters, at most 8 dims, and the limits below.  They are several times what any file for SDXL
 * has, and keep the worst that a file may ask for at 50 ms and 8 MB. */
#ifndef RF_HEADER_H
#define RF_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core/tensors.h"
#include "kernels/status.h"

enum {
    RF_HEADER_MAX = 16 << 20,  /* bytes; a checkpoint's has 0.4 MB, a LoRA's with a picture 5 */
    RF_NAME_MAX = 512,         /* bytes of a tensor's name */
    RF_NAMES_MAX = 1 << 20,    /* of all names and metadata keys; a checkpoint's take 0.2 MB */
    RF_ENTRIES_MAX = 12000,    /* tensors, or metadata entries; a checkpoint has 2515 tensors */
    RF_META_MAX = 1 << 18,     /* bytes of a metadata value that are kept ... */
    RF_META_ALL_MAX = 3 << 18, /* ... and of all of them */
};

typedef struct rf_pair {
    const char *key, *value; /* UTF-8; the value is "" if it is too long to be kept */
    size_t      bytes;       /* of the value, kept or not */
} rf_pair;

typedef struct rf_header_text rf_header_text; /* what names point into */

typedef struct rf_header {
    rf_tensor *tensor; /* [tensor_count], ascending by name; offsets from the start of the file */
    size_t     tensor_count;
    rf_pair   *meta; /* [meta_count], ascending by key: the `__metadata__` strings */
    size_t     meta_count;
    size_t     unknown_fields; /* fields of tensors that this reader does not know and skipped */
    rf_header_text *text;
} rf_header;

/* The header length in the first eight bytes of a file. */
uint64_t rf_header_length(const unsigned char *head);

/* Reads exactly `bytes` bytes that stand `at` bytes behind the header's first one. */
typedef rf_status rf_header_source(void *user, uint64_t at, void *dst, size_t bytes, rf_error *err);

/* Parses the `bytes` bytes that stand at byte 8 of a file of `file_bytes` bytes.  Free with
 * rf_header_free.  What the source returns; RF_E_FORMAT; RF_E_MODEL if an element type is one that
 * no model here uses, or there are no tensors at all; RF_E_NOMEM. */
rf_status rf_header_parse(rf_header *out, rf_header_source *source, void *user, size_t bytes,
                          uint64_t file_bytes, const char *path, rf_error *err);
void      rf_header_free(rf_header *header);

#endif
