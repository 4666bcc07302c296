/* A job's calls, each once per content: a job is a list of indices, and so a tree of thousands of
 * jobs has small keys.
 *
 * What the sampler does around a call is a list of its own: a request may have hundreds of
 * thousands of calls, which differ in what they are conditioned on, and a few dozens of these.
 * A key is written field by field: a struct's padding is nobody's content. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/plan.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* ---- programs ----------------------------------------------------------------------------- */

int rf_plan_find_program(const rf_plan *p, int expert, int table, int rows, int h, int w)
{
    int i = 0;
    for (; i < p->programs; i++) {
        const rf_plan_program *at = &p->program[i];
        if (at->expert == expert && at->table == table && at->rows == rows && at->h == h &&
            at->w == w)
            break;
    }
    return i;
}

static rf_status program_for(rf_plan *p, const rf_plan_job *j, int stage, int rows, int *index,
                             rf_error *err)
{
    const rf_plan_program made = {.expert = rf_plan_expert_of(p, j, stage),
                                  .table =
                                      j->course.adaptive ? RF_TABLE_ADAPTIVE : RF_TABLE_PLANNED,
                                  .rows = rows,
                                  .h = j->h,
                                  .w = j->w};
    *index = rf_plan_find_program(p, made.expert, made.table, rows, j->h, j->w);
    if (*index < p->programs) return RF_OK;
    rf_plan_program *list = rf_plan_grown(p->program, p->programs, sizeof *list);
    if (!list) return no_memory(err);
    p->program = list;
    p->program[p->programs++] = made;
    return RF_OK;
}

/* ---- rows of the embedding tables ---------------------------------------------------------- */

typedef struct table_key {
    const rf_plan_table *table;
    int                  cond, sizing;
    float                timestep;
} table_key;

static int same_table_row(const void *user, int row)
{
    const table_key     *key = user;
    const rf_plan_table *t = key->table;
    return t->cond[row] == key->cond && t->sizing[row] == key->sizing &&
           t->planned[row] == key->timestep;
}

static rf_status add_table_row(rf_plan_table *t, const table_key *key, rf_error *err)
{
    int *list = rf_plan_grown(t->cond, t->rows, sizeof *list);
    if (!list) return no_memory(err);
    t->cond = list;
    list = rf_plan_grown(t->sizing, t->rows, sizeof *list);
    if (!list) return no_memory(err);
    t->sizing = list;
    float *planned = rf_plan_grown(t->planned, t->rows, sizeof *planned);
    if (!planned) return no_memory(err);
    t->planned = planned;
    t->cond[t->rows] = key->cond;
    t->sizing[t->rows] = key->sizing;
    t->planned[t->rows++] = key->timestep;
    return RF_OK;
}

static rf_status table_row(rf_plan_table *t, int cond, int sizing, float timestep, int *row,
                           rf_error *err)
{
    const table_key key = {.table = t, .cond = cond, .sizing = sizing, .timestep = timestep};
    uint32_t        bits = 0;
    rf_status       st = RF_OK;
    memcpy(&bits, &timestep, sizeof bits);
    const uint64_t hash =
        rf_lookup_mix(rf_lookup_mix(rf_lookup_mix(0, (uint64_t)cond), (uint64_t)sizing), bits);
    *row = rf_lookup_find(&t->known, hash, same_table_row, &key);
    if (*row >= 0) return RF_OK;
    *row = t->rows;
    RF_TRY(add_table_row(t, &key, err));
    RF_TRY(rf_lookup_add(&t->known, hash, *row, err));
done:
    return st;
}

int rf_plan_adaptive_row(const rf_plan_table *t, int cond, int sizing)
{
    int i = 0;
    while (i < t->rows && (t->cond[i] != cond || t->sizing[i] != sizing)) i++;
    return i;
}

/* ---- keys --------------------------------------------------------------------------------- */

enum { KEY_BYTES = 1024 }; /* of what a sampler does */

typedef struct key {
    char   bytes[KEY_BYTES];
    size_t used;
} key;

static void put(key *k, const void *data, size_t bytes)
{
    memcpy(k->bytes + k->used, data, bytes);
    k->used += bytes;
}

