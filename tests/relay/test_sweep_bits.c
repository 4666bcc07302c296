/* Every cell of a sweep is, bit for bit, the picture that its job gives alone; and a run that goes
 * wrong takes no other with it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/scarcity.h"
#include "tests/relay/sweeps.h"

static const rf_options bf16 = {.dtype = "bf16", .threads = 1};

typedef struct cell {
    rf_stage stage[2];
} cell;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int pick(unsigned *state, int below)
{
    return (int)(next_random(state) % (unsigned)below);
}

static const char *const SAMPLERS[] = {
    "Euler a",           "Euler",  "DPM++ 2M",  "DPM++ 3M SDE", "Heun", "Restart",    "UniPC",
    "DPM++ 2M SDE",      "DPM2 a", "DPM++ SDE", "DPM++ 2S a",   "LMS",  "DDIM CFG++", "LCM",
    "DPM++ 2M SDE Heun", "DDIM",   "PLMS",      "DPM2",
};

static const char *const LONG_PROMPT =
    "one two three four five six seven eight nine ten one two three four five six seven eight nine "
    "ten one two three four five six seven eight nine ten one two three four five six seven eight "
    "nine ten one two three four five six seven eight nine ten one two three four five six seven "
    "eight nine ten one two three four five six seven eight nine ten one two three four five six";

/* A request varies a few axes; the others are the same in all of its cells. */
static void random_request(const relays *r, unsigned seed, rf_job *job, cell *c, int count)
{
    static const char *const prompt[] = {"a cat", "b AND c :0.5", "[a|b] (d:1.3)", "", NULL};
    unsigned                 s = seed * 77 + 5;
    const int                axes = pick(&s, 512), base = pick(&s, 18), steps = 3 + pick(&s, 3);
    const int                batch = 1 + pick(&s, 8);
    for (int i = 0; i < count; i++) {
        rf_stage *a = &c[i].stage[0], *b = &c[i].stage[1];
        *a = (rf_stage){.expert = r->expert[0],
                        .until = axes & 1 ? 0.25 * pick(&s, 5) : 0.5,
                        .prompt = "a cat",
                        .negative = "blurry",
                        .cfg_scale = 6};
        *b = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = 5};
        if (axes & 2) b->prompt = prompt[pick(&s, 5)];
        if (axes & 4) b->cfg_scale = 1.0f + (float)pick(&s, 3);
        if (axes & 8) a->prompt = pick(&s, 2) ? LONG_PROMPT : "a dog";
        job[i] = relays_job(c[i].stage, 2, steps);
        job[i].sampler = SAMPLERS[axes & 16 ? pick(&s, 18) : base];
        job[i].batch = batch;
        if (axes & 32) job[i].seed = (uint64_t)pick(&s, 3);
        if (axes & 64) job[i].width = 64 + 8 * pick(&s, 2);
        if (axes & 128) job[i].count = 1 + pick(&s, 2);
        if (axes & 256) job[i].rng = pick(&s, 2) ? "cpu" : "nv";
    }
}

static void check_random(const rf_options *options, unsigned first, unsigned requests)
{
    relays r;
    relays_open(&r, options);
    for (unsigned seed = first; seed < first + requests; seed++) {
        enum { JOBS = 6 };
        rf_job   job[JOBS];
        cell     c[JOBS];
        char     what[32];
        sweep   *s = malloc(sizeof *s);
        rf_error err = {0};
        random_request(&r, seed, job, c, JOBS);
        must(sweep_run(&r, job, JOBS, -1, 0, s, &err), &err);
        snprintf(what, sizeof what, "request %u", seed);
        sweep_expect_alone(&r, job, JOBS, s, what);
        sweep_free(s, JOBS);
        free(s);
        r.warnings = 0;
    }
    relays_close(&r);
}

#ifdef RF_SANITIZE
enum { REQUESTS = 2 };
#else
enum { REQUESTS = 5 };
#endif

Test(sweep_bits, random_axes_bf16, .timeout = 300)
{
    check_random(&bf16, 0, REQUESTS);
}

Test(sweep_bits, random_axes_f32, .timeout = 300)
{
    check_random(NULL, 1000, REQUESTS);
}

