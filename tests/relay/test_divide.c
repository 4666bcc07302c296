/* Whole sweeps, divided: every job once, prefixes shared, and nothing made anew without need. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/relay/relays.h"
#include "tests/relay/scarcity.h"

#ifdef RF_SANITIZE
enum { CELLS = 2000 };
#else
enum { CELLS = 10000 };
#endif
enum { STEPS = 30, JOBS = 64 };

typedef struct cell {
    rf_stage stage[2];
    char     prompt[16];
} cell;

static rf_job cell_job(const relays *r, cell *c, int switch_at, uint64_t seed)
{
    c->stage[0] = (rf_stage){.expert = r->expert[0], .until = switch_at, .prompt = "a cat"};
    c->stage[1] = (rf_stage){.expert = r->expert[1], .until = 1};
    rf_job job = relays_job(c->stage, 2, STEPS);
    job.switch_by = "step";
    job.seed = seed;
    return job;
}

static rf_plan *plan_of(relays *r, const rf_job *jobs, int count)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    r->warnings = 0; /* stages without a call */
    must(rf_plan_create_many(&plan, r->engine, jobs, count, &err), &err);
    return plan;
}

typedef struct division {
    int      groups, *group;
    int64_t *cost;
} division;

static division divided(const rf_plan *plan, int jobs, int workers)
{
    rf_error err = {0};
    division d = {.group = malloc((size_t)jobs * sizeof *d.group),
                  .cost = malloc((size_t)jobs * sizeof *d.cost)};
    cr_assert(d.group && d.cost);
    memset(d.group, -1, (size_t)jobs * sizeof *d.group);
    must(rf_plan_divide(plan, workers, d.group, d.cost, &d.groups, &err), &err);
    cr_assert(d.groups >= 1 && d.groups <= jobs);
    for (int g = 1; g < d.groups; g++) cr_expect_leq(d.cost[g], d.cost[g - 1]);
    return d;
}

static void division_free(division *d)
{
    free(d->group);
    free(d->cost);
}

/* When the last worker is done, who take groups in order. */
static int64_t end_of(const division *d, int workers)
{
    int64_t load[JOBS] = {0}, end = 0;
    if (workers > d->groups) workers = d->groups;
    cr_assert_leq(workers, JOBS);
    for (int g = 0; g < d->groups; g++) {
        int least = 0;
        for (int w = 1; w < workers; w++)
            if (load[w] < load[least]) least = w;
        load[least] += d->cost[g];
        if (load[least] > end) end = load[least];
    }
    return end;
}

static int64_t sum_of(const division *d)
{
    int64_t sum = 0;
    for (int g = 0; g < d->groups; g++) sum += d->cost[g];
    return sum;
}

/* Every job is in a group, and each group's plan announces the calls that the division promised. */
static void expect_honest(relays *r, const rf_job *jobs, int count, const division *d)
{
    int taken = 0;
    for (int g = 0; g < d->groups; g++) {
        rf_job       mine[JOBS];
        int          n = 0;
        rf_plan_info info;
        for (int i = 0; i < count; i++)
            if (d->group[i] == g) mine[n++] = jobs[i];
        cr_assert_gt(n, 0, "group %d is empty", g);
        taken += n;
        rf_plan *plan = plan_of(r, mine, n);
        rf_plan_get_info(plan, &info);
        cr_expect_eq(info.calls_shared, d->cost[g], "group %d of %d: %lld calls, not %lld", g,
                     d->groups, (long long)info.calls_shared, (long long)d->cost[g]);
        rf_plan_destroy(plan);
    }
    cr_expect_eq(taken, count);
}

/* Divides, checks, and expects so many groups (0: any), the end and the calls in all. */
static void expect_division(relays *r, const rf_job *jobs, int count, int workers, int groups,
                            int64_t end, int64_t calls)
{
    rf_plan *plan = plan_of(r, jobs, count);
    division d = divided(plan, count, workers), again = divided(plan, count, workers);
    if (groups) cr_expect_eq(d.groups, groups, "%d workers: %d groups", workers, d.groups);
    cr_expect_eq(end_of(&d, workers), end, "%d workers: ends at %lld", workers,
                 (long long)end_of(&d, workers));
    cr_expect_eq(sum_of(&d), calls, "%d workers: %lld calls", workers, (long long)sum_of(&d));
    cr_expect_eq(d.groups, again.groups);
    cr_expect_eq(memcmp(d.group, again.group, (size_t)count * sizeof *d.group), 0);
    expect_honest(r, jobs, count, &d);
    division_free(&d);
    division_free(&again);
    rf_plan_destroy(plan);
}

