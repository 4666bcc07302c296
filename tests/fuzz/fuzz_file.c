/* See fuzz_file.h. */
#include "tests/fuzz/fuzz_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(int holds)
{
    if (!holds) abort();
}

uint8_t fuzz_byte(fuzz_bytes *b)
{
    if (b->left == 0) return 0;
    b->left--;
    return *b->at++;
}

static void put(int fd, off_t *at, const void *bytes, size_t count)
{
    if (count == 0) return;
    fuzz_require(pwrite(fd, bytes, count, *at) == (ssize_t)count);
    *at += (off_t)count;
}

const char *fuzz_file(const void *front, size_t front_bytes, const void *text, size_t text_bytes,
                      const void *data, size_t data_bytes)
{
    static int  fd = -1;
    static char path[32];
    off_t       at = 0;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_require(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    put(fd, &at, front, front_bytes);
    put(fd, &at, text, text_bytes);
    put(fd, &at, data, data_bytes);
    fuzz_require(ftruncate(fd, at) == 0);
    return path;
}

void fuzz_add(fuzz_header *h, const char *name, const char *dtype, size_t elem_bytes,
              const int64_t *dim, int ndim)
{
    char     entry[1024], shape[256] = "";
    uint64_t bytes = elem_bytes;
    for (int i = 0; i < ndim; i++) {
        bytes *= (uint64_t)dim[i]; /* small: the caller's dims are */
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%" PRId64, i ? "," : "",
                 dim[i]);
        if (bytes > FUZZ_DATA) return;
    }
    const int n =
        snprintf(entry, sizeof entry,
                 "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 h->count ? ',' : '{', name, dtype, shape, h->data, h->data + (size_t)bytes);
    if (n >= (int)sizeof entry || h->bytes + (size_t)n + 2 > FUZZ_TEXT ||
        h->data + bytes > FUZZ_DATA)
        return;
    memcpy(h->text + h->bytes, entry, (size_t)n);
    h->bytes += (size_t)n;
    h->data += (size_t)bytes;
    h->count++;
}

const char *fuzz_header_file(fuzz_header *h, fuzz_bytes *b)
{
    static unsigned char pattern[FUZZ_DATA], data[FUZZ_DATA];
    unsigned char        length[8];
    uint32_t             mixed = 1;
    for (size_t i = 0; i < FUZZ_DATA && !pattern[1]; i++) { /* once; small numbers in most types */
        mixed = mixed * 1664525u + 1013904223u;
        pattern[FUZZ_DATA - 1 - i] = (unsigned char)(i % 2 ? mixed >> 24 : 0x3C ^ (mixed >> 30));
    }
    if (h->count == 0) h->text[h->bytes++] = '{';
    h->text[h->bytes++] = '}';
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(h->bytes >> 8 * i);
    const size_t own = b->left < h->data ? b->left : h->data; /* the fuzzer's bytes come first */
    memcpy(data, pattern, h->data);
    memcpy(data, b->at, own);
    b->at += own;
    b->left -= own;
    return fuzz_file(length, sizeof length, h->text, h->bytes, data, h->data);
}