/* Each sampler over switch points and batches, so that runs at different calls share a launch. */
static void check_switch_points(relays *r, const char *sampler, int batch)
{
    enum { POINTS = 4 };
    rf_job   job[POINTS];
    cell     c[POINTS];
    sweep   *s = malloc(sizeof *s);
    rf_error err = {0};
    for (int i = 0; i < POINTS; i++) {
        c[i].stage[0] = (rf_stage){
            .expert = r->expert[0], .until = 0.2 * (i + 1), .prompt = "a", .cfg_scale = 6};
        c[i].stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = 3};
        job[i] = relays_job(c[i].stage, 2, 5);
        job[i].sampler = sampler;
        job[i].batch = batch;
    }
    must(sweep_run(r, job, POINTS, -1, 0, s, &err), &err);
    sweep_expect_alone(r, job, POINTS, s, sampler);
    sweep_free(s, POINTS);
    free(s);
}

Test(sweep_bits, switch_points_of_many_samplers, .timeout = 300)
{
    static const char *const sampler[] = {"DPM++ 2M",     "DPM++ 3M SDE", "Heun",
                                          "Euler a",      "Restart",      "UniPC",
                                          "DPM++ 2M SDE", "DPM adaptive"};
    relays                   r;
    relays_open(&r, &bf16);
    for (int i = 0; i < 8; i++) {
#ifdef RF_SANITIZE
        if (i % 3) continue;
#endif
        check_switch_points(&r, sampler[i], 1 + 3 * (i % 2));
    }
    relays_close(&r);
}

/* DPM adaptive beside others, old rules beside new ones, VAEs and sizes of their own. */
Test(sweep_bits, jobs_with_little_in_common, .timeout = 300)
{
    enum { JOBS = 6 };
    relays   r;
    rf_job   job[JOBS];
    cell     c[JOBS];
    sweep   *s = malloc(sizeof *s);
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int i = 0; i < JOBS; i++) {
        c[i].stage[0] = (rf_stage){.expert = r.expert[0],
                                   .until = 0.5,
                                   .prompt = "a (long:1.2) AND b",
                                   .negative = i % 2 ? "n" : "",
                                   .cfg_scale = 4};
        c[i].stage[1] = (rf_stage){.expert = r.expert[1], .until = 1, .cfg_scale = 3};
        job[i] = relays_job(c[i].stage, 2, 4);
        job[i].batch = 4;
    }
    job[0].sampler = "DPM adaptive";
    job[1].sampler = "DPM adaptive";
    job[1].width = 72;
    job[2].vae = r.path[1];
    job[3].vae = r.path[0]; /* the same run, decoded otherwise */
    job[3].stages = job[2].stages;
    job[4].compat = "a1111";
    job[4].emphasis = "No norm";
    job[5].clip_l_skip = 1;
    job[5].crop_top = 100;
    job[5].variation = 0.3;
    job[5].count = 3;
    must(sweep_run(&r, job, JOBS, -1, 0, s, &err), &err);
    sweep_expect_alone(&r, job, JOBS, s, "little in common");
    sweep_free(s, JOBS);
    free(s);
    relays_close(&r);
}

/* ---- going wrong -------------------------------------------------------------------------- */

/* Switch after 1, 2 and 3 of 4 steps. */
static void three_points(const relays *r, rf_job *job, cell *c)
{
    for (int i = 0; i < 3; i++) {
        c[i].stage[0] = (rf_stage){
            .expert = r->expert[0], .until = 0.25 * (i + 1), .prompt = "a", .cfg_scale = 6};
        c[i].stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = 3};
        job[i] = relays_job(c[i].stage, 2, 4);
    }
}