/* The earliest end of any way to give `points` switch points, `every` steps apart, to two. */
static int64_t best_of_two(int points, int every)
{
    int64_t best = INT64_MAX;
    for (int set = 0; set < 1 << points; set++) {
        int64_t base[2] = {0, 0}, refined[2] = {0, 0};
        for (int i = 0; i < points; i++) {
            const int who = set >> i & 1, at = every * (i + 1);
            if (at > base[who]) base[who] = at;
            refined[who] += STEPS - at;
        }
        const int64_t one = base[0] + refined[0], other = base[1] + refined[1];
        const int64_t end = one > other ? one : other;
        if (end < best) best = end;
    }
    return best;
}

Test(divide, one_seed_at_nine_points, .timeout = 60)
{
    relays r;
    cell   c[9];
    rf_job job[9];
    relays_open(&r, NULL);
    for (int i = 0; i < 9; i++) job[i] = cell_job(&r, &c[i], 3 * (i + 1), 1);
    expect_division(&r, job, 9, 1, 1, 162, 162);
    cr_expect_eq(best_of_two(9, 3), 90);
    expect_division(&r, job, 9, 2, 2, 90, 171);         /* the first three points again to step 9 */
    expect_division(&r, job, 9, 8, 8, 36, 7 * 30 + 36); /* the last two share 24 calls */
    expect_division(&r, job, 9, 9, 9, 30, 270);
    expect_division(&r, job, 9, 1000, 9, 30, 270);
    relays_close(&r);
}

Test(divide, seeds_stay_whole_where_they_can, .timeout = 60)
{
    relays r;
    cell   c[36];
    rf_job job[36];
    relays_open(&r, NULL);
    for (int i = 0; i < 36; i++) job[i] = cell_job(&r, &c[i], 3 * (i % 9 + 1), (uint64_t)i / 9);
    expect_division(&r, job, 36, 1, 1, 648, 648);
    expect_division(&r, job, 36, 2, 4, 324, 648);
    expect_division(&r, job, 36, 4, 4, 162, 648);
    expect_division(&r, job, 36, 8, 8, 90, 4 * 171); /* every seed as above */
    for (int i = 0; i < 36; i++)                     /* the same in another order of the axes */
        job[i] = cell_job(&r, &c[i], 3 * (i / 4 + 1), (uint64_t)i % 4);
    expect_division(&r, job, 36, 4, 4, 162, 648);
    expect_division(&r, job, 36, 8, 8, 90, 4 * 171);
    r.engine->memory = 1; /* a group loads both experts: no more groups than needed */
    expect_division(&r, job, 36, 2, 2, 324, 648);
    relays_close(&r);
}

