/* How many calls a request makes, and what planning it costs. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/relay/relays.h"

enum { STEPS = 30, CELLS = 10000 };

typedef struct cell {
    rf_stage stage[2];
    char     prompt[16];
} cell;

static rf_job cell_job(const relays *r, cell *c, double until, const char *refiner_prompt)
{
    c->stage[0] = (rf_stage){.expert = r->expert[0],
                             .until = until,
                             .prompt = "a cat",
                             .negative = "blurry",
                             .cfg_scale = 6};
    c->stage[1] =
        (rf_stage){.expert = r->expert[1], .until = 1, .prompt = refiner_prompt, .cfg_scale = 5};
    rf_job job = relays_job(c->stage, 2, STEPS);
    job.sampler = "DPM++ 2M SDE";
    return job;
}

static rf_plan_info info_of(const relays *r, const rf_job *jobs, int count)
{
    rf_plan     *plan = NULL;
    rf_plan_info info;
    rf_error     err = {0};
    must(rf_plan_create_many(&plan, r->engine, jobs, count, &err), &err);
    rf_plan_get_info(plan, &info);
    rf_plan_destroy(plan);
    return info;
}

static void expect_calls(const relays *r, const rf_job *jobs, int count, int naive, int shared)
{
    const rf_plan_info info = info_of(r, jobs, count);
    cr_expect_eq(info.jobs, count);
    cr_expect_eq(info.calls_naive, naive, "%lld", (long long)info.calls_naive);
    cr_expect_eq(info.calls_shared, shared, "%lld", (long long)info.calls_shared);
}

Test(sweep, calls_are_the_formulas, .timeout = 60)
{
    relays r;
    cell   c[STEPS + 1];
    rf_job job[STEPS + 1];
    relays_open(&r, NULL);
    for (int i = 0; i < 9; i++) job[i] = cell_job(&r, &c[i], 0.1 * (i + 1), NULL);
    expect_calls(&r, job, 9, 270, 162);
    for (int i = 0; i <= STEPS; i++) job[i] = cell_job(&r, &c[i], (double)i / STEPS, "refined");
    expect_calls(&r, job, STEPS + 1, 930, 495);
    for (int i = 0; i < 8; i++) {
        snprintf(c[i].prompt, sizeof c[i].prompt, "words %d", i);
        job[i] = cell_job(&r, &c[i], 0.5, c[i].prompt);
    }
    expect_calls(&r, job, 8, 240, 135);
    relays_close(&r);
}

/* Axes beside the switch point: what differs from where on. */
Test(sweep, calls_of_other_axes, .timeout = 60)
{
    relays r;
    cell   c[4];
    rf_job job[4];
    relays_open(&r, NULL);
    for (int i = 0; i < 4; i++) job[i] = cell_job(&r, &c[i], 0.5, NULL);
    expect_calls(&r, job, 4, 120, 30); /* the same picture four times is one */
    for (int i = 0; i < 4; i++) c[i].stage[1].cfg_scale = (float)(2 + i);
    expect_calls(&r, job, 4, 120, 15 + 4 * 15);
    for (int i = 0; i < 4; i++) c[i].stage[1].cfg_scale = 5, job[i].seed = (uint64_t)i / 2;
    expect_calls(&r, job, 4, 120, 2 * 30);
    for (int i = 0; i < 4; i++) c[i].stage[1].expert = r.expert[i % 2];
    expect_calls(&r, job, 4, 120, 2 * (15 + 2 * 15));
    for (int i = 0; i < 4; i++) { /* the second stage's sampler alone draws noise */
        job[i] = cell_job(&r, &c[i], 0.5, NULL);
        job[i].sampler = "Euler";
        job[i].ensd = i;
        c[i].stage[1].sampler = "Euler a";
    }
    expect_calls(&r, job, 4, 120, 15 + 4 * 15);
    for (int i = 0; i < 4; i++) { /* pictures of one job that another begins with */
        job[i] = cell_job(&r, &c[i], 0.5, NULL);
        job[i].seed = (uint64_t)i;
        job[i].count = 3;
    }
    expect_calls(&r, job, 4, 4 * 3 * 30, 6 * 30);
    relays_close(&r);
}

/* Batches grow where runs go side by side, and few states are held. */
Test(sweep, launches_are_full, .timeout = 60)
{
    relays r;
    cell   c[9];
    rf_job job[9];
    relays_open(&r, NULL);
    for (int i = 0; i < 9; i++) job[i] = cell_job(&r, &c[i], 0.1 * (i + 1), NULL);
    rf_plan_info info = info_of(&r, job, 9);
    cr_expect_eq(info.launches, 162);
    cr_expect_leq(info.states, 2);
    for (int i = 0; i < 9; i++) job[i].batch = 8;
    info = info_of(&r, job, 9);
    cr_expect_eq(info.batch, 8);
    cr_expect_lt(info.launches, 70, "%lld", (long long)info.launches);
    cr_expect_leq(info.states, 10);
    relays_close(&r);
}

