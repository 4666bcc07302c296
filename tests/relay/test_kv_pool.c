/* The pool of keys and values: as large as it was told, and a pool of a single launch gives the
 * bytes of one that holds everything, with as many computed again as the rule says. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/kv_pool.h"
#include "kernels/host.h"
#include "tests/model/golden.h"
#include "tests/relay/sweeps.h"

enum { JOBS = 6, TEXT = 512 };

/* 75 tokens are a chunk: `chunks` of them. */
static char *text_of(char *out, char letter, int chunks)
{
    char *end = out;
    *end++ = letter;
    for (int i = 0; i < 75 * (chunks - 1); i++) {
        *end++ = ' ';
        *end++ = letter;
    }
    *end = '\0';
    return out;
}

typedef struct request {
    rf_job   job[JOBS];
    rf_stage stage[JOBS][2];
    char     prompt[JOBS][TEXT], negative[TEXT];
    int      jobs;
} request;

/* A prompt each, as many chunks long as its digit says: one job, then the next. */
static void ask(request *q, const relays *r, const char *chunks, int batch)
{
    q->jobs = (int)strlen(chunks);
    text_of(q->negative, 'n', 1);
    for (int i = 0; i < q->jobs; i++) {
        rf_stage *s = q->stage[i];
        text_of(q->prompt[i], (char)('a' + i), chunks[i] - '0');
        s[0] = (rf_stage){.expert = r->expert[0],
                          .until = 0.5,
                          .prompt = q->prompt[i],
                          .negative = q->negative,
                          .cfg_scale = 3};
        s[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = 3};
        q->job[i] = relays_job(s, 2, 4);
        q->job[i].batch = batch;
    }
}

static rf_plan *plan_of(const relays *r, const request *q)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    must(rf_plan_create_many(&plan, r->engine, q->job, q->jobs, &err), &err);
    return plan;
}

/* ---- how large ---------------------------------------------------------------------------- */

/* Of one prompt of 77 tokens. */
static size_t unit_of(const relays *r)
{
    return r->expert[0]->blocks.kv_elems * 77 * sizeof(float);
}

static rf_plan_info info_of(uint64_t kv_pool, const char *chunks, int batch, size_t *unit)
{
    relays       r;
    request      q;
    rf_plan_info info;
    relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .kv_pool = kv_pool});
    ask(&q, &r, chunks, batch);
    rf_plan *plan = plan_of(&r, &q);
    rf_plan_get_info(plan, &info);
    *unit = unit_of(&r);
    rf_plan_destroy(plan);
    relays_close(&r);
    return info;
}

Test(kv_pool, sizes, .timeout = 60)
{
    size_t             unit = 0;
    const rf_plan_info all = info_of(0, "111", 1, &unit);
    cr_assert_eq(unit % 256, 0u);
    cr_expect_eq(all.kv_all_bytes, 2 * (3 + 1) * unit, "two experts: three prompts, a negative");
    cr_expect_eq(all.kv_pool_bytes, all.kv_all_bytes, "never more than there is");
    const rf_plan_info least = info_of(1, "111", 1, &unit);
    cr_expect_eq(least.kv_pool_bytes, 2 * unit, "never less than a launch reads");
    cr_expect_eq(least.kv_all_bytes, all.kv_all_bytes);
    cr_expect_eq(all.kv_bytes - least.kv_bytes, all.kv_pool_bytes - least.kv_pool_bytes);
    cr_expect_eq(all.peak_bytes - least.peak_bytes, all.kv_bytes - least.kv_bytes);
    cr_expect_eq(info_of(1, "111", 3, &unit).kv_pool_bytes, 4 * unit, "a batch of three");
    cr_expect_eq(info_of(1, "112", 1, &unit).kv_pool_bytes, 3 * unit, "the longer prompt's");
    cr_expect_eq(info_of(5 * unit + 255, "111", 1, &unit).kv_pool_bytes, 5 * unit);
}

/* ---- the same pictures -------------------------------------------------------------------- */

/* Blocks lie in the pool by address, none in another. */
static int look(void *user, const rf_progress *progress)
{
    const sweep      *s = user;
    const rf_kv_pool *pool = &s->plan->kv_pool;
    size_t            end = 0;
    (void)progress;
    for (int i = 0; i < pool->blocks; i++) {
        const rf_kv_block *b = &pool->block[i];
        cr_assert(b->at >= end && b->at + b->bytes <= pool->bytes);
        cr_assert_eq(b->cond->kv, pool->base + b->at);
        end = b->at + b->bytes;
    }
    return 0;
}

/* Runs it; how many prompts were computed. */
static int64_t run(const rf_options *options, char *const path[2], const char *chunks, int batch,
                   const char *sampler, sweep *s)
{
    relays   r = {.path = {path[0], path[1]}};
    request  q;
    rf_error err = {0};
    relays_start(&r, options);
    ask(&q, &r, chunks, batch);
    for (int i = 0; i < q.jobs; i++) q.job[i].sampler = sampler;
    memset(s, 0, sizeof *s);
    s->poison = -1;
    s->plan = plan_of(&r, &q);
    rf_callbacks callbacks = sweep_callbacks(s);
    callbacks.progress = look;
    must(rf_plan_run(s->plan, &callbacks, &err), &err);
    const int64_t computed = s->plan->kv_pool.computed;
    rf_plan_destroy(s->plan);
    relays_stop(&r);
    return computed;
}

