/* See embeddings.h. */
#include "tests/relay/embeddings.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"

enum { HEADER_BYTES = 1 << 14 };

void write_tensors(const char *path, const tensor_text *tensors)
{
    char     header[HEADER_BYTES] = "{";
    size_t   at = 1;
    uint64_t data = 0;
    for (const tensor_text *t = tensors; t->name; t++) {
        const uint64_t bytes = (uint64_t)t->rows * (uint64_t)t->columns * 4;
        at += (size_t)snprintf(
            header + at, HEADER_BYTES - at,
            "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%" PRIu64 ",%" PRIu64
            "]}",
            data ? "," : "", t->name, t->rows, t->columns, data, data + bytes);
        data += bytes;
        cr_assert_lt(at, HEADER_BYTES - 16u);
    }
    header[at++] = '}';
    while (at % 8) header[at++] = ' ';
    FILE          *file = fopen(path, "wb");
    const uint64_t length = at;
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(&length, sizeof length, 1, file), 1u);
    cr_assert_eq(fwrite(header, 1, at, file), at);
    for (const tensor_text *t = tensors; t->name; t++) {
        const size_t elems = (size_t)t->rows * (size_t)t->columns;
        cr_assert_eq(fwrite(t->value, sizeof *t->value, elems, file), elems);
    }
    cr_assert_eq(fclose(file), 0);
}

static float element(const rf_tensors *list, const rf_tensor *t, uint64_t i)
{
    const size_t size = rf_filetype_bytes(t->type);
    uint16_t     half = 0;
    float        whole = 0;
    cr_assert(t->type == RF_FILE_F16 || t->type == RF_FILE_F32);
    void *to = t->type == RF_FILE_F16 ? (void *)&half : (void *)&whole;
    cr_assert_eq(list->read(list, t, i * size, to, size, NULL), RF_OK);
    return t->type == RF_FILE_F16 ? rf_f32_from_f16(half) : whole;
}

int word_vectors(relays *r, const rf_expert *expert, const char *words, float *vector[2])
{
    static const char *const table[] = {RF_PREFIX_CLIP_L "embeddings.token_embedding.weight",
                                        RF_PREFIX_CLIP_G "token_embedding.weight"};
    const rf_tensors        *list = rf_model_file_list(expert->file);
    int                      count = 0;
    for (int e = 0; e < 2; e++) {
        int32_t         *id = NULL;
        const rf_tensor *t = rf_tensors_find(list, table[e]);
        cr_assert_not_null(t);
        const uint64_t width = (uint64_t)t->dim[1];
        cr_assert_eq(rf_tokens_of(&id, &count, r->engine, e ? "g" : "l", words, NULL), RF_OK);
        vector[e] = malloc((size_t)count * width * sizeof(float));
        for (int k = 0; k < count; k++)
            for (uint64_t i = 0; i < width; i++)
                vector[e][(uint64_t)k * width + i] = element(list, t, (uint64_t)id[k] * width + i);
        free(id);
    }
    return count;
}

void write_inversion(relays *r, const rf_expert *expert, const char *words, const char *path)
{
    float    *vector[2];
    const int count = word_vectors(r, expert, words, vector);
    write_tensors(path, (tensor_text[]){{"clip_g", count, expert->arch.clip_g.width, vector[1]},
                                        {"clip_l", count, expert->arch.clip_l.width, vector[0]},
                                        {0}});
    free(vector[0]);
    free(vector[1]);
}