static void put_int(key *k, int value)
{
    put(k, &value, sizeof value);
}

static void put_real(key *k, double value)
{
    put(k, &value, sizeof value);
}

/* A request for noise, with what it means for this job. */
static void put_noise(key *k, const rf_plan_job *j, const rf_noise_request *r)
{
    const rf_sampler *sampler = j->course.stage[0].sampler;
    put_int(k, (int)r->kind);
    if (r->kind == RF_NOISE_DRAW) {
        const int64_t ensd = sampler->flags & RF_SAMPLER_BROWNIAN ? 0 : j->job.ensd;
        put(k, &r->draw, sizeof r->draw);
        put(k, &ensd, sizeof ensd);
    } else if (r->kind == RF_NOISE_BROWNIAN) {
        put_real(k, r->from);
        put_real(k, r->to);
        put_real(k, j->course.sigma_min);
        put_real(k, j->course.sigma_max);
    }
}

static rf_status know_update(rf_plan *p, const rf_plan_job *j, const rf_course_call *course,
                             int *index, rf_error *err)
{
    const rf_call *c = &course->sampler;
    key            k = {.used = 0};
    const int      known = p->known.nodes;
    put(&k, "U", 1);
    put_int(&k, c->step); /* what errors and reports name */
    put_real(&k, c->sigma);
    put_real(&k, course->timestep);
    put(&k, &c->before, sizeof c->before);
    if (c->before != 0) put_noise(&k, j, &c->before_noise);
    put(&k, c->next, sizeof c->next);
    put_int(&k, c->keeps_anchor);
    if (c->keeps_anchor) put(&k, c->anchor, sizeof c->anchor);
    put_int(&k, c->remembers);
    if (c->remembers) put(&k, c->memory, sizeof c->memory);
    put_noise(&k, j, &c->noise);
    const rf_status st = rf_plan_know(p, k.bytes, k.used, p->updates, index, err);
    if (st != RF_OK || p->known.nodes == known) return st;
    rf_relay_update *list = rf_plan_grown(p->update, p->updates, sizeof *list);
    if (!list) return no_memory(err);
    p->update = list;
    p->update[p->updates++] = (rf_relay_update){.sampler = *c, .timestep = course->timestep};
    return RF_OK;
}

/* ---- calls -------------------------------------------------------------------------------- */

/* Room for one more call's rows behind those that are listed. */
static rf_status reserve_rows(rf_plan *p, int rows, rf_error *err)
{
    const size_t need = (size_t)p->rows_listed + (size_t)rows;
    if (rows > p->rows) p->rows = rows;
    if (need <= p->rows_room) return RF_OK;
    rf_relay_row *list = realloc(p->row, 2 * need * sizeof *list);
    if (!list) return no_memory(err);
    p->row = list;
    p->rows_room = 2 * need;
    return RF_OK;
}

typedef struct call_key {
    const rf_plan       *plan;
    const rf_relay_call *call;
} call_key;

static int same_call(const void *user, int index)
{
    const call_key      *wanted = user;
    const rf_plan       *p = wanted->plan;
    const rf_relay_call *a = wanted->call, *b = &p->call[index];
    if (a->update != b->update || a->program != b->program || a->rows != b->rows ||
        a->u_row != b->u_row)
        return 0;
    for (int i = 0; i < a->rows; i++) {
        const rf_relay_row *x = &p->row[a->row_at + i], *y = &p->row[b->row_at + i];
        if (x->cond != y->cond || x->table_row != y->table_row || x->weight != y->weight) return 0;
    }
    return 1;
}

static uint64_t hash_of(const rf_plan *p, const rf_relay_call *c)
{
    uint64_t hash = rf_lookup_mix((uint64_t)c->update, (uint64_t)c->program);
    for (int i = 0; i < c->rows; i++) {
        const rf_relay_row *row = &p->row[c->row_at + i];
        uint64_t            bits = 0;
        memcpy(&bits, &row->weight, sizeof bits);
        hash = rf_lookup_mix(rf_lookup_mix(hash, (uint64_t)row->table_row), bits);
    }
    return hash;
}

