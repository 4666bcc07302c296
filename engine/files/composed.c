/* Names, parts and reading; see composed.h. */
#include "engine/files/composed.h"

#include <stdlib.h>
#include <string.h>

typedef struct sources {
    rf_composed_part part[RF_COMPOSED_PARTS];
    int              parts;
} sources;

struct rf_composed {
    char      *path;
    rf_tensor *tensor; /* [list.count]; `offset` is the index of its sources */
    sources   *source;
    size_t     room;
    int        sorted;
    rf_tensors list;
};

static rf_status no_memory(const rf_composed *c, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", c->path);
}

/* ---- adding ------------------------------------------------------------------------------- */

static rf_status reserve(rf_composed *c, rf_error *err)
{
    if (c->list.count < c->room) return RF_OK;
    const size_t room = c->room ? 2 * c->room : 1024;
    rf_tensor   *tensor = realloc(c->tensor, room * sizeof *tensor);
    if (tensor) c->tensor = tensor;
    sources *source = realloc(c->source, room * sizeof *source);
    if (source) c->source = source;
    if (!tensor || !source) return no_memory(c, err);
    c->room = room;
    return RF_OK;
}

static rf_status stack(const rf_composed *c, rf_tensor *whole, const rf_tensor *part, rf_error *err)
{
    int same = whole->ndim == part->ndim && whole->type == part->type && whole->ndim > 0 &&
               whole->dim[0] < INT32_MAX && part->dim[0] < INT32_MAX;
    for (int i = 1; i < whole->ndim; i++) same &= whole->dim[i] == part->dim[i];
    if (!same)
        return rf_fail(err, RF_E_MODEL, "%s: %s does not go with its neighbours", c->path,
                       part->name);
    whole->dim[0] += part->dim[0];
    whole->elems += part->elems;
    whole->bytes += part->bytes;
    return RF_OK;
}

rf_status rf_composed_add(rf_composed *c, const char *name, const rf_composed_part *part, int parts,
                          rf_error *err)
{
    rf_status st = RF_OK;
    rf_tensor t = *part[0].tensor;
    sources   from = {.parts = parts};
    memcpy(from.part, part, (size_t)parts * sizeof *part);
    for (int i = 1; i < parts; i++) RF_TRY(stack(c, &t, part[i].tensor, err));
    RF_TRY(reserve(c, err));
    t.offset = c->list.count;
    t.name = strdup(name);
    if (!t.name) return no_memory(c, err);
    c->tensor[c->list.count] = t;
    c->source[c->list.count++] = from;
done:
    return st;
}

/* ---- reading ------------------------------------------------------------------------------ */

static rf_status read_parts(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                            size_t bytes, rf_error *err)
{
    const rf_composed *c = self->impl;
    const sources     *s = &c->source[t->offset];
    char              *to = dst;
    if (from > t->bytes || bytes > t->bytes - from)
        return rf_fail(err, RF_E_BUG, "%s: a read outside of %s", c->path, t->name);
    for (int i = 0; i < s->parts && bytes > 0; i++) {
        const rf_tensor *part = s->part[i].tensor;
        if (from >= part->bytes) {
            from -= part->bytes;
            continue;
        }
        const size_t    now = bytes < part->bytes - from ? bytes : (size_t)(part->bytes - from);
        const rf_status st = s->part[i].list->read(s->part[i].list, part, from, to, now, err);
        if (st != RF_OK) return st;
        to += now;
        bytes -= now;
        from = 0;
    }
    return RF_OK;
}

/* ---- all ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rf_tensor *)a)->name, ((const rf_tensor *)b)->name);
}

rf_status rf_composed_create(rf_composed **out, const char *path, rf_error *err)
{
    rf_composed *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c) c->path = strdup(path);
    if (!c || !c->path) {
        free(c);
        return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    }
    *out = c;
    return RF_OK;
}

void rf_composed_destroy(rf_composed *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->list.count; i++) free((char *)c->tensor[i].name);
    free(c->tensor);
    free(c->source);
    free(c->path);
    free(c);
}

const rf_tensors *rf_composed_list(rf_composed *c)
{
    if (!c->sorted && c->list.count) qsort(c->tensor, c->list.count, sizeof *c->tensor, by_name);
    c->sorted = 1;
    c->list = (rf_tensors){
        .item = c->tensor, .count = c->list.count, .path = c->path, .read = read_parts, .impl = c};
    return &c->list;
}
