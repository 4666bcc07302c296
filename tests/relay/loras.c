/* See loras.h. */
#include "tests/relay/loras.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 1 << 16 };

typedef struct header {
    char     text[HEADER_BYTES];
    size_t   bytes;
    uint64_t data;
} header;

static void add(header *h, const char *name, const char *end, int rows, int columns)
{
    const uint64_t bytes = (uint64_t)rows * (uint64_t)columns * 4;
    h->bytes += (size_t)snprintf(
        h->text + h->bytes, HEADER_BYTES - h->bytes,
        "%s\"%s.%s\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%" PRIu64 ",%" PRIu64
        "]}",
        h->data ? "," : "", name, end, rows, columns, h->data, h->data + bytes);
    h->data += bytes;
    cr_assert_lt(h->bytes, HEADER_BYTES - 2u);
}

void write_lora(const char *path, const lora_module *m)
{
    header h = {.text = "{", .bytes = 1};
    for (; m->name; m++) {
        add(&h, m->name, "lora_down.weight", LORA_RANK, m->in);
        add(&h, m->name, "lora_up.weight", m->out, LORA_RANK);
    }
    h.text[h.bytes++] = '}';
    while (h.bytes % 8) h.text[h.bytes++] = ' ';
    FILE          *file = fopen(path, "wb");
    const uint64_t length = h.bytes;
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(&length, sizeof length, 1, file), 1u);
    cr_assert_eq(fwrite(h.text, 1, h.bytes, file), h.bytes);
    for (uint64_t i = 0; i < h.data / 4; i++) {
        const float x = (float)((int)(i * 2654435761u >> 16 & 0xFF) - 128) / 512;
        cr_assert_eq(fwrite(&x, sizeof x, 1, file), 1u);
    }
    cr_assert_eq(fclose(file), 0);
}
