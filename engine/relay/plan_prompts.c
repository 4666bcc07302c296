/* From prompt entries to conditionings: what each expert has to encode, and which of it every call
 * weighs how.
 *
 * In the default mode a conditioning exists only if a call uses it, and depends on its own text
 * alone.  For A1111 all variants of a prompt part are encoded together, whoever uses them.  Either
 * way equal contents are one conditioning, whichever jobs and stages they come from. */
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

static const rf_tokenizer_flavour FLAVOUR[RF_ENCODERS] = {RF_TOKENIZER_CLIP_L, RF_TOKENIZER_CLIP_G};

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* One part of one of a stage's prompts. */
typedef struct place {
    const rf_prompt   *prompt;
    const rf_triggers *triggers;
    int                part, negative;
    int                expert, clip_skip;
} place;

static const rf_prompt_part *part_of(const place *at)
{
    return &at->prompt->part[at->part];
}

static const rf_prompt *prompt_of(const rf_plan_job *j, int stage, int polarity)
{
    return j->course.set[j->course.stage[stage].set].prompt[polarity];
}

/* ---- tokens ------------------------------------------------------------------------------- */

/* All variants of a group get as many chunks as the longest one has, in either encoder. */
static rf_status tokenize_variants(const rf_plan *p, const rf_prompt_entry *entry, int count,
                                   const rf_triggers *triggers, rf_tokens *tokens, rf_error *err)
{
    rf_status st = RF_OK;
    int       chunks = 1;
    for (int i = 0; i < count * RF_ENCODERS; i++) {
        const rf_prompt_entry *now = &entry[i / RF_ENCODERS];
        RF_TRY(rf_tokenize(p->engine->tokenizer, FLAVOUR[i % RF_ENCODERS], now->piece, now->pieces,
                           triggers, &tokens[i], err));
        if (tokens[i].chunks > chunks) chunks = tokens[i].chunks;
    }
    for (int i = 0; i < count * RF_ENCODERS; i++)
        RF_TRY(rf_tokens_pad(&tokens[i], FLAVOUR[i % RF_ENCODERS], chunks, err));
done:
    return st;
}

static int any_weight(const rf_tokens *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int t = 0; t < tokens[i].chunks * RF_TOKENS_PER_CHUNK; t++)
            if (tokens[i].weight[t] != 1) return 1;
    return 0;
}

/* Takes the ids, and the weights if any of the group's is not 1. */
static rf_status keep_tokens(rf_conditioning *cond, int encoder, rf_tokens *tokens, int weighs,
                             rf_error *err)
{
    const size_t count = (size_t)tokens->chunks * RF_TOKENS_PER_CHUNK;
    uint16_t    *id = malloc(count * sizeof *id);
    if (!id) return no_memory(err);
    for (size_t t = 0; t < count; t++) id[t] = (uint16_t)tokens->id[t]; /* RF_TOKEN_EXTRAS fit */
    cond->id[encoder] = id;
    cond->chunks = tokens->chunks;
    cond->rows = (int)count;
    if (weighs) {
        cond->weight[encoder] = tokens->weight;
        tokens->weight = NULL;
    }
    return RF_OK;
}

static rf_status tokenize_group(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                                const rf_prompt_entry *entry, const rf_triggers *triggers,
                                rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t count = (size_t)g->count * RF_ENCODERS;
    rf_tokens   *tokens = calloc(count, sizeof *tokens);
    if (!tokens) return no_memory(err);
    RF_TRY(tokenize_variants(p, entry, g->count, triggers, tokens, err));
    const int weighs = any_weight(tokens, count);
    for (size_t i = 0; i < count; i++)
        RF_TRY(keep_tokens(&x->cond[(size_t)g->first + i / RF_ENCODERS], (int)(i % RF_ENCODERS),
                           &tokens[i], weighs, err));
done:
    for (size_t i = 0; i < count; i++) rf_tokens_free(&tokens[i]);
    free(tokens);
    return st;
}

/* ---- keys --------------------------------------------------------------------------------- */

typedef struct key {
    char  *bytes;
    size_t used, room;
    int    failed;
} key;

static void put(key *k, const void *data, size_t bytes)
{
    if (k->failed) return;
    if (bytes > k->room - k->used) {
        const size_t room = 2 * (k->used + bytes);
        char        *grown = realloc(k->bytes, room);
        if (!grown) {
            k->failed = 1;
            return;
        }
        k->bytes = grown;
        k->room = room;
    }
    memcpy(k->bytes + k->used, data, bytes);
    k->used += bytes;
}

static void put_int(key *k, int value)
{
    put(k, &value, sizeof value);
}

static void put_entries(key *k, const rf_prompt_part *part)
{
    put_int(k, part->entries);
    for (int i = 0; i < part->entries; i++)
        put(k, part->entry[i].text, strlen(part->entry[i].text) + 1);
}

static int is_empty(const rf_prompt_part *part, int first, int count)
{
    for (int i = first; i < first + count; i++)
        if (part->entry[i].text[0] != '\0') return 0;
    return 1;
}