Test(sweep_bits, a_run_that_fails_fails_alone, .timeout = 240)
{
    relays   r;
    rf_job   job[3];
    cell     c[3];
    rf_error err = {0};
    sweep   *good = malloc(sizeof *good), *bad = malloc(sizeof *bad);
    relays_open(&r, &bf16);
    three_points(&r, job, c);
    must(sweep_run(&r, job, 3, -1, 1, good, &err), &err);
    cr_expect_eq(good->failures, 0);
    /* launches, one run each: base, job 0's three, base, job 1's two, base, job 2's one */
    static const int first[] = {0, 1, 3, 4, 5, 8};
    static const int lost[][3] = {{1, 1, 1}, {1, 0, 0}, {1, 0, 0}, {0, 1, 1}, {0, 1, 0}, {0, 0, 1}};
    for (int i = 0; i < 6; i++) {
        must(sweep_run(&r, job, 3, first[i], 1, bad, &err), &err);
        for (int k = 0; k < 3; k++) {
            cr_expect_eq(bad->failed[k], lost[i][k], "NaN before launch %d: job %d", first[i], k);
            cr_assert_eq(bad->cell[k].count, !lost[i][k]);
            if (!lost[i][k]) cr_expect(pictures_equal(&good->cell[k], 0, &bad->cell[k], 0));
        }
        cr_expect_not_null(strstr(bad->message, "became NaN or infinite at step"), "%s",
                           bad->message);
        sweep_free(bad, 3);
    }
    cr_expect_eq(sweep_run(&r, job, 3, 4, 0, bad, &err), RF_E_NAN, "nobody listens");
    cr_expect_eq(bad->cell[0].count, 1, "what was finished before was handed out");
    sweep_free(bad, 3);
    sweep_free(good, 3);
    free(good), free(bad);
    relays_close(&r);
}

/* In one launch with others: a row of NaN stays a row. */
Test(sweep_bits, a_run_that_fails_leaves_its_batch_alone, .timeout = 240)
{
    relays   r;
    rf_job   job[3];
    cell     c[3];
    rf_error err = {0};
    sweep   *good = malloc(sizeof *good), *bad = malloc(sizeof *bad);
    relays_open(&r, &bf16);
    three_points(&r, job, c);
    for (int i = 0; i < 3; i++)
        job[i].stages = c[0].stage, job[i].seed = (uint64_t)i, job[i].batch = 3;
    must(sweep_run(&r, job, 3, -1, 1, good, &err), &err);
    must(sweep_run(&r, job, 3, 1, 1, bad, &err), &err);
    cr_expect_eq(bad->failures, 1);
    for (int k = 0; k < 3; k++)
        if (!bad->failed[k]) cr_expect(pictures_equal(&good->cell[k], 0, &bad->cell[k], 0));
    sweep_free(good, 3), sweep_free(bad, 3);
    free(good), free(bad);
    relays_close(&r);
}

/* ---- memory ------------------------------------------------------------------------------- */

typedef struct counters {
    const rf_device *device;
    size_t           allocations, held;
    long             system;
    int              calls, finished;
    int64_t          done;
} counters;

static int watch(void *user, const rf_progress *progress)
{
    counters *c = user;
    if (progress->phase == RF_PHASE_DECODE) c->finished = 1; /* metadata takes memory */
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    if (!c->calls++) {
        c->allocations = c->device->allocations;
        c->held = c->device->bytes_held;
    } else if (!c->finished) {
        cr_expect_eq(scarcity_allocations(), c->system, "a launch allocates");
    }
    cr_expect_eq(c->device->allocations, c->allocations);
    cr_expect_eq(c->device->bytes_held, c->held);
    cr_expect_geq(progress->calls_done, c->done);
    cr_expect_leq(progress->calls_done, progress->calls);
    c->done = progress->calls_done;
    c->finished = 0;
    c->system = scarcity_allocations();
    return 0;
}

Test(sweep_bits, launches_allocate_nothing, .timeout = 120)
{
    relays       r;
    rf_job       job[3];
    cell         c[3];
    rf_plan     *plan = NULL;
    rf_plan_info info;
    rf_error     err = {0};
    relays_open(&r, &bf16);
    relays_hash(&r);
    three_points(&r, job, c);
    for (int i = 0; i < 3; i++) job[i].batch = 2, job[i].sampler = "DPM++ 2M SDE";
    must(rf_plan_create_many(&plan, r.engine, job, 3, &err), &err);
    cr_expect_eq(r.engine->device.allocations, 0u, "planning allocates nothing large");
    counters           count = {.device = &r.engine->device};
    const rf_callbacks callbacks = {.progress = watch, .user = &count};
    must(rf_plan_run(plan, &callbacks, &err), &err);
    rf_plan_get_info(plan, &info);
    cr_expect_eq(count.calls, info.launches);
    cr_expect_eq(info.calls_shared, 4 + 3 + 2 + 1 - 1);
    cr_expect_eq(r.engine->device.bytes_peak, info.peak_bytes);
    rf_plan_destroy(plan);
    relays_close(&r);
}
