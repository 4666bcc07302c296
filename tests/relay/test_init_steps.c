/* A1111's step rule for runs from a picture: which levels of the schedule are walked, what counts
 * as a step for switches and prompts, and what is refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/engine.h"
#include "engine/sample/switch.h"

static rf_engine *engine;
static rf_init    init;
static rf_stage   stage[2];

static void setup(void)
{
    rf_error err = {0};
    cr_assert_eq(rf_engine_create(
                     &engine, &(rf_options){.device = "cpu", .dtype = "f32", .threads = 1}, &err),
                 RF_OK, "%s", err.message);
}

static void teardown(void)
{
    rf_engine_destroy(engine);
}

TestSuite(init_steps, .init = setup, .fini = teardown, .timeout = 60);

static rf_job job_of(const char *sampler, const char *schedule, int steps, double denoise)
{
    rf_job job = rf_job_default();
    init = (rf_init){.denoise = denoise};
    job.stages = stage;
    job.stage_count = 1;
    job.sampler = sampler;
    job.schedule = schedule;
    job.steps = steps;
    job.init = &init;
    return job;
}

static const rf_explanation *explain(const rf_job *job)
{
    const rf_explanation *e = NULL;
    rf_error              err = {0};
    cr_assert_eq(rf_explain(&e, engine, job, 0, &err), RF_OK, "%s", err.message);
    return e;
}

/* The walked levels are the last ones of the schedule of `whole` steps. */
static void expect_tail(const rf_job *job, int whole, int calls)
{
    rf_job full = *job;
    full.init = NULL;
    full.steps = whole;
    const rf_explanation *cut = explain(job), *all = explain(&full);
    cr_expect_eq(cut->calls, calls, "%d steps of strength %g make %d calls, not %d", job->steps,
                 job->init->denoise, cut->calls, calls);
    cr_assert_eq(cut->sigma_count, calls + 1);
    const double *tail = all->sigmas + all->sigma_count - cut->sigma_count;
    for (int i = 0; i <= calls; i++)
        cr_expect_eq(cut->sigmas[i], tail[i], "%s %d, %g: level %d", job->sampler, job->steps,
                     job->init->denoise, i);
    for (int i = 0; i < cut->calls; i++) cr_expect_eq(cut->call[i].step, i);
    rf_explanation_free(cut);
    rf_explanation_free(all);
}