/* In pools of all and of a launch, with all experts in memory and in turns. */
static void expect_same(char *const path[2], const char *chunks, int batch, const char *sampler)
{
    const int jobs = (int)strlen(chunks);
    sweep    *want = malloc(sizeof *want), *got = malloc(sizeof *got);
    for (int i = 0; i < 3; i++) {
        const rf_options o = {.dtype = "f32", .threads = 1, .kv_pool = i > 0, .memory = i > 1};
        const int64_t    computed = run(&o, path, chunks, batch, sampler, i ? got : want);
        if (i == 0) {
            cr_expect_eq(computed, 2 * (jobs + 1), "each once");
            continue;
        }
        if (i == 1) cr_expect_gt(computed, 2 * (jobs + 1), "%s: some again", sampler);
        for (int j = 0; j < jobs; j++)
            pictures_expect_equal(&want->cell[j], &got->cell[j], sampler, 1);
        sweep_free(got, jobs);
    }
    sweep_free(want, jobs);
    free(want), free(got);
}

Test(kv_pool, pictures_do_not_depend_on_it, .timeout = 240)
{
    char *path[2] = {make_tiny(7), make_tiny(8)};
    expect_same(path, "1111", 1, "Euler");
    expect_same(path, "1213", 2, "Euler a");
    expect_same(path, "12", 1, "DPM adaptive");
    for (int i = 0; i < 2; i++) remove_tiny(path[i]);
}

/* ---- how often ---------------------------------------------------------------------------- */

/* The rule, where all blocks are of one size.  Prompts are numbered expert by expert. */
typedef struct model {
    int     there[64], room, held, computed;
    int64_t read[64], reads, before; /* 0: never */
} model;

static void model_add(model *m, int prompt)
{
    int oldest = -1;
    for (int i = 0; m->held == m->room && i < 64; i++)
        if (m->there[i] && m->read[i] <= m->before && (oldest < 0 || m->read[i] <= m->read[oldest]))
            oldest = i;
    if (oldest >= 0) m->there[oldest] = 0;
    m->held += oldest < 0;
    m->there[prompt] = 1;
    m->computed++;
}

static int64_t predicted(const rf_plan *p, size_t unit)
{
    model              m = {.room = (int)(p->kv_pool.bytes / unit)};
    const int          first[2] = {0, p->expert[0].conds}; /* prompt of each expert */
    const rf_launches *l = &p->tree[0].launches;
    for (int i = 0; i < p->expert[0].conds + p->expert[1].conds && m.held < m.room; i++)
        model_add(&m, i);
    for (int i = 0; i < l->launches; i++) {
        m.before = m.reads;
        for (int missing = 0; missing < 2; missing++) /* none of those that are there leaves */
            for (int k = l->launch[i].first; k < l->launch[i].first + l->launch[i].count; k++) {
                const rf_relay_call *c = &p->call[p->tree[0].call[l->item[k].node]];
                for (int r = 0; r < c->rows; r++) {
                    const int prompt =
                        first[p->program[c->program].expert] + p->row[c->row_at + r].cond;
                    if (!missing)
                        m.read[prompt] = ++m.reads;
                    else if (!m.there[prompt])
                        model_add(&m, prompt);
                }
            }
    }
    return m.computed;
}

Test(kv_pool, as_many_are_computed_again_as_the_rule_says, .timeout = 120)
{
    relays   r;
    request  q;
    rf_error err = {0};
    size_t   unit = 0;
    (void)info_of(0, "1", 1, &unit);
    for (int room = 2; room <= 11; room += 3) {
        relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .kv_pool = room * unit});
        ask(&q, &r, "1111", 2);
        rf_plan      *plan = plan_of(&r, &q);
        const int64_t expected = predicted(plan, unit);
        must(rf_plan_run(plan, NULL, &err), &err);
        cr_expect_eq(plan->kv_pool.computed, expected, "room for %d: %d computed, not %d", room,
                     (int)plan->kv_pool.computed, (int)expected);
        if (room >= 2 * 5) cr_expect_eq(expected, 2 * 5);
        rf_plan_destroy(plan);
        relays_close(&r);
    }
}

/* Three units: a, n | n, b b.  n lies in the middle, so that b has no room until all is moved. */
Test(kv_pool, a_crowded_pool_is_emptied, .timeout = 60)
{
    relays   r;
    request  q;
    rf_error err = {0};
    relays_open(&r, &(rf_options){.dtype = "f32", .threads = 1, .kv_pool = 1});
    ask(&q, &r, "12", 1);
    for (int i = 0; i < 2; i++) {
        q.stage[i][0].until = 1; /* one expert */
        q.job[i].stage_count = 1;
    }
    rf_plan *plan = plan_of(&r, &q);
    cr_assert_eq(plan->kv_pool.bytes, 3 * unit_of(&r));
    must(rf_plan_run(plan, NULL, &err), &err);
    cr_expect_eq(plan->kv_pool.computed, 4, "a, n; b, n");
    must(rf_plan_run(plan, NULL, &err), &err); /* a takes b's place, and b a's */
    cr_expect_eq(plan->kv_pool.computed, 6);
    rf_plan_destroy(plan);
    relays_close(&r);
}
