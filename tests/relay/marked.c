/* See marked.h. */
#include "tests/relay/marked.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/whole_file.h"

typedef struct tail {
    char     text[400]; /* of the header */
    float    data[2];
    uint64_t at; /* behind the data so far */
    int      floats;
} tail;

static void add(tail *t, const char *name, const float *value)
{
    const uint64_t end = t->at + (value ? sizeof *value : 0);
    const size_t   used = strlen(t->text);
    snprintf(t->text + used, sizeof t->text - used,
             ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", name,
             value ? "" : "0", (unsigned long long)t->at, (unsigned long long)end);
    if (value) t->data[t->floats++] = *value;
    t->at = end;
}

char *make_marked(const char *path, const char *name, const float *value, const char *other,
                  const float *other_value)
{
    static int number;
    rf_error   err = {0};
    char      *file = NULL, *out = NULL;
    size_t     bytes = 0;
    uint64_t   header = 0;
    cr_assert_eq(rf_whole_file_read(&file, &bytes, path, (size_t)1 << 28, &err), RF_OK, "%s",
                 err.message);
    memcpy(&header, file, 8);
    tail t = {.at = bytes - 8 - header};
    add(&t, name, value);
    add(&t, other, other_value);
    const char *end = file + 8 + header - 1; /* the last brace, before blanks */
    while (*end != '}') end--;
    const uint64_t kept = (uint64_t)(end - file) - 8, longer = kept + strlen(t.text) + 1;
    cr_assert_gt(asprintf(&out, "%s.%d.safetensors", path, number++), 0);
    FILE *f = fopen(out, "wb");
    cr_assert(f && fwrite(&longer, 8, 1, f) == 1 && fwrite(file + 8, 1, kept, f) == kept);
    cr_assert(fputs(t.text, f) >= 0 && fputc('}', f) == '}');
    cr_assert_eq(fwrite(file + 8 + header, 1, bytes - 8 - header, f), bytes - 8 - header);
    cr_assert_eq(fwrite(t.data, sizeof *t.data, (size_t)t.floats, f), (size_t)t.floats);
    cr_assert_eq(fclose(f), 0);
    free(file);
    return out;
}