/* What a group's tensors depend on.  For A1111 the length that parts are padded to, and so all
 * parts of the prompt. */
static void put_group(key *k, const rf_plan_job *j, const place *at, int entry, int zero)
{
    const rf_prompt_part *part = part_of(at);
    put(k, "P", 1);
    put_int(k, at->expert);
    put_int(k, (int)j->course.emphasis);
    put_int(k, at->clip_skip);
    put_int(k, zero);
    put_int(k, at->triggers->count);
    for (int i = 0; i < at->triggers->count; i++) put_int(k, at->triggers->item[i]->first);
    put_int(k, j->course.exact_a1111);
    if (j->course.exact_a1111) {
        put_int(k, at->prompt->parts);
        for (int i = 0; i < at->prompt->parts; i++) put_entries(k, &at->prompt->part[i]);
        put_int(k, at->part);
    } else {
        put(k, part->entry[entry].text, strlen(part->entry[entry].text));
    }
}

/* ---- the list ----------------------------------------------------------------------------- */

static rf_status add_group(rf_plan *p, const rf_plan_job *j, const place *at, int first, int count,
                           int zero, rf_error *err)
{
    rf_plan_expert        *x = &p->expert[at->expert];
    rf_conditioning_group *list = rf_plan_grown(x->group, x->groups, sizeof *list);
    if (!list) return no_memory(err);
    x->group = list;
    const rf_conditioning_group group = {.first = x->conds,
                                         .count = count,
                                         .emphasis = j->course.emphasis,
                                         .clip_skip = at->clip_skip,
                                         .prompt =
                                             j->course.exact_a1111 ? p->prompts : -1 - x->groups};
    x->group[x->groups++] = group;
    for (int i = 0; i < count; i++) {
        rf_conditioning *conds = rf_plan_grown(x->cond, x->conds, sizeof *conds);
        if (!conds) return no_memory(err);
        x->cond = conds;
        x->cond[x->conds++] = (rf_conditioning){.group = x->groups - 1, .zero = zero};
    }
    return tokenize_group(p, x, &group, part_of(at)->entry + first, at->triggers, err);
}

/* Conditionings of an entry, or of all that belong with it, into cond[entry]. */
static rf_status find_or_add(rf_plan *p, const rf_plan_job *j, const place *at, int entry,
                             int *cond, rf_error *err)
{
    rf_status             st = RF_OK;
    key                   k = {.used = 0};
    const rf_prompt_part *part = part_of(at);
    const int             together = j->course.exact_a1111;
    const int             first = together ? 0 : entry, count = together ? part->entries : 1;
    const int             zero = at->negative && is_empty(part, first, count);
    const int             before = p->expert[at->expert].conds;
    int                   index = 0;
    if (cond[entry] >= 0) return RF_OK;
    put_group(&k, j, at, entry, zero);
    if (k.failed) {
        st = no_memory(err);
        goto done;
    }
    const int known = p->known.nodes;
    RF_TRY(rf_plan_know(p, k.bytes, k.used, before, &index, err));
    if (p->known.nodes > known) RF_TRY(add_group(p, j, at, first, count, zero, err));
    for (int i = 0; i < count; i++) cond[first + i] = index + i;
done:
    free(k.bytes);
    return st;
}

/* ---- a job's ------------------------------------------------------------------------------ */

/* entry_cond: stage after stage, positive parts and then the negative prompt, an index for every
 * entry; -1: nobody asked. */
static size_t entry_at(const rf_plan_job *j, int stage, int polarity, int part)
{
    size_t at = 0;
    for (int s = 0; s < j->course.stages; s++)
        for (int y = 0; y < RF_POLARITIES; y++)
            for (int i = 0; i < prompt_of(j, s, y)->parts; i++) {
                if (s == stage && y == polarity && i == part) return at;
                at += (size_t)prompt_of(j, s, y)->part[i].entries;
            }
    return at;
}

static int *cond_of(const rf_plan_job *j, int stage, int polarity, int part)
{
    return j->entry_cond + entry_at(j, stage, polarity, part);
}

static rf_status allocate_entries(rf_plan_job *j, rf_error *err)
{
    const size_t count = entry_at(j, j->course.stages, 0, 0);
    j->entry_cond = malloc((count + 1) * sizeof *j->entry_cond);
    if (!j->entry_cond) return no_memory(err);
    for (size_t i = 0; i < count; i++) j->entry_cond[i] = -1;
    return RF_OK;
}

static rf_status condition_entry(rf_plan *p, const rf_plan_job *j, int stage, int polarity,
                                 int part, int entry, rf_error *err)
{
    const place at = {.prompt = prompt_of(j, stage, polarity),
                      .triggers = &j->triggers[stage],
                      .part = part,
                      .negative = polarity == RF_NEGATIVE,
                      .expert = rf_plan_expert_of(p, j, stage),
                      .clip_skip = j->course.stage[stage].clip_skip};
    return find_or_add(p, j, &at, entry, cond_of(j, stage, polarity, part), err);
}