static rf_status know_call(rf_plan *p, const rf_relay_call *c, int *index, rf_error *err)
{
    rf_status      st = RF_OK;
    const call_key wanted = {.plan = p, .call = c};
    const uint64_t hash = hash_of(p, c);
    *index = rf_lookup_find(&p->known_calls, hash, same_call, &wanted);
    if (*index >= 0) return RF_OK;
    rf_relay_call *list = rf_plan_grown(p->call, p->calls, sizeof *list);
    if (!list) return no_memory(err);
    p->call = list;
    RF_TRY(rf_lookup_add(&p->known_calls, hash, p->calls, err));
    *index = p->calls;
    p->call[p->calls++] = *c;
    p->rows_listed += c->rows;
done:
    return st;
}

static rf_status list_call(rf_plan *p, rf_plan_job *j, int number, rf_error *err)
{
    rf_status             st = RF_OK;
    const rf_course_call *c = &j->course.call[number];
    const int             expert = rf_plan_expert_of(p, j, c->stage);
    const int parts = j->course.set[j->course.stage[c->stage].set].prompt[RF_POSITIVE]->parts;
    RF_TRY(reserve_rows(p, parts + 1, err));
    rf_relay_row *row = p->row + p->rows_listed;
    rf_relay_call call = {.row_at = p->rows_listed};
    call.rows = rf_plan_rows(j, c->stage, c->cfg, c->positive, c->negative, c->skips_negative, row);
    call.u_row = c->skips_negative ? 0 : call.rows - 1;
    if (call.rows > parts) j->negative_weighs[c->stage] = 1;
    for (int i = 0; i < call.rows; i++)
        RF_TRY(table_row(&p->expert[expert].table[RF_TABLE_PLANNED], row[i].cond,
                         rf_plan_sizing_of(p, j, expert, rf_row_polarity(i, parts)),
                         (float)c->timestep, &row[i].table_row, err));
    RF_TRY(program_for(p, j, c->stage, call.rows, &call.program, err));
    RF_TRY(know_update(p, j, c, &call.update, err));
    RF_TRY(know_call(p, &call, &j->call[number], err));
done:
    return st;
}

/* ---- DPM adaptive ------------------------------------------------------------------------- */

/* A row for every conditioning of the expert, as a prompt of either polarity. */
static rf_status add_adaptive_rows(rf_plan *p, const rf_plan_job *j, int expert, rf_error *err)
{
    rf_plan_expert *x = &p->expert[expert];
    rf_plan_table  *t = &x->table[RF_TABLE_ADAPTIVE];
    for (int i = 0; i < x->conds * RF_POLARITIES; i++) {
        const table_key row = {.cond = i / RF_POLARITIES,
                               .sizing = rf_plan_sizing_of(p, j, expert, i % RF_POLARITIES)};
        if (rf_plan_adaptive_row(t, row.cond, row.sizing) < t->rows) continue;
        const rf_status st = add_table_row(t, &row, err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

/* What any of its calls may need: a table row for every conditioning, and programs with and without
 * the negative prompt. */
static rf_status prepare_adaptive(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < j->active_count; i++) {
        const int stage = j->active[i];
        const int parts = j->course.set[j->course.stage[stage].set].prompt[RF_POSITIVE]->parts;
        int       program = 0;
        j->negative_weighs[stage] = 1;
        RF_TRY(add_adaptive_rows(p, j, rf_plan_expert_of(p, j, stage), err));
        for (int rows = parts; rows <= parts + 1; rows++) {
            RF_TRY(program_for(p, j, stage, rows, &program, err));
            p->program[program].occurs[1] = 1;
        }
        if (parts + 1 > p->rows) p->rows = parts + 1;
    }
done:
    return st;
}

rf_status rf_plan_list_calls(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_status st = RF_OK;
    j->call = malloc(((size_t)j->course.calls + 1) * sizeof *j->call);
    if (!j->call) return no_memory(err);
    for (int k = 0; k < j->course.calls; k++) RF_TRY(list_call(p, j, k, err));
    if (j->course.adaptive) RF_TRY(prepare_adaptive(p, j, err));
    RF_TRY(reserve_rows(p, p->rows, err)); /* DPM adaptive's, behind the last job's */
done:
    return st;
}
