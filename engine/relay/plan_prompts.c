/* From prompt entries to conditionings: what each expert has to encode, and which of it every call
 * weighs how.
 *
 * In the default mode a conditioning exists only if a call uses it, and depends on its own text
 * alone.  For A1111 all variants of a prompt part are encoded together, whoever uses them. */
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

static const rf_tokenizer_flavour FLAVOUR[RF_ENCODERS] = {RF_TOKENIZER_CLIP_L, RF_TOKENIZER_CLIP_G};

static const rf_prompt_entry *entry_of(const rf_conditioning *cond)
{
    return &cond->part->entry[cond->entry];
}

/* ---- tokens ------------------------------------------------------------------------------- */

/* Tokens of a group: all its variants get as many chunks as the longest one has, in either encoder.
 */
static rf_status tokenize_group(rf_plan *p, rf_plan_expert *x, const rf_conditioning_group *g,
                                rf_error *err)
{
    int chunks = 1;
    for (int i = 0; i < g->count; i++)
        for (int e = 0; e < RF_ENCODERS; e++) {
            rf_conditioning       *cond = &x->cond[g->first + i];
            const rf_prompt_entry *entry = entry_of(cond);
            const rf_status        st = rf_tokenize(p->engine->tokenizer, FLAVOUR[e], entry->piece,
                                                    entry->pieces, &cond->tokens[e], err);
            if (st != RF_OK) return st;
            if (cond->tokens[e].chunks > chunks) chunks = cond->tokens[e].chunks;
        }
    for (int i = 0; i < g->count; i++)
        for (int e = 0; e < RF_ENCODERS; e++) {
            rf_conditioning *cond = &x->cond[g->first + i];
            const rf_status  st = rf_tokens_pad(&cond->tokens[e], FLAVOUR[e], chunks, err);
            if (st != RF_OK) return st;
            cond->rows = chunks * RF_TOKENS_PER_CHUNK;
        }
    return RF_OK;
}

/* ---- the list ----------------------------------------------------------------------------- */

/* Room for one more in a list that doubles; NULL without memory. */
static void *grown(void *list, int count, size_t size)
{
    if (count & (count - 1)) return list;
    return realloc(list, (count ? 2 * (size_t)count : 1) * size);
}

static rf_status add_one(rf_plan_expert *x, const rf_prompt_part *part, int entry, rf_error *err)
{
    rf_conditioning *list = grown(x->cond, x->conds, sizeof *list);
    if (!list) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    x->cond = list;
    x->cond[x->conds++] = (rf_conditioning){.part = part, .entry = entry};
    return RF_OK;
}

static rf_status add_group(rf_plan *p, rf_plan_expert *x, const rf_prompt_part *part, int first,
                           int count, int negative, rf_error *err)
{
    rf_status              st = RF_OK;
    int                    empty = 1;
    rf_conditioning_group *list = grown(x->group, x->groups, sizeof *list);
    if (!list) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    x->group = list;
    const rf_conditioning_group group = {.first = x->conds, .count = count};
    x->group[x->groups++] = group;
    for (int i = 0; i < count; i++) {
        RF_TRY(add_one(x, part, first + i, err));
        empty &= part->entry[first + i].text[0] == '\0';
    }
    for (int i = 0; i < count; i++) x->cond[group.first + i].zero = negative && empty;
    RF_TRY(tokenize_group(p, x, &group, err));
done:
    return st;
}

/* The index of an entry's conditioning; x->conds if there is none. */
static int find(const rf_plan *p, const rf_plan_expert *x, const rf_prompt_part *part, int entry,
                int negative)
{
    const char *text = part->entry[entry].text;
    const int   zero = negative && text[0] == '\0';
    int         i = 0;
    for (; i < x->conds; i++) {
        const rf_conditioning *cond = &x->cond[i];
        if (p->course.exact_a1111 ? cond->part == part && cond->entry == entry
                                  : cond->zero == zero && strcmp(entry_of(cond)->text, text) == 0)
            break;
    }
    return i;
}

static rf_status find_or_add(rf_plan *p, rf_plan_expert *x, const rf_prompt_part *part, int entry,
                             int negative, rf_error *err)
{
    if (find(p, x, part, entry, negative) < x->conds) return RF_OK;
    if (!p->course.exact_a1111) return add_group(p, x, part, entry, 1, negative, err);
    return add_group(p, x, part, 0, part->entries, negative, err);
}

