/* An expert from its parts; see assemble.h. */
#include "tools/assemble/assemble.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/outfile.h"
#include "engine/files/safetensors.h"
#include "kernels/half.h"

enum { TENSOR_MAX = 1 << 26 }; /* bytes; the demo's largest is a fifth of it */

typedef struct item {
    const char      *name; /* in the checkpoint */
    const rf_tensor *stored;
    int64_t          seed, rows; /* of a table of which some rows are stored; rows 0: no such */
    uint64_t         bytes;      /* in the checkpoint */
} item;

typedef struct assembly {
    const rf_tensors *parts;
    item             *items; /* [count], ascending by name */
    size_t            count;
    int64_t          *row; /* [rows]: which rows of tables are stored */
    int64_t           rows;
    char             *header;
    size_t            header_bytes;
    rf_outfile        out;
    rf_error         *err;
} assembly;

static rf_status not_parts(assembly *a, const char *what)
{
    return rf_fail(a->err, RF_E_MODEL, "%s: no parts of demo experts: %s", a->parts->path, what);
}

/* ---- what there is ------------------------------------------------------------------------ */

static int by_name(const void *x, const void *y)
{
    return strcmp(((const item *)x)->name, ((const item *)y)->name);
}

static rf_status read_rows(assembly *a)
{
    rf_status        st = RF_OK;
    const rf_tensor *t = rf_tensors_find(a->parts, "rows");
    if (!t || t->type != RF_FILE_I64 || t->ndim != 1 || t->bytes > TENSOR_MAX || !t->elems)
        return not_parts(a, "`rows` shall be a list of I64");
    a->row = malloc(t->bytes);
    if (!a->row) return rf_fail(a->err, RF_E_NOMEM, "%s: no memory to read it", a->parts->path);
    RF_TRY(a->parts->read(a->parts, t, 0, a->row, t->bytes, a->err));
    a->rows = t->dim[0];
    for (int64_t i = 0; i < a->rows; i++)
        if (a->row[i] < (i ? a->row[i - 1] + 1 : 0)) return not_parts(a, "`rows` shall ascend");
done:
    return st;
}

static rf_status find_seed(assembly *a, item *it)
{
    rf_status        st = RF_OK;
    int64_t          told[2];
    char             name[300];
    const rf_tensor *s = it->stored;
    if (snprintf(name, sizeof name, "seeded/%s", it->name) >= (int)sizeof name ||
        strpbrk(it->name, "\"\\"))
        return not_parts(a, "a name in it is none of SDXL's");
    const rf_tensor *t = rf_tensors_find(a->parts, name);
    it->bytes = s->bytes;
    if (s->type != RF_FILE_F16 || s->bytes > TENSOR_MAX) return not_parts(a, it->name);
    if (!t) return RF_OK;
    if (t->type != RF_FILE_I64 || t->elems != 2) return not_parts(a, name);
    RF_TRY(a->parts->read(a->parts, t, 0, told, sizeof told, a->err));
    it->seed = told[0], it->rows = told[1];
    if (s->ndim != 2 || s->dim[0] != a->rows || it->rows <= a->row[a->rows - 1] || !s->dim[1] ||
        it->rows > TENSOR_MAX / 2 / s->dim[1])
        return not_parts(a, name);
    it->bytes = (uint64_t)(it->rows * s->dim[1]) * sizeof(uint16_t);
done:
    return st;
}

static rf_status find_items(assembly *a, const char *who)
{
    rf_status    st = RF_OK;
    const size_t prefix = strlen(who);
    a->items = calloc(a->parts->count + 1, sizeof *a->items);
    if (!a->items) return rf_fail(a->err, RF_E_NOMEM, "%s: no memory to read it", a->parts->path);
    for (size_t i = 0; i < a->parts->count; i++) {
        const rf_tensor *t = &a->parts->item[i];
        const char      *name = NULL;
        if (strncmp(t->name, "both/", 5) == 0) name = t->name + 5;
        if (strncmp(t->name, who, prefix) == 0 && t->name[prefix] == '/')
            name = t->name + prefix + 1;
        if (name) a->items[a->count++] = (item){.name = name, .stored = t};
    }
    if (!a->count) return not_parts(a, "nothing of that expert is in it");
    qsort(a->items, a->count, sizeof *a->items, by_name);
    for (size_t i = 0; i < a->count; i++) {
        if (i && by_name(&a->items[i - 1], &a->items[i]) == 0)
            return not_parts(a, a->items[i].name);
        RF_TRY(find_seed(a, &a->items[i]));
    }
done:
    return st;
}

