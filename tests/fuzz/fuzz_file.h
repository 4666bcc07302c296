/* What the targets for model files share: a file that is in memory alone, and headers made from
 * the fuzzer's bytes, so that it gets behind the header's check. */
#ifndef RF_FUZZ_FILE_H
#define RF_FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A broken promise is a crash, which is how a fuzzer reports. */
void fuzz_require(int holds);

/* The fuzzer's bytes, read one after the other; zeros at their end. */
typedef struct fuzz_bytes {
    const uint8_t *at;
    size_t         left;
} fuzz_bytes;

uint8_t fuzz_byte(fuzz_bytes *b);

/* The path of a file of these parts, the same file every time. */
const char *fuzz_file(const void *front, size_t front_bytes, const void *text, size_t text_bytes,
                      const void *data, size_t data_bytes);

enum { FUZZ_TEXT = 16384, FUZZ_DATA = 1 << 16 };

/* A safetensors file in the making. */
typedef struct fuzz_header {
    char   text[FUZZ_TEXT];
    size_t bytes, data;
    int    count;
} fuzz_header;

/* One more tensor; nothing if it does not fit into FUZZ_TEXT and FUZZ_DATA. */
void fuzz_add(fuzz_header *h, const char *name, const char *dtype, size_t elem_bytes,
              const int64_t *dim, int ndim);

/* Its path, closed, with data that the bytes decide: numbers of all kinds, NaN among them. */
const char *fuzz_header_file(fuzz_header *h, fuzz_bytes *b);

#endif