/* ---- rows of a call ----------------------------------------------------------------------- */

static rf_plan_expert *expert_of(const rf_plan *p, int stage)
{
    for (int i = 0; i < p->expert_count; i++)
        if (p->expert[i].expert == p->stage_expert[stage]) return &p->expert[i];
    return NULL;
}

/* Guidance (Ho & Salimans 2022) over several prompts (Liu et al. 2022, as A1111 composes them):
 *   D = U + sum_j w_j cfg (C_j - U)
 * Without the negative prompt its place is taken by the first positive one, and cfg by 1. */
int rf_plan_rows(const rf_plan *p, int stage, const int *positive, int negative, int skips_negative,
                 rf_relay_row *out)
{
    const rf_course_stage *s = &p->course.stage[stage];
    const rf_course_set   *set = &p->course.set[s->set];
    const rf_prompt       *prompt = set->prompt[RF_POSITIVE];
    const rf_plan_expert  *x = expert_of(p, stage);
    const double           cfg = skips_negative ? 1 : (double)s->cfg / s->sampler->cfg_divisor;
    double                 sum = 0;
    int                    rows = 0;
    for (int i = 0; i < prompt->parts; i++) {
        const double weight = cfg * prompt->part[i].weight;
        sum += weight;
        out[rows++] =
            (rf_relay_row){.cond = find(p, x, &prompt->part[i], positive[i], 0), .weight = weight};
    }
    if (skips_negative)
        out[0].weight += 1 - sum;
    else if (sum != 1 || s->sampler->flags & RF_SAMPLER_UNCOND)
        out[rows++] = (rf_relay_row){
            .cond = find(p, x, &set->prompt[RF_NEGATIVE]->part[0], negative, 1), .weight = 1 - sum};
    return rows;
}

static rf_status condition_call(rf_plan *p, int stage, const int *positive, int negative,
                                int skips_negative, rf_error *err)
{
    const rf_course_set *set = &p->course.set[p->course.stage[stage].set];
    rf_plan_expert      *x = expert_of(p, stage);
    rf_status            st = RF_OK;
    for (int i = 0; i < set->prompt[RF_POSITIVE]->parts; i++)
        RF_TRY(find_or_add(p, x, &set->prompt[RF_POSITIVE]->part[i], positive[i], 0, err));
    if (!skips_negative && rf_course_negative(&p->course, stage))
        RF_TRY(find_or_add(p, x, &set->prompt[RF_NEGATIVE]->part[0], negative, 1, err));
done:
    return st;
}

/* DPM adaptive: any entry may be used by any of the stage's calls. */
static rf_status condition_stage(rf_plan *p, int stage, rf_error *err)
{
    const rf_course_set *set = &p->course.set[p->course.stage[stage].set];
    rf_plan_expert      *x = expert_of(p, stage);
    rf_status            st = RF_OK;
    for (int polarity = 0; polarity < RF_POLARITIES; polarity++) {
        const rf_prompt *prompt = set->prompt[polarity];
        if (polarity == RF_NEGATIVE && !rf_course_negative(&p->course, stage)) break;
        for (int i = 0; i < prompt->parts; i++)
            for (int j = 0; j < prompt->part[i].entries; j++)
                RF_TRY(find_or_add(p, x, &prompt->part[i], j, polarity == RF_NEGATIVE, err));
    }
done:
    return st;
}

static int is_part_of(const rf_prompt *prompt, const rf_prompt_part *part)
{
    for (int i = 0; i < prompt->parts; i++)
        if (&prompt->part[i] == part) return 1;
    return 0;
}

/* A1111 pads the parts of an AND to one length by repeating the last token's vector. */
static void pad_parts(rf_plan *p)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        for (int s = 0; s < p->course.sets; s++) {
            const rf_prompt *prompt = p->course.set[s].prompt[RF_POSITIVE];
            int              most = 0;
            for (int pass = 0; pass < 2; pass++)
                for (int c = 0; c < x->conds; c++)
                    if (is_part_of(prompt, x->cond[c].part)) {
                        if (x->cond[c].rows > most) most = x->cond[c].rows;
                        if (pass == 1) x->cond[c].rows = most;
                    }
        }
    }
}

static int program_for(rf_plan_expert *x, int rows)
{
    int i = 0;
    while (i < x->programs && x->program[i].rows != rows) i++;
    if (i < x->programs) return i;
    rf_plan_program *list = grown(x->program, x->programs, sizeof *list);
    if (!list) return -1;
    x->program = list;
    x->program[x->programs++] = (rf_plan_program){.rows = rows};
    return i;
}