/* Calls are trunc(min(d, 0.999) n) + 1. */
Test(init_steps, the_last_steps_of_the_schedule)
{
    const struct {
        int    steps;
        double denoise;
        int    calls;
    } rows[] = {{20, 0.75, 16}, {20, 0.4, 9},  {20, 0, 1},    {20, 1, 20},     {20, 0.999, 20},
                {20, 0.05, 2},  {20, 0.04, 1}, {30, 0.5, 16}, {1, 0.5, 1},     {1, 1, 1},
                {1, 0, 1},      {2, 0.5, 2},   {7, 0.3, 3},   {100, 0.29, 29}, {1000, 1, 1000},
                {50, 0.02, 2},  {3, 0.34, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_job job = job_of("Euler", "karras", rows[i].steps, rows[i].denoise);
        expect_tail(&job, rows[i].steps, rows[i].calls);
    }
    for (int steps = 1; steps <= 40; steps++)
        for (int d = 0; d <= 20; d++) {
            const rf_job job = job_of("Euler a", "exponential", steps, d / 20.0);
            expect_tail(&job, steps, (int)(fmin(d / 20.0, 0.999) * steps) + 1);
        }
}

Test(init_steps, exact_steps_of_a_longer_schedule)
{
    const struct {
        int    steps;
        double denoise;
        int    whole;
    } rows[] = {{20, 0.5, 40}, {20, 1, 20}, {10, 0.3, 33}, {1, 0.001, 1000}, {7, 0.75, 9}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_job job = job_of("DPM++ 2M", "karras", rows[i].steps, rows[i].denoise);
        init.exact_steps = 1;
        expect_tail(&job, rows[i].whole, rows[i].steps);
    }
    rf_job none = job_of("Euler", "karras", 20, 0); /* nothing to divide by: the plain rule */
    init.exact_steps = 1;
    expect_tail(&none, 20, 1);
}

/* A1111's (999 - t) / 1000 at the first call of 20 steps, as observed in v1.10.1. */
Test(init_steps, first_levels_are_those_of_a1111)
{
    static const double strength[] = {0.3, 0.4, 0.5, 0.6, 0.7};
    static const double ratio[2][2][5] = {
        {{.876, .714, .525, .359, .227}, {.902, .771, .594, .415, .266}},
        {{.684, .578, .473, .368, .263}, {.707, .612, .512, .406, .296}}};
    static const char *const schedule[] = {"karras", "uniform"};
    for (int s = 0; s < 2; s++)
        for (int exact = 0; exact < 2; exact++)
            for (int i = 0; i < 5; i++) {
                rf_job job = job_of("Euler", schedule[s], 20, strength[i]);
                init.exact_steps = exact;
                const rf_explanation *e = explain(&job);
                const float           first = rf_switch_ratio(&engine->table, e->call[0].sigma);
                cr_expect_float_eq(first, ratio[s][exact][i], 5e-4, "%s, exact %d, %g: %g",
                                   schedule[s], exact, strength[i], (double)first);
                rf_explanation_free(e);
            }
}

/* Noise levels are the model's, so that a base may have no call; fractions are of the steps made.
 */
Test(init_steps, switches)
{
    stage[0].until = 0.5;
    stage[1].until = 1;
    rf_job job = job_of("Euler", "karras", 20, 0.4); /* 9 calls, from a ratio of 0.714 */
    job.stage_count = 2;
    job.switch_by = "noise";
    const rf_explanation *e = explain(&job);
    cr_expect_eq(e->call[0].stage, 1);
    rf_explanation_free(e);
    job.switch_by = "steps";
    e = explain(&job);
    for (int i = 0; i < e->calls; i++) cr_expect_eq(e->call[i].stage, i >= 5, "call %d", i);
    rf_explanation_free(e);
    job.compat = "a1111"; /* k / 9 >= 0.5 */
    e = explain(&job);
    for (int i = 0; i < e->calls; i++) cr_expect_eq(e->call[i].stage, i >= 5, "call %d", i);
    rf_explanation_free(e);
}

/* An edit's fraction is of the steps asked for, and calls count from the first one made. */
Test(init_steps, prompt_edits)
{
    rf_job job = job_of("Euler", "karras", 20, 0.4);
    stage[0].prompt = "[a:b:5] [c:d:0.5]";
    const rf_explanation *e = explain(&job);
    cr_expect_eq(e->calls, 9);
    const int *entry = e->call[0].prompt_entry;
    cr_expect_eq(e->call[5].prompt_entry[0], entry[0], "six calls with the first one (A1111)");
    cr_expect_neq(e->call[6].prompt_entry[0], entry[0]);
    cr_expect_eq(e->call[8].prompt_entry[0], e->call[6].prompt_entry[0], "half of 20 is never");
    rf_explanation_free(e);
    stage[0].prompt = NULL;
}

/* They enter their list at index trunc(d n), and never evaluate index 0. */
Test(init_steps, timestep_samplers)
{
    static const char *const samplers[] = {"DDIM", "DDIM CFG++", "PLMS"};
    for (int s = 0; s < 3; s++)
        for (int d = 0; d <= 10; d++) {
            rf_job                job = job_of(samplers[s], "automatic", 20, d / 10.0);
            const rf_explanation *e = explain(&job);
            int                   t = (int)(fmin(d / 10.0, 0.999) * 20);
            if (t == 0) t = 1;
            cr_expect_eq(e->calls, t + (s == 2), "%s, %g: %d calls", samplers[s], d / 10.0,
                         e->calls);
            cr_expect_eq(e->call[0].timestep, (double)(t * 50 + 1));
            rf_explanation_free(e);
        }
}

static void expect_refused(const rf_job *job, int hires, const char *words)
{
    const rf_explanation *e = NULL;
    rf_error              err = {0};
    const rf_status       st = rf_explain(&e, engine, job, hires, &err);
    cr_expect_eq(st, RF_E_ARG, "%s", words);
    cr_expect_null(e);
    cr_expect_not_null(strstr(err.message, words), "\"%s\" in: %s", words, err.message);
    rf_explanation_free(e);
}

Test(init_steps, refusals)
{
    const double wrong[] = {NAN, -0.1, 1.0001, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const rf_job job = job_of("Euler", "karras", 20, wrong[i]);
        expect_refused(&job, 0, "init: denoise is");
    }
    rf_job job = job_of("UniPC", "automatic", 20, 0.5);
    expect_refused(&job, 0, "UniPC begins at pure noise alone");
    job = job_of("Euler", "karras", 20, 0.0005);
    init.exact_steps = 1;
    expect_refused(&job, 0, "a schedule of 40000 steps");
    job = job_of("Euler", "karras", 20, 1e-300);
    init.exact_steps = 1;
    expect_refused(&job, 0, "10000 is the most");
    job = job_of("DDIM", "automatic", 600, 0.5);
    init.exact_steps = 1;
    expect_refused(&job, 0, "at most 1000");
    job = job_of("Euler", "karras", 20, 0.5);
    expect_refused(&job, 10, "no hires pass");
    job.sigmas = "10, 5, 1, 0";
    init.exact_steps = 1;
    expect_refused(&job, 0, "exact steps need a schedule");
    init.exact_steps = 0;
    const rf_explanation *e = explain(&job);
    cr_expect_eq(e->calls, 2);
    cr_expect_eq(e->sigmas[0], 5.0);
    rf_explanation_free(e);
}
