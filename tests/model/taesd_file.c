/* See taesd_file.h. */
#include "tests/model/taesd_file.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct writer {
    char       *header, *data;
    size_t      header_bytes, data_bytes;
    FILE       *header_out, *data_out;
    const char *prefix;
    int         first, tensors;
} writer;

static void add(writer *w, const char *name, const int *dim, int dims, double scale, double middle)
{
    size_t   elems = 1;
    uint32_t seed = (uint32_t)++w->tensors;
    long     from = ftell(w->data_out);
    for (int i = 0; i < dims; i++) elems *= (size_t)dim[i];
    for (size_t i = 0; i < elems; i++) {
        seed = seed * 1664525u + 1013904223u;
        const double u = (double)(int)(seed >> 8) * 0x1p-23 - 1;
        const float  v = (float)(u * scale + middle);
        fwrite(&v, sizeof v, 1, w->data_out);
    }
    fprintf(w->header_out, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", from ? "," : "", name);
    for (int i = 0; i < dims; i++) fprintf(w->header_out, "%s%d", i ? "," : "", dim[i]);
    fprintf(w->header_out, "],\"data_offsets\":[%ld,%ld]}", from, ftell(w->data_out));
}

/* A convolution and, unless `bare`, its bias. */
static void conv(writer *w, const char *name, int cin, int cout, double gain, int bare)
{
    char         tensor[80];
    const int    shape[] = {cout, cin, 3, 3};
    const double middle = cout == 3 ? 0.5 : 0;
    snprintf(tensor, sizeof tensor, "%s%s.weight", w->prefix, name);
    add(w, tensor, shape, 4, gain * sqrt(6.0 / (9 * cin)), 0);
    snprintf(tensor, sizeof tensor, "%s%s.bias", w->prefix, name);
    if (!bare) add(w, tensor, shape, 1, 0.1, middle);
}

static void layer(writer *w, int number, const char *leaf, int cin, int cout, double gain, int bare)
{
    char name[32];
    snprintf(name, sizeof name, "%d%s", number + w->first, leaf);
    conv(w, name, cin, cout, gain, bare);
}

static void write_layers(writer *w, int width)
{
    int number = 2;
    layer(w, 0, "", 4, width, 1, 0);
    for (int stage = 0; stage < 4; stage++) {
        for (int block = 0; block < (stage < 3 ? 3 : 1); block++, number++) {
            layer(w, number, ".conv.0", width, width, 1, 0);
            layer(w, number, ".conv.2", width, width, 1, 0);
            layer(w, number, ".conv.4", width, width, 0.3, 0);
        }
        if (stage == 3) break;
        layer(w, number + 1, "", width, width, 0.6, 1);
        number += 2;
    }
    layer(w, number, "", width, 3, 0.2, 0);
}

/* So much of an encoder as tells that there is one. */
static void write_encoder(writer *w, const char *prefix)
{
    w->prefix = prefix;
    w->first = 0;
    layer(w, 0, "", 3, 8, 1, 0);
    layer(w, 1, ".conv.0", 8, 8, 1, 0);
}

static void write_file(writer *w, const char *path)
{
    fputc('}', w->header_out);
    cr_assert_eq(fclose(w->header_out) | fclose(w->data_out), 0);
    const uint64_t bytes = w->header_bytes;
    FILE          *out = fopen(path, "wb");
    cr_assert_not_null(out);
    fwrite(&bytes, sizeof bytes, 1, out);
    fwrite(w->header, 1, w->header_bytes, out);
    fwrite(w->data, 1, w->data_bytes, out);
    cr_assert_eq(fclose(out), 0);
    free(w->header);
    free(w->data);
}

char *taesd_write(int width, taesd_spelling spelling)
{
    static const char *const decoders[] = {"", "decoder.", "taesd_decoder.", "decoder.layers."};
    static const char *const encoders[] = {NULL, NULL, "taesd_encoder.", "encoder.layers."};
    char                     folder[] = "/tmp/refinery-test-XXXXXX", *path = NULL;
    writer w = {.prefix = decoders[spelling], .first = spelling != TAESD_DIFFUSERS};
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_gt(asprintf(&path, "%s/taesd.safetensors", folder), 0);
    w.header_out = open_memstream(&w.header, &w.header_bytes);
    w.data_out = open_memstream(&w.data, &w.data_bytes);
    cr_assert(w.header_out && w.data_out);
    fputc('{', w.header_out);
    write_layers(&w, width);
    if (encoders[spelling]) write_encoder(&w, encoders[spelling]);
    write_file(&w, path);
    return path;
}

void taesd_remove(char *path)
{
    unlink(path);
    rmdir(dirname(path));
    free(path);
}
