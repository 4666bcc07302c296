/* Every sampler through whole relays: it runs, it hands over, and neither batches nor what was
 * computed beside it change a bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/relay/relays.h"

static const char *const SAMPLERS[] = {
    "Euler",
    "Euler a",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM++ 2S a",
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 3M SDE",
    "DPM fast",
    "DPM adaptive",
    "LCM",
    "Restart",
    "DDIM",
    "DDIM CFG++",
    "PLMS",
    "UniPC",
};
enum { COUNT = sizeof SAMPLERS / sizeof *SAMPLERS };

static rf_job relay_of(rf_stage stage[2], const relays *r, int sampler, int steps)
{
    stage[0] = (rf_stage){
        .expert = r->expert[0], .until = 0.5, .prompt = "x", .negative = "y", .cfg_scale = 3};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = -1};
    rf_job job = relays_job(stage, 2, steps);
    job.sampler = SAMPLERS[sampler];
    job.schedule = "automatic";
    return job;
}

static int is_adaptive(int sampler)
{
    return strcmp(SAMPLERS[sampler], "DPM adaptive") == 0;
}

Test(relay_samplers, batches_change_nothing, .timeout = 600)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (int s = 0; s < COUNT; s++) {
        pictures alone, together, later;
        rf_job   job = relay_of(stage, &r, s, 5);
        job.rng = s % 2 ? "cpu" : "nv";
        job.count = is_adaptive(s) ? 1 : 3;
        relays_render(&r, &job, &alone);
        job.batch = 2;
        relays_render(&r, &job, &together);
        pictures_expect_equal(&alone, &together, SAMPLERS[s], 1);
        job.count = 1;
        job.seed += is_adaptive(s) ? 0 : 2;
        relays_render(&r, &job, &later);
        cr_expect(pictures_equal(&alone, job.seed == 5 ? 0 : 2, &later, 0), "%s: picture 2 alone",
                  SAMPLERS[s]);
        pictures_free(&alone), pictures_free(&together), pictures_free(&later);
    }
    relays_close(&r);
}

/* The first expert alone, and the second, at the ends of the switch. */
Test(relay_samplers, the_ends_of_the_switch, .timeout = 600)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (int s = 0; s < COUNT; s++)
        for (int end = 0; end < 2; end++) {
            pictures relayed, alone;
            rf_job   job = relay_of(stage, &r, s, 5);
            stage[0].until = end;
            relays_render(&r, &job, &relayed);
            stage[0].expert = r.expert[!end];
            job.stage_count = 1;
            relays_render(&r, &job, &alone);
            pictures_expect_equal(&relayed, &alone, SAMPLERS[s], 0);
            pictures_free(&relayed), pictures_free(&alone);
            r.warnings = 0;
        }
    relays_close(&r);
}

/* What a plan takes before the first call is all it takes. */
Test(relay_samplers, nothing_is_allocated_on_the_way, .timeout = 600)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int s = 0; s < COUNT; s++) {
        const rf_job job = relay_of(stage, &r, s, 5);
        rf_plan     *plan = relays_plan(&r, &job);
        must(rf_plan_run(plan, NULL, &err), &err);
        const size_t allocations = r.engine->device.allocations;
        must(rf_plan_run(plan, NULL, &err), &err);
        cr_expect_eq(r.engine->device.allocations, allocations, "%s", SAMPLERS[s]);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

Test(relay_samplers, settings_matter_where_they_are_read, .timeout = 600)
{
    static const struct {
        const char *sampler;
        double      eta, churn;
        int64_t     ensd;
        int         matters;
    } rows[] = {
        {"Euler a", 0.5, 0, 0, 1},       {"Euler", 0.5, 0, 0, 0}, {"Euler", NAN, 5, 0, 1},
        {"Euler a", NAN, 0, 31337, 1},   {"DDIM", 0.5, 0, 0, 1},  {"DPM++ 2M", NAN, 5, 0, 0},
        {"DPM++ SDE", NAN, 0, 31337, 0},
    };
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pictures usual, set;
        rf_job   job = relay_of(stage, &r, 0, 5);
        job.sampler = rows[i].sampler;
        relays_render(&r, &job, &usual);
        job.eta = rows[i].eta;
        job.s_churn = rows[i].churn;
        job.ensd = rows[i].ensd;
        relays_render(&r, &job, &set);
        cr_expect_eq(!pictures_equal(&usual, 0, &set, 0), rows[i].matters, "row %zu: %s", i,
                     rows[i].sampler);
        pictures_free(&usual), pictures_free(&set);
    }
    relays_close(&r);
}

