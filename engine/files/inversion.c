/* Reading textual inversions; see inversion.h.
 *
 * A bundle's parts come in the list's order, which is that of names, so that the two sides of one
 * embedding may have others between them: each is put where its name says. */
#include "engine/files/inversion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/widen.h"
#include "engine/files/lora_keys.h"
#include "engine/files/safetensors.h"

static const char *const side_names[RF_INVERSION_SIDES] = {"clip_l", "clip_g"};

static rf_status no_memory(const rf_tensors *list, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", list->path);
}

/* ---- one tensor --------------------------------------------------------------------------- */

static rf_status check_tensor(const rf_tensors *list, const rf_tensor *t, rf_error *err)
{
    char shape[96];
    rf_tensor_shape_text(t, shape, sizeof shape);
    if (t->type != RF_FILE_F32 && t->type != RF_FILE_F16 && t->type != RF_FILE_BF16)
        return rf_fail(err, RF_E_MODEL, "%s: %s is %s; vectors are F32, F16 or BF16", list->path,
                       t->name, rf_filetype_name(t->type));
    if (t->ndim != 2 || t->dim[0] < 1 || t->dim[0] > RF_INVERSION_VECTORS_MAX || t->dim[1] < 1 ||
        t->dim[1] > RF_INVERSION_WIDTH_MAX)
        return rf_fail(err, RF_E_MODEL,
                       "%s: %s is %s; an embedding is [1 to %d vectors, the encoder's width]",
                       list->path, t->name, shape, RF_INVERSION_VECTORS_MAX);
    return RF_OK;
}

static rf_status read_vectors(float **out, const rf_tensors *list, const rf_tensor *t,
                              rf_error *err)
{
    const rf_dtype from = t->type == RF_FILE_F32   ? RF_F32
                          : t->type == RF_FILE_F16 ? RF_F16
                                                   : RF_BF16;
    const size_t   count = (size_t)t->elems;
    rf_status      st = RF_OK;
    void          *raw = malloc((size_t)t->bytes);
    float         *vector = malloc(count * sizeof *vector);
    if (!raw || !vector) {
        st = no_memory(list, err);
        goto done;
    }
    RF_TRY(list->read(list, t, 0, raw, (size_t)t->bytes, err));
    rf_convert(vector, RF_F32, raw, from, count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(vector[i])) {
            st = rf_fail(err, RF_E_MODEL, "%s: %s has an element that is not a finite number",
                         list->path, t->name);
            goto done;
        }
    *out = vector;
    vector = NULL;
done:
    free(vector);
    free(raw);
    return st;
}

/* ---- embeddings --------------------------------------------------------------------------- */

/* The embedding of that name, `bytes` long (none: of the file itself), made if need be. */
static rf_status find_or_add(rf_inversion **out, rf_embedding_file *f, const rf_tensors *list,
                             const char *name, size_t bytes, rf_error *err)
{
    for (int i = 0; i < f->count; i++) {
        const char *known = f->item[i].name;
        if (known ? strlen(known) == bytes && strncmp(known, name, bytes) == 0 : !name) {
            *out = &f->item[i];
            return RF_OK;
        }
    }
    if (f->count == RF_INVERSIONS_MAX)
        return rf_fail(err, RF_E_MODEL, "%s brings more than %d embeddings", list->path,
                       RF_INVERSIONS_MAX);
    rf_inversion *grown = realloc(f->item, ((size_t)f->count + 1) * sizeof *grown);
    if (!grown) return no_memory(list, err);
    f->item = grown;
    f->item[f->count] = (rf_inversion){0};
    if (name && !(f->item[f->count].name = strndup(name, bytes))) return no_memory(list, err);
    *out = &f->item[f->count++];
    return RF_OK;
}

