/* Fuzz: header parser, kind, sizes and layout check over arbitrary header bytes.
 *
 * The first two bytes choose the size of the pretended file, so that complete files are found as
 * easily as cut ones; the rest is the header.  Nothing here reads tensor data. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/container.h"
#include "engine/files/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the header promises beyond doubt: properties that a bug would break. */
static void check_promises(const rf_header *h, uint64_t file_bytes)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < h->tensor_count; i++) {
        const rf_tensor *t = &h->tensor[i];
        if (t->offset > file_bytes || t->bytes > file_bytes - t->offset) abort();
        if (t->bytes != t->elems * rf_filetype_bytes(t->type)) abort();
        if (i && strcmp(h->tensor[i - 1].name, t->name) >= 0) abort();
        bytes += t->bytes;
    }
    if (bytes > file_bytes) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_header     header;
    rf_identity   identity;
    rf_checkpoint checkpoint;
    rf_error      err;
    rf_container_text(
        rf_container_sniff(data, size < RF_SNIFF_BYTES ? size : RF_SNIFF_BYTES, size));
    if (size < 2) return 0;
    const size_t   bytes = size - 2;
    const uint64_t file_bytes = 8 + bytes + ((uint64_t)data[0] | (uint64_t)data[1] << 8);
    char          *text = malloc(bytes ? bytes : 1);
    if (!text) return 0;
    memcpy(text, data + 2, bytes);
    if (rf_header_parse(&header, text, bytes, file_bytes, "fuzz", &err) == RF_OK) {
        const rf_tensors list = {
            .item = header.tensor, .count = header.tensor_count, .path = "fuzz"};
        check_promises(&header, file_bytes);
        rf_checkpoint_identify(&identity, &list);
        rf_checkpoint_check(&checkpoint, &list, &err);
        rf_header_free(&header);
    }
    free(text);
    return 0;
}
