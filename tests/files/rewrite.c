/* See rewrite.h: header and data grow side by side. */
#include "tests/files/rewrite.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/safetensors.h"

struct rewriter {
    char    *header, *data;
    size_t   header_bytes, data_bytes;
    FILE    *header_out, *data_out;
    uint64_t at;
};

void rewrite_put(rewriter *w, const char *name, rf_filetype type, int ndim, const int64_t *dim,
                 const void *data)
{
    uint64_t bytes = rf_filetype_bytes(type);
    fprintf(w->header_out, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[", w->at ? ',' : ' ', name,
            rf_filetype_name(type));
    for (int i = 0; i < ndim; i++) {
        fprintf(w->header_out, "%s%" PRId64, i ? "," : "", dim[i]);
        bytes *= (uint64_t)dim[i];
    }
    fprintf(w->header_out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", w->at, w->at + bytes);
    w->at += bytes;
    cr_assert_eq(fwrite(data, 1, bytes, w->data_out), bytes);
}

void rewrite_as(rewriter *w, const char *name, const rf_tensor *t, const void *data)
{
    rewrite_put(w, name, t->type, t->ndim, t->dim, data);
}

void rewrite_keep(rewriter *w, const rf_tensor *t, const void *data)
{
    rewrite_as(w, t->name, t, data);
}

void rewrite_file(const char *to, const char *from, rewrite_fn *fn, void *user)
{
    rf_safetensors *file = NULL;
    rewriter        w = {.at = 0};
    cr_assert_eq(rf_safetensors_open(&file, from, NULL), RF_OK);
    const rf_tensors *list = rf_safetensors_list(file);
    w.header_out = open_memstream(&w.header, &w.header_bytes);
    w.data_out = open_memstream(&w.data, &w.data_bytes);
    fputc('{', w.header_out);
    for (size_t i = 0; i < list->count; i++) {
        const rf_tensor *t = &list->item[i];
        void            *data = malloc((size_t)t->bytes + 1);
        cr_assert_eq(list->read(list, t, 0, data, (size_t)t->bytes, NULL), RF_OK);
        fn(&w, t, data, user);
        free(data);
    }
    fn(&w, NULL, NULL, user);
    fputc('}', w.header_out);
    fclose(w.header_out);
    fclose(w.data_out);
    FILE          *out = fopen(to, "wb");
    const uint64_t n = w.header_bytes;
    cr_assert(out && fwrite(&n, 8, 1, out) == 1 && fwrite(w.header, 1, n, out) == n &&
              fwrite(w.data, 1, w.data_bytes, out) == w.data_bytes && fclose(out) == 0);
    free(w.header);
    free(w.data);
    rf_safetensors_close(file);
}