static rf_status add_side(rf_embedding_file *f, const rf_tensors *list, const rf_tensor *t,
                          const char *name, size_t bytes, int side, rf_error *err)
{
    rf_status     st = RF_OK;
    rf_inversion *e = NULL;
    RF_TRY(check_tensor(list, t, err));
    f->numbers += (size_t)t->elems;
    if (f->numbers > RF_INVERSION_NUMBERS_MAX)
        return rf_fail(err, RF_E_MODEL, "%s: its embeddings are more than %d numbers", list->path,
                       RF_INVERSION_NUMBERS_MAX);
    RF_TRY(find_or_add(&e, f, list, name, bytes, err));
    if (e->vector[side])
        return rf_fail(err, RF_E_MODEL, "%s: %s is there twice, in two spellings", list->path,
                       t->name);
    if (e->vectors && e->vectors != (int)t->dim[0])
        return rf_fail(err, RF_E_MODEL,
                       "%s: %s has %d vectors and the other encoder's side has %d; both stand for "
                       "the same tokens",
                       list->path, t->name, (int)t->dim[0], e->vectors);
    e->vectors = (int)t->dim[0];
    e->width[side] = (int)t->dim[1];
    RF_TRY(read_vectors(&e->vector[side], list, t, err));
done:
    return st;
}

/* Which encoder the last part of a name is of; -1: none. */
static int side_of(const char *name)
{
    for (int s = 0; s < RF_INVERSION_SIDES; s++)
        if (strcmp(name, side_names[s]) == 0) return s;
    return -1;
}

static rf_status add_tensor(rf_embedding_file *f, const rf_tensors *list, const rf_tensor *t,
                            rf_error *err)
{
    const int own = side_of(t->name);
    if (own >= 0) return add_side(f, list, t, NULL, 0, own, err);
    const rf_lora_key key = rf_lora_key_of(t->name);
    if (key.kind != RF_LORA_KEY_EMBEDDING) return RF_OK;
    const char *name = t->name + strlen(RF_LORA_BUNDLE), *last = strrchr(t->name, '.');
    const int   side = last ? side_of(last + 1) : -1;
    if (side < 0 || key.stem == 0)
        return rf_fail(err, RF_E_MODEL,
                       "%s: the bundled embedding %s is for no encoder of SDXL (clip_l, clip_g)",
                       list->path, t->name);
    return add_side(f, list, t, name, key.stem, side, err);
}

static int by_name(const void *a, const void *b)
{
    const char *x = ((const rf_inversion *)a)->name, *y = ((const rf_inversion *)b)->name;
    return strcmp(x ? x : "", y ? y : "");
}

rf_status rf_embedding_file_gather(rf_embedding_file *out, const rf_tensors *list, rf_error *err)
{
    rf_embedding_file f = {0};
    rf_status         st = RF_OK;
    *out = f;
    for (size_t i = 0; i < list->count; i++) RF_TRY(add_tensor(&f, list, &list->item[i], err));
    if (f.count) qsort(f.item, (size_t)f.count, sizeof *f.item, by_name);
    *out = f;
    f = (rf_embedding_file){0};
done:
    rf_embedding_file_free(&f);
    return st;
}

/* ---- files -------------------------------------------------------------------------------- */

static rf_status refuse(const rf_tensors *list, rf_error *err)
{
    const rf_tensor *old = rf_tensors_find(list, "emb_params");
    if (old)
        return rf_fail(err, RF_E_MODEL,
                       "%s is a textual inversion for SD 1.x or 2.x (emb_params); SDXL's have "
                       "clip_l and clip_g",
                       list->path);
    return rf_fail(err, RF_E_MODEL, "%s holds no textual inversion (clip_l and clip_g)",
                   list->path);
}

rf_status rf_embedding_file_read(rf_embedding_file *out, const char *path, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_safetensors *file = NULL;
    *out = (rf_embedding_file){0};
    RF_TRY(rf_safetensors_open(&file, path, err));
    const rf_tensors *list = rf_safetensors_list(file);
    RF_TRY(rf_embedding_file_gather(out, list, err));
    if (out->count == 0) st = refuse(list, err);
done:
    rf_safetensors_close(file);
    return st;
}

void rf_embedding_file_free(rf_embedding_file *file)
{
    for (int i = 0; i < file->count; i++) {
        free(file->item[i].name);
        for (int s = 0; s < RF_INVERSION_SIDES; s++) free(file->item[i].vector[s]);
    }
    free(file->item);
    *file = (rf_embedding_file){0};
}