Test(sweep, jobs_that_cannot_be_are_named, .timeout = 60)
{
    relays   r;
    cell     c[2];
    rf_plan *plan = NULL;
    rf_error err = {0};
    relays_open(&r, NULL);
    rf_job job[2] = {cell_job(&r, &c[0], 0.5, NULL), cell_job(&r, &c[1], 0.5, NULL)};
    job[1].steps = 0;
    cr_expect_eq(rf_plan_create_many(&plan, r.engine, job, 2, &err), RF_E_ARG);
    cr_expect_null(plan);
    cr_expect_str_eq(err.message, "job 2: steps is 0; it can be 1 to 10000");
    cr_expect_eq(rf_plan_create_many(&plan, r.engine, job, 0, &err), RF_E_ARG);
    relays_close(&r);
}

/* Most memory that this process ever had, bytes. */
static size_t peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Of switch points 1 / (points + 1) ... over one seed: the base once, and every refiner's own. */
static int64_t shared_calls(int points)
{
    int64_t calls = 0;
    int     last = 0;
    for (int i = 1; i <= points; i++) {
        const int at = (int)ceil((double)i / (points + 1) * STEPS - 1e-6);
        if (at != last) calls += STEPS - at;
        last = at;
    }
    return last + calls;
}

/* Prompts of the refiner, or of both. */
static rf_plan_info plan_cells(const relays *r, int points, int prompts, int of_both)
{
    static rf_job   job[CELLS];
    static cell     c[CELLS];
    struct timespec from, to;
    for (int i = 0; i < CELLS; i++) {
        snprintf(c[i].prompt, sizeof c[i].prompt, "words %d", i / points % prompts);
        job[i] = cell_job(r, &c[i], (1.0 + i % points) / (points + 1), c[i].prompt);
        job[i].seed = (uint64_t)(i / points / prompts);
        job[i].batch = 8;
        if (of_both) c[i].stage[0].prompt = c[i].prompt;
    }
    const size_t before = peak_memory();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    const rf_plan_info info = info_of(r, job, CELLS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    const size_t bytes = peak_memory() - before;
    const double seconds =
        (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
#ifdef RF_SANITIZE
    (void)seconds, (void)bytes;
#else
    cr_expect_lt(seconds, 1.0, "%.2f s", seconds);
    cr_expect_lt(bytes, 100000000u, "%.1f MB", 1e-6 * (double)bytes);
#endif
    cr_expect_eq(info.calls_naive, CELLS * STEPS);
    return info;
}

Test(sweep, ten_thousand_cells_are_planned_at_once, .timeout = 240)
{
    relays r;
    relays_open(&r, NULL);
    const rf_plan_info info = plan_cells(&r, 20, 20, 0);
    cr_expect_lt(info.calls_shared, 150000);
    cr_expect_lt(info.launches, 150000 / 7, "batches of eight are full");
    cr_expect_lt(info.states, 200, "%d", info.states);
    relays_close(&r);
}

Test(sweep, ten_thousand_seeds, .timeout = 240)
{
    relays r;
    relays_open(&r, NULL);
    cr_expect_eq(plan_cells(&r, 1, 1, 0).calls_shared, CELLS * STEPS);
    relays_close(&r);
}

/* Switch points over seeds, the sweep that people make. */
Test(sweep, ten_thousand_points_and_seeds, .timeout = 240)
{
    relays r;
    relays_open(&r, NULL);
    cr_expect_eq(plan_cells(&r, 20, 1, 0).calls_shared, 500 * shared_calls(20));
    relays_close(&r);
}

/* Nothing in common behind the switch: every cell has a conditioning of its own. */
Test(sweep, ten_thousand_prompts, .timeout = 240)
{
    relays r;
    relays_open(&r, NULL);
    cr_expect_eq(plan_cells(&r, 1, CELLS, 0).calls_shared, STEPS / 2 + CELLS * (STEPS / 2));
    relays_close(&r);
}

Test(sweep, ten_thousand_prompts_of_both, .timeout = 240)
{
    relays r;
    relays_open(&r, NULL);
    cr_expect_eq(plan_cells(&r, 1, CELLS, 1).calls_shared, CELLS * STEPS);
    relays_close(&r);
}
