/* From tensors to modules; see lora.h.  What a module's factors must look like is in
 * lora_shapes.c. */
#include "engine/files/lora.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/lora_alpha.h"
#include "engine/files/lora_keys.h"
#include "engine/files/lora_names.h"
#include "engine/files/lora_shapes.h"
#include "engine/files/model_use.h"

/* A tensor with its name taken apart. */
typedef struct piece {
    const rf_tensor *tensor;
    rf_lora_key      key;
} piece;

const char *rf_lora_kind_name(rf_lora_kind kind)
{
    static const char *const names[RF_LORA_KINDS] = {"LoRA", "LoHa", "LoKr", "difference",
                                                     "replacement"};
    return names[kind];
}

static const char *path_of(const rf_lora *l)
{
    return l->tensors->path;
}

/* ---- pieces ------------------------------------------------------------------------------- */

static int by_stem(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    const size_t n = x->key.stem < y->key.stem ? x->key.stem : y->key.stem;
    const int    order = strncmp(x->tensor->name, y->tensor->name, n);
    return order ? order : (x->key.stem > y->key.stem) - (x->key.stem < y->key.stem);
}

static int same_stem(const piece *a, const piece *b)
{
    return by_stem(a, b) == 0;
}

/* Takes every name apart: `out` [count of tensors] gets what belongs to modules; their number. */
static rf_status take_apart(const rf_lora *l, piece *out, int *pieces, rf_error *err)
{
    for (size_t i = 0; i < l->tensors->count; i++) {
        const rf_tensor  *t = &l->tensors->item[i];
        const rf_lora_key key = rf_lora_key_of(t->name);
        if (key.kind == RF_LORA_KEY_REFUSED)
            return rf_fail(err, RF_E_MODEL, "%s is a file of kind %s, which is not supported",
                           path_of(l), key.refused);
        if (key.kind == RF_LORA_KEY_UNKNOWN)
            return rf_fail(err, RF_E_MODEL,
                           "%s: tensor %s is no part of any LoRA that refinery knows", path_of(l),
                           t->name);
        if (key.kind == RF_LORA_KEY_ROLE) out[(*pieces)++] = (piece){.tensor = t, .key = key};
    }
    return RF_OK;
}

/* ---- modules ------------------------------------------------------------------------------ */

/* All pieces of one stem, from `first` on; their number. */
static int gather(rf_lora_module *m, const piece *first, int left, int *sets,
                  const rf_tensor **twice)
{
    int n = 0;
    while (n < left && same_stem(first, first + n)) {
        const piece *p = &first[n++];
        if (m->tensor[p->key.role]) *twice = p->tensor;
        m->tensor[p->key.role] = p->tensor;
        *sets |= p->key.sets;
    }
    return n;
}

static rf_status make_module(rf_lora *l, const piece *first, int left, int *taken, char **text,
                             rf_error *err)
{
    rf_lora_module  *m = &l->module[l->modules];
    const rf_tensor *twice = NULL;
    int              sets = 0;
    rf_status        st = RF_OK;
    *taken = gather(m, first, left, &sets, &twice);
    memcpy(*text, first->tensor->name, first->key.stem);
    m->name = *text;
    *text += first->key.stem + 1; /* zeroed before */
    m->part = rf_lora_part_of(m->name);
    if (twice)
        return rf_fail(err, RF_E_MODEL, "%s: module %s has %s and another of the same meaning",
                       path_of(l), m->name, twice->name);
    RF_TRY(rf_lora_shapes_check(m, sets, path_of(l), err));
    l->count[m->part]++;
    l->kinds[m->kind]++;
    l->dora += m->tensor[RF_LORA_DORA] != NULL;
    l->modules++;
done:
    return st;
}

static rf_status make_modules(rf_lora *l, piece *pieces, int count, rf_error *err)
{
    size_t    bytes = 0;
    rf_status st = RF_OK;
    qsort(pieces, (size_t)count, sizeof *pieces, by_stem);
    for (int i = 0; i < count; i++) bytes += pieces[i].key.stem + 1;
    l->text = calloc(1, bytes + 1);
    l->module = calloc((size_t)count + 1, sizeof *l->module);
    if (!l->text || !l->module) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path_of(l));
    char *text = l->text;
    for (int i = 0, taken = 0; i < count; i += taken)
        RF_TRY(make_module(l, &pieces[i], count - i, &taken, &text, err));
    RF_TRY(rf_lora_read_alphas(l, err));
done:
    return st;
}

/* ---- bundled embeddings ------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An embedding has a tensor for each text encoder: names come out once each, in order. */
static void drop_twins(rf_lora *l)
{
    int kept = 0;
    if (l->embeddings == 0) return; /* qsort must not see NULL */
    qsort(l->embedding, (size_t)l->embeddings, sizeof *l->embedding, by_name);
    for (int i = 0; i < l->embeddings; i++) {
        if (kept > 0 && strcmp(l->embedding[kept - 1], l->embedding[i]) == 0)
            free(l->embedding[i]);
        else
            l->embedding[kept++] = l->embedding[i];
    }
    l->embeddings = kept;
}

static rf_status list_embeddings(rf_lora *l, rf_error *err)
{
    int room = 0;
    for (size_t i = 0; i < l->tensors->count; i++) {
        const char       *name = l->tensors->item[i].name;
        const rf_lora_key key = rf_lora_key_of(name);
        if (key.kind != RF_LORA_KEY_EMBEDDING) continue;
        if (l->embeddings == room) {
            room = room ? 2 * room : 8;
            char **grown = realloc(l->embedding, (size_t)room * sizeof *grown);
            if (!grown) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path_of(l));
            l->embedding = grown;
        }
        l->embedding[l->embeddings] = strndup(name + strlen(RF_LORA_BUNDLE), key.stem);
        if (!l->embedding[l->embeddings])
            return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path_of(l));
        l->embeddings++;
    }
    drop_twins(l);
    return RF_OK;
}

/* ---- all ---------------------------------------------------------------------------------- */

static rf_status read_modules(rf_lora *l, rf_error *err)
{
    rf_status st = RF_OK;
    int       count = 0;
    piece    *pieces = calloc(l->tensors->count, sizeof *pieces);
    if (!pieces) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path_of(l));
    RF_TRY(take_apart(l, pieces, &count, err));
    if (count == 0) {
        st = rf_fail(err, RF_E_MODEL, "%s holds no LoRA", path_of(l));
        goto done;
    }
    RF_TRY(make_modules(l, pieces, count, err));
    RF_TRY(list_embeddings(l, err));
done:
    free(pieces);
    return st;
}

rf_status rf_lora_open(rf_lora **out, const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    rf_lora  *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l) return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
    RF_TRY(rf_safetensors_open(&l->file, path, err));
    l->tensors = rf_safetensors_list(l->file);
    RF_TRY(rf_model_use_check(rf_model_kind_of(l->tensors), RF_USE_LORA, path, err));
    RF_TRY(read_modules(l, err));
    *out = l;
    l = NULL;
done:
    rf_lora_close(l);
    return st;
}

void rf_lora_close(rf_lora *l)
{
    if (!l) return;
    for (int i = 0; i < l->embeddings; i++) free(l->embedding[i]);
    free(l->embedding);
    free(l->module);
    free(l->text);
    rf_safetensors_close(l->file);
    free(l);
}
