/* Textual inversions while planning, and their vectors before encoding; see inversions.h. */
#include "engine/relay/inversions.h"

#include <stdlib.h>
#include <string.h>

#include "engine/files/file_stem.h"
#include "engine/files/hash.h"
#include "engine/relay/plan.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* ---- what is read ------------------------------------------------------------------------- */

const rf_inversion_source *rf_inversions_find(const rf_inversions *v, const char *path)
{
    for (int i = 0; i < v->sources; i++)
        if (strcmp(v->source[i].path, path) == 0) return &v->source[i];
    return NULL;
}

/* Of a file that a job lists, which may have been read as another job's LoRA, and left out. */
static rf_status read_listed(const rf_plan *p, rf_inversion_source *s, rf_error *err)
{
    rf_status st = RF_OK;
    if (s->file.count == 0) RF_TRY(rf_embedding_file_read(&s->file, s->path, err));
    if (!*s->sha256) RF_TRY(rf_file_sha256(s->sha256, s->path, p->engine->hash_cache, NULL, err));
done:
    return st;
}

/* A LoRA is open already; what it brings may be for another model, and is then left out. */
static rf_status read_brought(rf_plan *p, rf_inversion_source *s, const rf_lora *lora,
                              rf_error *err)
{
    rf_error  why = {0};
    rf_status st = rf_embedding_file_gather(&s->file, lora->tensors, &why);
    if (st == RF_E_MODEL) {
        rf_plan_warn(p, "%s; its embeddings are not used", why.message);
        st = RF_OK;
    } else if (st != RF_OK && err) {
        *err = why;
    }
    return st;
}

/* *index = the source at `path`, read now unless it was.  lora: which brings it; NULL: a job lists
 * it. */
static rf_status use_source(rf_plan *p, const char *path, const rf_lora *lora, int *index,
                            rf_error *err)
{
    rf_inversions             *v = &p->inversions;
    const rf_inversion_source *known = rf_inversions_find(v, path);
    if (known) {
        *index = (int)(known - v->source);
        return lora ? RF_OK : read_listed(p, &v->source[*index], err);
    }
    rf_inversion_source *grown = rf_plan_grown(v->source, v->sources, sizeof *grown);
    if (!grown) return no_memory(err);
    v->source = grown;
    v->source[v->sources] = (rf_inversion_source){.path = strdup(path), .stem = rf_file_stem(path)};
    *index = v->sources++;
    if (!v->source[*index].path || !v->source[*index].stem) return no_memory(err);
    return lora ? read_brought(p, &v->source[*index], lora, err)
                : read_listed(p, &v->source[*index], err);
}

/* ---- names -------------------------------------------------------------------------------- */

static rf_status name_trigger(const rf_plan *p, rf_plan_inversion *item, rf_error *err)
{
    rf_status st = RF_OK;
    for (int f = RF_TOKENIZER_CLIP_L; f <= RF_TOKENIZER_CLIP_G; f++) {
        RF_TRY(rf_tokenizer_encode(p->engine->tokenizer, (rf_tokenizer_flavour)f, item->name,
                                   &item->trigger.id[f], err));
        if (item->trigger.id[f].length == 0)
            return rf_fail(err, RF_E_ARG, "an embedding is named \"%s\", which no prompt can say",
                           item->name);
    }
done:
    return st;
}

static const rf_inversion *inversion_of(const rf_inversions *v, const rf_plan_inversion *item)
{
    return &v->source[item->source].file.item[item->item];
}

static rf_status add_item(rf_plan *p, rf_plan_inversion *item, rf_error *err)
{
    rf_inversions *v = &p->inversions;
    rf_status      st = RF_OK;
    RF_TRY(name_trigger(p, item, err));
    item->trigger.vectors = inversion_of(v, item)->vectors;
    item->trigger.first = RF_TOKEN_EXTRA + v->vectors;
    if (item->trigger.vectors > RF_TOKEN_EXTRAS - v->vectors)
        return rf_fail(err, RF_E_ARG, "the embeddings have more than %d vectors in all",
                       RF_TOKEN_EXTRAS);
    rf_plan_inversion **grown = rf_plan_grown(v->item, v->items, sizeof(rf_plan_inversion *));
    if (!grown) return no_memory(err);
    v->item = grown;
    v->item[v->items++] = item;
    v->vectors += item->trigger.vectors;
done:
    return st;
}