static rf_status condition_call(rf_plan *p, const rf_plan_job *j, const rf_course_call *c,
                                rf_error *err)
{
    rf_status st = RF_OK;
    p->prompts++; /* parts that this call finds new belong together */
    for (int i = 0; i < prompt_of(j, c->stage, RF_POSITIVE)->parts; i++)
        RF_TRY(condition_entry(p, j, c->stage, RF_POSITIVE, i, c->positive[i], err));
    p->prompts++;
    if (!c->skips_negative && rf_course_negative(&j->course, c->stage, c->cfg))
        RF_TRY(condition_entry(p, j, c->stage, RF_NEGATIVE, 0, c->negative, err));
done:
    return st;
}

/* DPM adaptive: any entry may be used by any of the stage's calls. */
static rf_status condition_stage(rf_plan *p, const rf_plan_job *j, int stage, rf_error *err)
{
    rf_status st = RF_OK;
    for (int polarity = 0; polarity < RF_POLARITIES; polarity++) {
        const rf_prompt *prompt = prompt_of(j, stage, polarity);
        const double     cfg = (double)j->course.stage[stage].cfg;
        if (polarity == RF_NEGATIVE && !rf_course_negative(&j->course, stage, cfg)) break;
        p->prompts++;
        for (int i = 0; i < prompt->parts; i++)
            for (int e = 0; e < prompt->part[i].entries; e++)
                RF_TRY(condition_entry(p, j, stage, polarity, i, e, err));
    }
done:
    return st;
}

/* The same entries as the call before: what they ask for is there. */
static int as_before(const rf_plan_job *j, int k)
{
    if (k == 0) return 0;
    const rf_course_call *a = &j->course.call[k], *b = a - 1;
    return a->stage == b->stage && a->negative == b->negative && a->cfg == b->cfg &&
           a->skips_negative == b->skips_negative &&
           memcmp(a->positive, b->positive,
                  (size_t)prompt_of(j, a->stage, RF_POSITIVE)->parts * sizeof *a->positive) == 0;
}

rf_status rf_plan_condition(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(allocate_entries(j, err));
    for (int k = 0; k < j->course.calls; k++)
        if (!as_before(j, k)) RF_TRY(condition_call(p, j, &j->course.call[k], err));
    if (j->course.adaptive)
        for (int i = 0; i < j->active_count; i++) RF_TRY(condition_stage(p, j, j->active[i], err));
done:
    return st;
}

/* A1111 pads the parts of an AND to one length by repeating the last token's vector.  Elsewhere a
 * part is a prompt of its own. */
void rf_plan_pad_parts(rf_plan *p)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        for (int first = 0, end; first < x->conds; first = end) {
            const int prompt = x->group[x->cond[first].group].prompt;
            int       most = 0;
            for (end = first; end < x->conds && x->group[x->cond[end].group].prompt == prompt;
                 end++)
                if (x->cond[end].rows > most) most = x->cond[end].rows;
            for (int c = first; c < end; c++) x->cond[c].rows = most;
        }
    }
}

/* ---- rows of a call ----------------------------------------------------------------------- */

/* Guidance (Ho & Salimans 2022) over several prompts (Liu et al. 2022, as A1111 composes them):
 *   D = U + sum_j w_j cfg (C_j - U)
 * Without the negative prompt its place is taken by the first positive one, and cfg by 1. */
int rf_plan_rows(const rf_plan_job *j, int stage, double cfg, const int *positive, int negative,
                 int skips_negative, rf_relay_row *out)
{
    const rf_course_stage *s = &j->course.stage[stage];
    const rf_prompt       *prompt = prompt_of(j, stage, RF_POSITIVE);
    const double           scale = skips_negative ? 1 : cfg / s->sampler->cfg_divisor;
    double                 sum = 0;
    int                    rows = 0;
    for (int i = 0; i < prompt->parts; i++) {
        const double weight = scale * prompt->part[i].weight;
        sum += weight;
        out[rows++] = (rf_relay_row){.cond = cond_of(j, stage, RF_POSITIVE, i)[positive[i]],
                                     .weight = weight};
    }
    if (skips_negative)
        out[0].weight += 1 - sum;
    else if (sum != 1 || s->sampler->flags & RF_SAMPLER_UNCOND)
        out[rows++] =
            (rf_relay_row){.cond = cond_of(j, stage, RF_NEGATIVE, 0)[negative], .weight = 1 - sum};
    return rows;
}

void rf_plan_forget_prompts(rf_plan *p)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        for (int c = 0; c < x->conds; c++)
            for (int e = 0; e < RF_ENCODERS; e++) {
                free(x->cond[c].id[e]);
                free(x->cond[c].weight[e]);
            }
        for (int t = 0; t < RF_TABLES; t++) {
            rf_program_free(&x->table[t].embed);
            free(x->table[t].cond);
            free(x->table[t].sizing);
            free(x->table[t].planned);
        }
        free(x->cond);
        free(x->group);
        free(x->shape);
    }
}