/* ---- noise -------------------------------------------------------------------------------- */

Test(relay_samplers, a1111_4_1_variation_keeps_the_seed, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures varied, plain;
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 1, 4);
    job.count = 2;
    job.variation = 0.3;
    job.variation_seed = 77;
    relays_render(&r, &job, &varied);
    for (int i = 0; i < 2; i++) cr_expect_eq(varied.seed[i], job.seed);
    cr_expect_not(pictures_equal(&varied, 0, &varied, 1), "their variation seeds differ");
    job.count = 1;
    job.variation_seed = 78;
    pictures second;
    relays_render(&r, &job, &second);
    cr_expect(pictures_equal(&varied, 1, &second, 0));
    job.variation = 0;
    relays_render(&r, &job, &plain);
    cr_expect_not(pictures_equal(&varied, 1, &plain, 0));
    pictures_free(&varied), pictures_free(&plain), pictures_free(&second);
    relays_close(&r);
}

Test(relay_samplers, a1111_4_4_seed_resize, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures own, larger;
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 0, 3);
    relays_render(&r, &job, &own);
    job.seed_width = job.seed_height = 128;
    relays_render(&r, &job, &larger);
    cr_expect_not(pictures_equal(&own, 0, &larger, 0));
    pictures_free(&own), pictures_free(&larger);
    relays_close(&r);
}

/* ---- a sampler per stage ------------------------------------------------------------------ */

Test(relay_samplers, a_stage_may_have_its_own, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures one, two;
    rf_error err = {0};
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 7, 6); /* DPM++ 2M */
    relays_render(&r, &job, &one);
    stage[1].sampler = "DPM++ 2M";
    relays_render(&r, &job, &two);
    pictures_expect_equal(&one, &two, "the same sampler by name", 0);
    pictures_free(&two);
    stage[1].sampler = "Euler";
    relays_render(&r, &job, &two);
    cr_expect_not(pictures_equal(&one, 0, &two, 0));
    pictures_free(&one), pictures_free(&two);
    stage[1].sampler = "DDIM"; /* walks noise levels of its own */
    rf_plan *plan = NULL;
    cr_expect_eq(rf_plan_create(&plan, r.engine, &job, &err), RF_E_ARG);
    cr_expect_not_null(strstr(err.message, "DDIM"), "%s", err.message);
    relays_close(&r);
}

/* ---- DPM adaptive ------------------------------------------------------------------------- */

typedef struct watched {
    int calls, stages[2], last;
} watched;

static int watch(void *user, const rf_progress *progress)
{
    watched *w = user;
    if (progress->phase != RF_PHASE_DENOISE) return 0;
    cr_expect_geq(progress->step, w->last, "progress never goes back");
    cr_expect_leq(progress->step, progress->steps);
    w->calls++;
    w->stages[progress->stage]++;
    w->last = progress->step;
    return 0;
}

Test(relay_samplers, adaptive_hands_over, .timeout = 240)
{
    relays       r;
    rf_stage     stage[2];
    rf_error     err = {0};
    watched      w = {0};
    rf_plan_info info;
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 13, 20);
    job.switch_by = "sigma";
    stage[0].until = 3;
    stage[0].prompt = "[x:z:switch]";
    rf_plan           *plan = relays_plan(&r, &job);
    const rf_callbacks callbacks = {.progress = watch, .user = &w};
    rf_plan_get_info(plan, &info);
    cr_expect_eq(info.calls, 0);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect_gt(w.stages[0], 2);
    cr_expect_gt(w.stages[1], 2);
    rf_plan_destroy(plan);
    relays_close(&r);
}
