/* The layout is walked once; see convert_list.h.  A tensor that diffusers cuts into three becomes
 * three here, each a stretch of the same source. */
#include "engine/files/convert_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/diffusers_names.h"

typedef struct maker {
    const rf_convert_source *s;
    rf_convert_list         *out;
    rf_error                *err;
    size_t                   used; /* tensors of s->list that went into it */
} maker;

static rf_convert_tensor *grow(rf_convert_list *list)
{
    if (list->count == list->room) {
        const size_t       room = list->room ? 2 * list->room : 1024;
        rf_convert_tensor *more = realloc(list->item, room * sizeof *more);
        if (!more) return NULL;
        list->item = more;
        list->room = room;
    }
    list->item[list->count] = (rf_convert_tensor){.name = NULL};
    return &list->item[list->count];
}

static rf_status append(rf_convert_list *list, const rf_convert_tensor *t, const char *name,
                        rf_error *err)
{
    rf_convert_tensor *at = grow(list);
    char              *copy = at ? strdup(name) : NULL;
    if (!copy) return rf_fail(err, RF_E_NOMEM, "convert: out of memory");
    *at = *t;
    at->name = copy;
    at->elems = 1;
    for (int i = 0; i < at->ndim; i++) at->elems *= (uint64_t)at->dim[i];
    list->bytes += at->elems * rf_filetype_bytes(at->type);
    list->count++;
    return RF_OK;
}

static int is_float(rf_filetype type)
{
    return type == RF_FILE_F16 || type == RF_FILE_BF16 || type == RF_FILE_F32;
}

/* ---- where it comes from ------------------------------------------------------------------ */

static const rf_tensor *find(const maker *m, const rf_layout_tensor *t, const rf_tensors **list)
{
    *list = t->part == RF_PART_VAE && m->s->vae ? m->s->vae : m->s->list;
    return rf_tensors_find(*list, t->name);
}

static uint64_t elems_of(const rf_layout_tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= (uint64_t)t->dim[i];
    return n;
}

static rf_status check(const maker *m, const rf_layout_tensor *t, const rf_tensor *source,
                       const rf_tensors *list)
{
    char shape[128];
    if (!source)
        return rf_fail(m->err, RF_E_MODEL, "%s: tensor %s is missing", list->path, t->name);
    if (is_float(source->type) && source->elems == elems_of(t)) return RF_OK;
    return rf_fail(m->err, RF_E_MODEL, "%s: tensor %s is %s %s, which is not what SDXL has there",
                   list->path, source->name, rf_filetype_name(source->type),
                   rf_tensor_shape_text(source, shape, sizeof shape));
}

/* ---- what becomes of it ------------------------------------------------------------------- */

/* Nothing reads them: copied from file to file, as diffusers has no place for them. */
static rf_status add_optional(maker *m, const rf_layout_tensor *t, const rf_tensor *source,
                              const rf_tensors *list)
{
    if (!source || m->s->layout != RF_CONVERT_FILE) return RF_OK;
    rf_convert_tensor out = {.part = t->part,
                             .type = source->type,
                             .ndim = source->ndim,
                             .source = source,
                             .list = list,
                             .as_is = 1};
    memcpy(out.dim, source->dim, sizeof out.dim);
    m->used++;
    return append(m->out, &out, t->name, m->err);
}

/* One file's readers know the pooled text's projection as OpenCLIP's parameter, y = x P, alone. */
static rf_status add_to_file(maker *m, const rf_layout_tensor *t, rf_convert_tensor *out)
{
    char name[256];
    if (t->part != RF_PART_CLIP_G || strcmp(t->inner, "text_projection.weight") != 0)
        return append(m->out, out, t->name, m->err);
    out->transposed = 1;
    out->dim[0] = t->dim[1];
    out->dim[1] = t->dim[0];
    snprintf(name, sizeof name, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name);
    return append(m->out, out, name, m->err);
}

static rf_status add_to_folder(maker *m, const rf_layout_tensor *t, rf_convert_tensor *out)
{
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    rf_status           st = RF_OK;
    const int           parts = rf_diffusers_names(m->s->arch, t, d);
    if (t->pointwise) out->ndim = 2; /* diffusers' attention is made of linear layers */
    for (int i = 0; i < parts; i++) {
        rf_convert_tensor piece = *out;
        piece.dim[0] /= parts;
        piece.first = (uint64_t)i * (elems_of(t) / (uint64_t)parts);
        piece.transposed = d[i].transposed;
        if (piece.transposed) {
            piece.dim[0] = t->dim[1];
            piece.dim[1] = t->dim[0];
        }
        RF_TRY(append(m->out, &piece, d[i].name, m->err));
    }
done:
    return st;
}

static rf_status add(void *user, const rf_layout_tensor *t)
{
    maker            *m = user;
    const rf_tensors *list;
    const rf_tensor  *source = find(m, t, &list);
    if (t->optional) return add_optional(m, t, source, list);
    const rf_status st = check(m, t, source, list);
    if (st != RF_OK) return st;
    rf_convert_tensor out = {.part = t->part,
                             .type = m->s->type == RF_FILETYPES ? source->type : m->s->type,
                             .ndim = t->ndim,
                             .source = source,
                             .list = list,
                             .patch = t->part == RF_PART_VAE ? NULL : source->name};
    for (int i = 0; i < t->ndim; i++) out.dim[i] = t->dim[i];
    m->used += list == m->s->list;
    return m->s->layout == RF_CONVERT_FILE ? add_to_file(m, t, &out) : add_to_folder(m, t, &out);
}

rf_status rf_convert_list_make(rf_convert_list *out, const rf_convert_source *source, rf_error *err)
{
    maker m = {.s = source, .out = out, .err = err};
    *out = (rf_convert_list){.item = NULL};
    const rf_status st = rf_sdxl_layout(source->arch, add, &m);
    out->dropped = source->list->count - m.used;
    return st;
}

/* ---- marks -------------------------------------------------------------------------------- */

/* One that the input has too is not left out of the output. */
static rf_status mark(rf_convert_list *list, const rf_convert_source *s, const char *name,
                      const double *value, rf_error *err)
{
    const rf_convert_tensor t = {.part = RF_PART_UNET,
                                 .type = RF_FILE_F32,
                                 .ndim = value ? 0 : 1,
                                 .value = value ? (float)*value : 0};
    list->dropped -= rf_tensors_find(s->list, name) != NULL;
    return append(list, &t, name, err);
}

rf_status rf_convert_list_mark(rf_convert_list *list, const rf_convert_source *source,
                               const rf_parameterisation *is, rf_error *err)
{
    rf_status st = RF_OK;
    if (!is->v) return RF_OK;
    if (is->range == RF_RANGE_EDM) {
        RF_TRY(mark(list, source, "edm_vpred.sigma_max", &is->sigma_max, err));
        st = mark(list, source, "edm_vpred.sigma_min", &is->sigma_min, err);
        goto done;
    }
    RF_TRY(mark(list, source, "v_pred", NULL, err));
    if (is->range == RF_RANGE_ZTSNR) RF_TRY(mark(list, source, "ztsnr", NULL, err));
done:
    return st;
}

void rf_convert_list_free(rf_convert_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->item[i].name);
    free(list->item);
    *list = (rf_convert_list){.item = NULL};
}