static void free_item(rf_plan_inversion *item)
{
    if (!item) return;
    for (int f = 0; f < 2; f++) rf_ids_free(&item->trigger.id[f]);
    free(item->name);
    free(item);
}

/* *out = that embedding by that name, numbered now unless it was. */
static rf_status use_item(rf_plan *p, int source, int at, const char *name, rf_plan_inversion **out,
                          rf_error *err)
{
    rf_inversions *v = &p->inversions;
    for (int i = 0; i < v->items; i++) {
        *out = v->item[i];
        if ((*out)->source == source && (*out)->item == at && strcmp((*out)->name, name) == 0)
            return RF_OK;
    }
    rf_plan_inversion *item = calloc(1, sizeof *item);
    if (!item) return no_memory(err);
    *item = (rf_plan_inversion){.source = source, .item = at, .name = strdup(name)};
    const rf_status st = item->name ? add_item(p, item, err) : no_memory(err);
    if (st != RF_OK) free_item(item);
    *out = st == RF_OK ? item : NULL;
    return st;
}

/* ---- a stage's ---------------------------------------------------------------------------- */

static int width_of(const rf_expert *e, int encoder)
{
    return encoder == RF_ENCODER_L ? e->arch.clip_l.width : e->arch.clip_g.width;
}

static int fits(const rf_expert *e, const rf_inversion *v)
{
    for (int i = 0; i < RF_ENCODERS; i++)
        if (width_of(e, i) && v->width[i] != width_of(e, i)) return 0;
    return 1;
}

static int same_name(const rf_trigger *a, const rf_trigger *b)
{
    const rf_ids *x = &a->id[RF_TOKENIZER_CLIP_L], *y = &b->id[RF_TOKENIZER_CLIP_L];
    return x->length == y->length && memcmp(x->at, y->at, x->length * sizeof *x->at) == 0;
}

static rf_status know(rf_triggers *to, const rf_plan_inversion *item, rf_error *err)
{
    for (int i = 0; i < to->count; i++) {
        if (to->item[i] == &item->trigger) return RF_OK;
        if (same_name(to->item[i], &item->trigger))
            return rf_fail(err, RF_E_ARG,
                           "two embeddings are called \"%s\"; give one of them another name",
                           item->name);
    }
    const rf_trigger **grown =
        rf_plan_grown((void *)(uintptr_t)to->item, to->count, sizeof(rf_trigger *));
    if (!grown) return no_memory(err);
    grown[to->count++] = &item->trigger;
    to->item = grown;
    return RF_OK;
}

/* ---- the job's own ------------------------------------------------------------------------ */

static rf_status refuse(const char *path, const rf_inversion *v, const rf_expert *e, rf_error *err)
{
    return rf_fail(err, RF_E_MODEL,
                   "%s fits no stage: its vectors are %d and %d wide (0: none), and the text "
                   "encoders of %s are %d and %d",
                   path, v->width[RF_ENCODER_L], v->width[RF_ENCODER_G], e->name,
                   width_of(e, RF_ENCODER_L), width_of(e, RF_ENCODER_G));
}

/* To all active stages that it fits. */
static rf_status hand_out(rf_plan *p, rf_plan_job *j, const char *path, int source, int at,
                          const char *name, rf_error *err)
{
    const rf_inversion *v = &p->inversions.source[source].file.item[at];
    rf_plan_inversion  *item = NULL;
    rf_status           st = RF_OK;
    int                 fitting = 0;
    RF_TRY(use_item(p, source, at, name, &item, err));
    v = &p->inversions.source[source].file.item[at];
    for (int i = 0; i < j->active_count; i++)
        fitting += fits(j->job.stages[j->active[i]].expert, v);
    if (!fitting) return refuse(path, v, j->job.stages[j->active[0]].expert, err);
    for (int i = 0; i < j->active_count; i++) {
        const rf_expert *e = j->job.stages[j->active[i]].expert;
        if (fits(e, v))
            RF_TRY(know(&j->triggers[j->active[i]], item, err));
        else
            rf_plan_warn(p, "the embedding %s does not fit %s: there its name is plain text", name,
                         e->name);
    }
done:
    return st;
}

/* `use` is our copy's: a file of its own gets its name here, so that the metadata have it even if
 * the file is called otherwise one day. */