/* The widest call any stage can make. */
static int most_rows(const rf_plan *p)
{
    int most = 1;
    for (int i = 0; i < p->active_count; i++) {
        const rf_course_set *set = &p->course.set[p->course.stage[p->active[i]].set];
        const int            rows = set->prompt[RF_POSITIVE]->parts + 1;
        if (rows > most) most = rows;
    }
    return most;
}

static rf_status list_rows(rf_plan *p, rf_error *err)
{
    const size_t calls = (size_t)p->course.calls;
    p->row = calloc((calls + 1) * (size_t)p->rows, sizeof *p->row);
    p->call = calloc(calls + 1, sizeof *p->call);
    if (!p->row || !p->call) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (size_t k = 0; k < calls; k++) {
        const rf_course_call *c = &p->course.call[k];
        rf_relay_row         *row = p->row + k * (size_t)p->rows;
        rf_plan_expert       *x = expert_of(p, c->stage);
        const int             rows =
            rf_plan_rows(p, c->stage, c->positive, c->negative, c->skips_negative, row);
        const int program = program_for(x, rows);
        if (program < 0) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
        p->call[k] = (rf_relay_call){.sampler = c->sampler,
                                     .timestep = c->timestep,
                                     .stage = c->stage,
                                     .expert = (int)(x - p->expert),
                                     .row = row,
                                     .rows = rows,
                                     .u_row = c->skips_negative ? 0 : rows - 1,
                                     .table_row = x->table_rows,
                                     .program = program};
        x->table_rows += rows;
    }
    return RF_OK;
}

/* Which conditioning's pooled vector stands in every row of the embedding tables. */
static rf_status list_tables(rf_plan *p, rf_error *err)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        if (p->course.adaptive) x->table_rows = x->conds; /* one timestep at a time */
        x->row_cond = calloc((size_t)x->table_rows + 1, sizeof *x->row_cond);
        if (!x->row_cond) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
        if (p->course.adaptive)
            for (int row = 0; row < x->table_rows; row++) x->row_cond[row] = row;
    }
    for (int k = 0; k < p->course.calls; k++)
        for (int i = 0; i < p->call[k].rows; i++)
            p->expert[p->call[k].expert].row_cond[p->call[k].table_row + i] =
                p->call[k].row[i].cond;
    return RF_OK;
}

/* Programs that DPM adaptive may need: with and without the negative prompt. */
static rf_status list_adaptive_programs(rf_plan *p, rf_error *err)
{
    for (int i = 0; i < p->active_count; i++) {
        const int stage = p->active[i];
        const int parts = p->course.set[p->course.stage[stage].set].prompt[RF_POSITIVE]->parts;
        for (int rows = parts; rows <= parts + 1; rows++)
            if (program_for(expert_of(p, stage), rows) < 0)
                return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    }
    return RF_OK;
}

rf_status rf_plan_condition(rf_plan *p, rf_error *err)
{
    rf_status st = RF_OK;
    p->rows = most_rows(p);
    for (int k = 0; k < p->course.calls; k++) {
        const rf_course_call *c = &p->course.call[k];
        RF_TRY(condition_call(p, c->stage, c->positive, c->negative, c->skips_negative, err));
    }
    if (p->course.adaptive) {
        for (int i = 0; i < p->active_count; i++) RF_TRY(condition_stage(p, p->active[i], err));
        RF_TRY(list_adaptive_programs(p, err));
    }
    if (p->course.exact_a1111) pad_parts(p);
    RF_TRY(list_rows(p, err));
    RF_TRY(list_tables(p, err));
done:
    return st;
}

void rf_plan_forget_prompts(rf_plan *p)
{
    for (int i = 0; i < p->expert_count; i++) {
        rf_plan_expert *x = &p->expert[i];
        for (int c = 0; c < x->conds; c++)
            for (int e = 0; e < RF_ENCODERS; e++) rf_tokens_free(&x->cond[c].tokens[e]);
        for (int j = 0; j < x->programs; j++)
            for (int kind = 0; kind < RF_BATCH_KINDS; kind++)
                rf_program_free(&x->program[j].forward[kind]);
        rf_program_free(&x->embed);
        free(x->cond);
        free(x->group);
        free(x->program);
        free(x->row_cond);
    }
    free(p->row);
    free(p->call);
}