/* ---- header ------------------------------------------------------------------------------- */

/* As the safetensors library spells it, so that the file is the same byte for byte. */
static rf_status write_header(assembly *a)
{
    rf_status     st = RF_OK;
    uint64_t      at = 0;
    unsigned char length[8];
    FILE         *text = open_memstream(&a->header, &a->header_bytes);
    if (!text) return rf_fail(a->err, RF_E_NOMEM, "%s: no memory to make it", a->out.path);
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", text);
    for (size_t i = 0; i < a->count; i++) {
        const item *it = &a->items[i];
        fprintf(text, ",\"%s\":{\"dtype\":\"F16\",\"shape\":[", it->name);
        for (int d = 0; d < it->stored->ndim; d++)
            fprintf(text, "%s%" PRId64, d ? "," : "",
                    d == 0 && it->rows ? it->rows : it->stored->dim[d]);
        fprintf(text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + it->bytes);
        at += it->bytes;
    }
    fputc('}', text);
    fflush(text);
    while (a->header_bytes % 8) {
        fputc(' ', text);
        fflush(text);
    }
    if (fclose(text) != 0) return rf_fail(a->err, RF_E_NOMEM, "%s: no memory", a->out.path);
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)a->header_bytes >> 8 * i);
    RF_TRY(rf_outfile_write(&a->out, length, sizeof length, a->err));
    RF_TRY(rf_outfile_write(&a->out, a->header, a->header_bytes, a->err));
done:
    return st;
}

/* ---- data --------------------------------------------------------------------------------- */

/* Steele, Lea & Flood 2014, SplitMix; as in engine/files/synth.c. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* seeded_rows of tools/demo-experts/expert.py: uniform elements of deviation 0.02, of 2^16 levels,
 * four of them from one hash. */
static void fill(uint16_t *out, uint64_t elems, uint64_t seed)
{
    const float    unit = (float)(0.02 * 1.7320508075688772) * 0x1p-15F;
    const uint64_t key = mix(seed);
    for (uint64_t i = 0; i < elems; i++) {
        const uint64_t bits = mix(key + i / 4) >> 16 * (i % 4);
        out[i] = rf_f16_from_f32((float)((int)(bits & 0xFFFF) - 32768) * unit);
    }
}

static rf_status write_item(assembly *a, const item *it)
{
    rf_status        st = RF_OK;
    const rf_tensor *s = it->stored;
    uint16_t        *data = malloc(it->bytes ? it->bytes : 1);
    if (!data) return rf_fail(a->err, RF_E_NOMEM, "%s: no memory to make it", a->out.path);
    if (it->rows) {
        const uint64_t width = (uint64_t)s->dim[1];
        fill(data, (uint64_t)it->rows * width, (uint64_t)it->seed);
        for (int64_t i = 0; i < a->rows; i++)
            RF_TRY(a->parts->read(a->parts, s, (uint64_t)i * width * sizeof *data,
                                  data + (uint64_t)a->row[i] * width, width * sizeof *data,
                                  a->err));
    } else {
        RF_TRY(a->parts->read(a->parts, s, 0, data, s->bytes, a->err));
    }
    RF_TRY(rf_outfile_write(&a->out, data, it->bytes, a->err));
done:
    free(data);
    return st;
}

rf_status rf_assemble(const char *out, const char *parts, const char *who, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_safetensors *file = NULL;
    assembly        a = {.err = err, .out = {.dir = -1, .fd = -1}};
    RF_TRY(rf_safetensors_open(&file, parts, err));
    a.parts = rf_safetensors_list(file);
    RF_TRY(read_rows(&a));
    RF_TRY(find_items(&a, who));
    RF_TRY(rf_outfile_create(&a.out, out, 1, err));
    RF_TRY(write_header(&a));
    for (size_t i = 0; i < a.count; i++) RF_TRY(write_item(&a, &a.items[i]));
    RF_TRY(rf_outfile_commit(&a.out, err));
done:
    rf_outfile_discard(&a.out);
    free(a.header);
    free(a.items);
    free(a.row);
    rf_safetensors_close(file);
    return st;
}