static rf_status add_use(rf_plan *p, rf_plan_job *j, rf_embedding_use *use, rf_error *err)
{
    rf_status st = RF_OK;
    int       source = 0;
    RF_TRY(use_source(p, use->path, NULL, &source, err));
    const int count = p->inversions.source[source].file.count;
    if (use->name && count > 1) {
        st =
            rf_fail(err, RF_E_ARG, "%s brings %d embeddings: one name cannot stand for all of them",
                    use->path, count);
        goto done;
    }
    if (!use->name && !p->inversions.source[source].file.item[0].name)
        use->name = p->inversions.source[source].stem;
    for (int i = 0; i < count; i++) {
        const char *bundled = p->inversions.source[source].file.item[i].name;
        const char *name = use->name ? use->name : bundled;
        RF_TRY(hand_out(p, j, use->path, source, i, name, err));
    }
done:
    return st;
}

/* ---- those of LoRAs ----------------------------------------------------------------------- */

static rf_status add_bundle(rf_plan *p, rf_plan_job *j, int stage, const rf_opened_lora *l,
                            rf_error *err)
{
    const rf_expert *e = j->job.stages[stage].expert;
    rf_status        st = RF_OK;
    int              source = 0;
    RF_TRY(use_source(p, l->path, l->lora, &source, err));
    for (int i = 0; i < p->inversions.source[source].file.count; i++) {
        const rf_inversion *v = &p->inversions.source[source].file.item[i];
        rf_plan_inversion  *item = NULL;
        if (!v->name) continue;
        if (!fits(e, v)) {
            rf_plan_warn(p, "the embedding %s of %s does not fit %s: its name is plain text",
                         v->name, l->name, e->name);
            continue;
        }
        RF_TRY(use_item(p, source, i, v->name, &item, err));
        RF_TRY(know(&j->triggers[stage], item, err));
    }
done:
    return st;
}

rf_status rf_plan_add_inversions(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_status st = RF_OK;
    j->triggers = calloc((size_t)j->job.stage_count, sizeof *j->triggers);
    if (!j->triggers) return no_memory(err);
    for (int i = 0; i < j->job.embedding_count; i++)
        RF_TRY(add_use(p, j, (rf_embedding_use *)(uintptr_t)&j->job.embeddings[i], err));
    for (int i = 0; i < j->active_count; i++) {
        const int           stage = j->active[i];
        const rf_plan_lora *lora = rf_plan_loras_of(j, stage);
        for (int k = 0; k < j->job.stages[stage].lora_count; k++)
            if (lora[k].file && lora[k].file->lora->embeddings)
                RF_TRY(add_bundle(p, j, stage, lora[k].file, err));
    }
done:
    return st;
}

void rf_inversions_free(rf_inversions *v)
{
    for (int i = 0; i < v->sources; i++) {
        rf_embedding_file_free(&v->source[i].file);
        free(v->source[i].path);
        free(v->source[i].stem);
    }
    for (int i = 0; i < v->items; i++) free_item(v->item[i]);
    free(v->source);
    free(v->item);
    *v = (rf_inversions){0};
}

/* ---- vectors ------------------------------------------------------------------------------ */

size_t rf_inversions_room(const rf_plan *p)
{
    int widest = 0;
    for (int i = 0; i < p->expert_count; i++)
        for (int e = 0; e < RF_ENCODERS; e++)
            if (width_of(p->expert[i].expert, e) > widest)
                widest = width_of(p->expert[i].expert, e);
    return (size_t)p->inversions.vectors * (size_t)widest;
}

rf_status rf_inversions_fill(rf_plan *p, int expert, int encoder, rf_error *err)
{
    const rf_inversions *v = &p->inversions;
    const size_t         width = (size_t)width_of(p->expert[expert].expert, encoder);
    const size_t         bytes = (size_t)v->vectors * width * sizeof(float);
    float               *to = v->table.host;
    if (bytes == 0) return RF_OK;
    memset(to, 0, bytes); /* of what does not fit, which no prompt of this expert names */
    for (int i = 0; i < v->items; i++) {
        const rf_inversion *from = inversion_of(v, v->item[i]);
        const size_t        elems = (size_t)from->vectors * width;
        if ((size_t)from->width[encoder] == width)
            memcpy(to, from->vector[encoder], elems * sizeof *to);
        to += elems;
    }
    return rf_twin_up(&p->engine->device, &v->table, 0, bytes, err);
}