Test(divide, all_points, .timeout = 60)
{
    relays r;
    cell   c[31];
    rf_job job[31];
    relays_open(&r, NULL);
    for (int i = 0; i <= STEPS; i++) job[i] = cell_job(&r, &c[i], i, 1);
    /* Point 0 has the refiner's words from the start: a subtree of its own, 30 calls. */
    expect_division(&r, job, 31, 1, 1, 495, 495);
    for (int workers = 2; workers <= 8; workers *= 2) {
        rf_plan      *plan = plan_of(&r, job, 31);
        division      d = divided(plan, 31, workers);
        const int64_t end = end_of(&d, workers), fair = 495 / workers;
        cr_expect_lt(end, fair + STEPS, "%d workers: %lld", workers, (long long)end);
        expect_honest(&r, job, 31, &d);
        division_free(&d);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

/* Subtrees of different work are dealt out whole although no two stretches of the row are even. */
Test(divide, uneven_subtrees, .timeout = 60)
{
    static const int steps[4] = {30, 30, 20, 20};
    relays           r;
    cell             c[8];
    rf_job           job[8];
    relays_open(&r, NULL);
    for (int i = 0; i < 8; i++) { /* two points each */
        job[i] = cell_job(&r, &c[i], 10 + 5 * (i % 2), (uint64_t)i / 2);
        job[i].steps = steps[i / 2];
    }
    /* 15 + 20 + 15 = 50 for those of 30 steps, 15 + 10 + 5 = 30 for those of 20 */
    expect_division(&r, job, 8, 2, 4, 80, 160);
    relays_close(&r);
}

/* What a call costs grows with its picture; what an adaptive run costs, with its steps. */
Test(divide, work_is_calls_times_pixels, .timeout = 60)
{
    relays   r;
    cell     c[5];
    rf_job   job[5];
    int      group[5], groups = 0;
    int64_t  cost[5];
    rf_plan *plan = NULL;
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int i = 0; i < 5; i++) {
        job[i] = cell_job(&r, &c[i], 15, (uint64_t)i);
        if (i) job[i].width = job[i].height = 128;
    }
    job[4].sampler = "DPM adaptive";
    job[4].steps = 40;
    job[4].switch_by = "steps";
    c[4].stage[0].until = 0.5;
    must(rf_plan_create_many(&plan, r.engine, job, 5, &err), &err);
    must(rf_plan_divide(plan, 3, group, cost, &groups, &err), &err);
    cr_assert_eq(groups, 5);
    cr_expect_eq(group[4], 0);
    cr_expect_eq(cost[0], 40);
    for (int i = 1; i < 4; i++) {
        cr_expect_eq(group[i], i, "job %d is in group %d", i, group[i]);
        cr_expect_eq(cost[i], 30);
    }
    cr_expect_eq(group[0], 4);
    cr_expect_eq(cost[4], 8, "30 calls of a quarter of the pixels are %lld", (long long)cost[4]);
    must(rf_plan_divide(plan, 3, group, NULL, &groups, &err), &err);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* Any mix of axes: the promises hold, and more workers never end later. */
Test(divide, random_sweeps, .timeout = 120)
{
#ifdef RF_SANITIZE
    enum { SWEEPS = 3 };
#else
    enum { SWEEPS = 40 };
#endif
    relays   r;
    uint64_t random = 88172645463325252u;
    relays_open(&r, NULL);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        cell    c[24];
        rf_job  job[24];
        int64_t shared = 0, end = INT64_MAX;
        for (int i = 0; i < 24; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            job[i] = cell_job(&r, &c[i], 1 + (int)(random % STEPS), random >> 8 & 3);
            snprintf(c[i].prompt, sizeof c[i].prompt, "words %d", (int)(random >> 16 & 3));
            c[i].stage[1].prompt = c[i].prompt;
        }
        rf_plan *plan = plan_of(&r, job, 24);
        for (int workers = 1; workers <= 16; workers *= 2) {
            division d = divided(plan, 24, workers);
            if (workers == 1) shared = sum_of(&d);
            cr_expect_leq(end_of(&d, workers), end);
            end = end_of(&d, workers);
            cr_expect_geq(end * workers, shared);
            cr_expect_geq(sum_of(&d), shared);
            expect_honest(&r, job, 24, &d);
            division_free(&d);
        }
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

Test(divide, one_job_is_one_group, .timeout = 60)
{
    relays   r;
    cell     c;
    rf_plan *plan = NULL;
    rf_error err = {0};
    int      group = -1, groups = 0;
    int64_t  cost = 0;
    relays_open(&r, NULL);
    rf_job job = cell_job(&r, &c, 15, 1);
    job.count = 5;
    job.batch = 2;
    must(rf_plan_create(&plan, r.engine, &job, &err), &err);
    must(rf_plan_divide(plan, 8, &group, &cost, &groups, &err), &err);
    cr_expect(group == 0 && groups == 1 && cost == 150);
    cr_expect_eq(rf_plan_divide(plan, 0, &group, &cost, &groups, &err), RF_E_ARG);
    cr_expect_str_eq(err.message, "0 workers; there must be at least 1");
    cr_expect_eq(groups, 0);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* Jobs of several pictures stay whole. */
Test(divide, jobs_of_several_pictures, .timeout = 60)
{
    relays r;
    cell   c[9];
    rf_job job[9];
    relays_open(&r, NULL);
    for (int i = 0; i < 9; i++) {
        job[i] = cell_job(&r, &c[i], 3 * (i + 1), 1);
        job[i].count = 2;
    }
    expect_division(&r, job, 9, 2, 2, 2 * 90, 2 * 171);
    relays_close(&r);
}

Test(divide, a_job_tells_of_itself, .timeout = 60)
{
    relays      r;
    cell        c[9];
    rf_job      job[9];
    rf_job_info info;
    rf_plan    *plan = NULL;
    rf_error    err = {0};
    relays_open(&r, NULL);
    for (int i = 0; i < 9; i++) job[i] = cell_job(&r, &c[i], 3 * (i + 1), 1);
    must(rf_plan_create_many(&plan, r.engine, job, 9, &err), &err);
    for (int i = 0; i < 9; i++) { /* its refiner's calls; the last one's last base calls, too */
        must(rf_plan_get_job(plan, i, &info), &err);
        cr_expect(info.calls == 30 && info.pictures == 1 && info.calls_alone == 30);
        cr_expect_eq(info.calls_of_own, i < 8 ? 30 - 3 * (i + 1) : 6, "job %d: %lld", i,
                     (long long)info.calls_of_own);
    }
    cr_expect_eq(rf_plan_get_job(plan, 9, &info), RF_E_ARG);
    cr_expect_eq(rf_plan_get_job(plan, -1, &info), RF_E_ARG);
    rf_plan_destroy(plan);

    job[1] = job[0]; /* what two jobs share is nobody's own, and that goes for all of it here */
    must(rf_plan_create_many(&plan, r.engine, job, 2, &err), &err);
    must(rf_plan_get_job(plan, 0, &info), &err);
    cr_expect_eq(info.calls_of_own, 0);
    rf_plan_destroy(plan);

    job[0].count = 3;
    must(rf_plan_create(&plan, r.engine, &job[0], &err), &err);
    must(rf_plan_get_job(plan, 0, &info), &err);
    cr_expect(info.calls_alone == 90 && info.calls_of_own == 90);
    rf_plan_destroy(plan);

    job[0].sampler = "DPM adaptive";
    job[0].switch_by = "steps";
    c[0].stage[0].until = 0.5;
    must(rf_plan_create(&plan, r.engine, &job[0], &err), &err);
    must(rf_plan_get_job(plan, 0, &info), &err);
    cr_expect(info.calls == 0 && info.calls_alone == 3 && info.calls_of_own == 3);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* Whatever allocation fails, planning and dividing say so and leave nothing behind. */
Test(divide, memory_runs_out, .timeout = 60)
{
    relays    r;
    cell      c[3];
    rf_job    job[3];
    rf_status st = RF_E_NOMEM;
    relays_open(&r, NULL);
    for (int i = 0; i < 3; i++) job[i] = cell_job(&r, &c[i], 3 * (i + 1), 1);
    rf_plan *plan = plan_of(&r, job, 3);
    for (long n = 0; st != RF_OK; n++) {
        int        group[3], groups = -1, refused;
        rf_error   err = {0};
        const long live = scarcity_live();
        scarcity_begin(SCARCE_MEMORY, n);
        st = rf_plan_divide(plan, 2, group, NULL, &groups, &err);
        refused = scarcity_end();
        cr_assert_eq(st, refused ? RF_E_NOMEM : RF_OK);
        cr_expect_eq(scarcity_live(), live);
        cr_expect_eq(groups, refused ? 0 : 2);
        cr_expect(refused ? n < 9 && err.message[0] : n == 9, "%ld", n);
    }
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* 10,000 cells of 20 points (fewer for the sanitizers), for few and for many workers, in well under
 * a second each. */
Test(divide, ten_thousand_cells, .timeout = 240)
{
    static rf_job   job[CELLS];
    static cell     c[CELLS];
    relays          r;
    rf_plan        *plan = NULL;
    rf_error        err = {0};
    struct timespec from, to;
    relays_open(&r, NULL);
    for (int i = 0; i < CELLS; i++) {
        job[i] = cell_job(&r, &c[i], 1 + i % 20, (uint64_t)(i / 400));
        snprintf(c[i].prompt, sizeof c[i].prompt, "words %d", i / 20 % 20);
        c[i].stage[1].prompt = c[i].prompt;
    }
    must(rf_plan_create_many(&plan, r.engine, job, CELLS, &err), &err);
    for (int workers = 1; workers <= 8192; workers *= 16) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        division d = divided(plan, CELLS, workers);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        const double seconds =
            (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        int members = 0;
        for (int i = 0; i < CELLS; i++) members += d.group[i] >= 0 && d.group[i] < d.groups;
        cr_expect_eq(members, CELLS);
        cr_log_info("%d workers: %d groups, %lld calls, %.1f ms", workers, d.groups,
                    (long long)sum_of(&d), 1e3 * seconds);
#ifndef RF_SANITIZE
        cr_expect_lt(seconds, 1.0, "%d workers: %.2f s", workers, seconds);
#endif
        division_free(&d);
    }
    rf_plan_destroy(plan);
    relays_close(&r);
}
