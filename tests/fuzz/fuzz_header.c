/* Any bytes as a safetensors header: refused with a sentence, or every promise of the reader holds.
 *
 * The input is a JSON header; the file size it is judged against is what its tensors would need
 * if they were contiguous, taken from the input's last four bytes, so that the fuzzer can reach
 * both sides of every size rule. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

static void check_promises(const rf_header *h, uint64_t data_begin, uint64_t file_bytes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < h->tensor_count; i++) {
        const rf_tensor *t = &h->tensor[i];
        uint64_t         elems = 1;
        require(t->ndim >= 0 && t->ndim <= RF_TENSOR_DIMS && t->type < RF_FILETYPES);
        for (int d = 0; d < t->ndim; d++) elems *= (uint64_t)t->dim[d];
        require(t->elems == elems && t->bytes == elems * rf_filetype_bytes(t->type));
        require(t->offset >= data_begin && t->offset <= file_bytes);
        require(t->bytes <= file_bytes - t->offset);
        require(i == 0 || strcmp(h->tensor[i - 1].name, t->name) < 0);
        total += t->bytes;
    }
    require(total == file_bytes - data_begin); /* nothing shared, nothing left over */
}

/* The header's bytes, copied exactly: AddressSanitizer sees a read behind them. */
typedef struct source {
    char  *text;
    size_t bytes;
} source;

static rf_status read_source(void *user, uint64_t at, void *dst, size_t bytes, rf_error *err)
{
    const source *s = user;
    (void)err;
    require(at <= s->bytes && bytes <= s->bytes - at);
    memcpy(dst, s->text + at, bytes);
    return RF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t payload = 0;
    if (size < sizeof payload) return 0;
    const size_t bytes = size - sizeof payload;
    memcpy(&payload, data + bytes, sizeof payload);
    const uint64_t data_begin = 8 + (uint64_t)bytes, file_bytes = data_begin + payload;

    source s = {.text = malloc(bytes + 1), .bytes = bytes}; /* + 1: malloc(0) may be NULL */
    if (!s.text) return 0;
    memcpy(s.text, data, bytes);
    rf_header header = {0};
    rf_error  err = {0};
    if (rf_header_parse(&header, read_source, &s, bytes, file_bytes, "fuzz", &err) == RF_OK)
        check_promises(&header, data_begin, file_bytes);
    else
        require(err.status != RF_OK && err.message[0] != '\0');
    rf_header_free(&header);
    free(s.text);
    return 0;
}
