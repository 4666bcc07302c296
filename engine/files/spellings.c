/* Foreign spellings of the text encoders; see spellings.h. */
#include "engine/files/spellings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/diffusers_names.h"

enum { NAME_BYTES = 512, FRONT_BYTES = 64, LAYERS_MAX = 64 };

static const char LEVEL[] = "text_model."; /* begins Hugging Face's names */

/* How an encoder is spelled: its names are `front` and Hugging Face's, less the first `skip` bytes
 * of those. */
typedef struct spelling {
    char   front[FRONT_BYTES];
    size_t skip;
} spelling;

typedef struct work {
    const rf_tensors *list;
    rf_error         *err;
    rf_sdxl_arch      arch; /* what decides which names the encoders have */
    spelling          now;
    rf_composed      *out;
    char             *used; /* [list->count] */
} work;

static const rf_tensor *find(const rf_tensors *list, const char *front, const char *name)
{
    char whole[NAME_BYTES];
    snprintf(whole, sizeof whole, "%s%s", front, name);
    return rf_tensors_find(list, whole);
}

static int count_layers(const rf_tensors *list, const spelling *s)
{
    int  layers = 0;
    char name[NAME_BYTES];
    for (; layers < LAYERS_MAX; layers++) {
        snprintf(name, sizeof name, "text_model.encoder.layers.%d.layer_norm1.weight", layers);
        if (!find(list, s->front, name + s->skip)) break;
    }
    return layers;
}

/* ---- what there is ------------------------------------------------------------------------ */

/* bigG in Hugging Face's names.  Behind the refiner's place "transformer." is CLIP-L's. */
static int find_clip_g(work *w)
{
    static const char *const fronts[] = {
        "conditioner.embedders.1.model.",
        "conditioner.embedders.1.transformer.",
        "conditioner.embedders.1.model.transformer.",
        "conditioner.embedders.0.model.",
        "conditioner.embedders.0.model.transformer.",
    };
    for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
        if (!find(w->list, fronts[i], "text_model.embeddings.token_embedding.weight")) continue;
        snprintf(w->now.front, sizeof w->now.front, "%s", fronts[i]);
        w->now.skip = 0;
        w->arch.has_clip_l = i < 3;
        w->arch.clip_g.layers = count_layers(w->list, &w->now);
        w->arch.clip_g.projection_is_linear = 1;
        return 1;
    }
    return 0;
}

static int find_clip_l(work *w)
{
    static const char front[] = "conditioner.embedders.0.transformer.";
    if (!find(w->list, front, "embeddings.token_embedding.weight")) return 0;
    snprintf(w->now.front, sizeof w->now.front, "%s", front);
    w->now.skip = sizeof LEVEL - 1;
    w->arch.has_clip_l = 1;
    w->arch.clip_l.layers = count_layers(w->list, &w->now);
    return 1;
}

/* ---- the list ----------------------------------------------------------------------------- */

/* A canonical tensor, of what the file has for it. */
static rf_status add_tensor(void *user, const rf_layout_tensor *t)
{
    work               *w = user;
    rf_diffusers_tensor d[RF_DIFFUSERS_PARTS];
    rf_composed_part    part[RF_DIFFUSERS_PARTS];
    const int           parts = rf_diffusers_names(&w->arch, t, d);
    if (parts == 0 || rf_tensors_find(w->list, t->name)) return RF_OK;
    for (int i = 0; i < parts; i++) {
        const int has_level = strncmp(d[i].name, LEVEL, sizeof LEVEL - 1) == 0;
        part[i].list = w->list;
        part[i].tensor = find(w->list, w->now.front, d[i].name + (has_level ? w->now.skip : 0));
        if (!part[i].tensor) return RF_OK;
    }
    for (int i = 0; i < parts; i++) w->used[part[i].tensor - w->list->item] = 1;
    return rf_composed_add(w->out, t->name, part, parts, w->err);
}

static rf_status add_others(work *w)
{
    rf_status st = RF_OK;
    for (size_t i = 0; i < w->list->count; i++) {
        const rf_composed_part whole = {&w->list->item[i], w->list};
        if (!w->used[i]) RF_TRY(rf_composed_add(w->out, whole.tensor->name, &whole, 1, w->err));
    }
done:
    return st;
}

static rf_status begin(work *w)
{
    if (w->out) return RF_OK;
    w->used = calloc(w->list->count, 1);
    if (!w->used) return rf_fail(w->err, RF_E_NOMEM, "%s: out of memory", w->list->path);
    return rf_composed_create(&w->out, w->list->path, w->err);
}

rf_status rf_spellings_open(rf_composed **out, const rf_tensors *list, rf_error *err)
{
    work      w = {.list = list, .err = err};
    rf_status st = RF_OK;
    *out = NULL;
    if (find_clip_g(&w)) {
        RF_TRY(begin(&w));
        RF_TRY(rf_sdxl_layout_part(&w.arch, RF_PART_CLIP_G, add_tensor, &w));
    }
    if (find_clip_l(&w)) {
        RF_TRY(begin(&w));
        RF_TRY(rf_sdxl_layout_part(&w.arch, RF_PART_CLIP_L, add_tensor, &w));
    }
    if (w.out) RF_TRY(add_others(&w));
    *out = w.out;
    w.out = NULL;
done:
    rf_composed_destroy(w.out);
    free(w.used);
    return st;
}
