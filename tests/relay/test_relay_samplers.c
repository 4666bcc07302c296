/* Every sampler through whole relays: it runs, it hands over, and neither batches nor what was
 * computed beside it change a bit. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
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

/* One of each shape of call: what is remembered, anchored, drawn, or found on the way. */
static int stands_for_others(int sampler)
{
    static const char *const some[] = {"Euler a",  "LMS",          "Heun",  "DPM++ 3M SDE",
                                       "DPM fast", "DPM adaptive", "UniPC", "DDIM CFG++"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        if (strcmp(SAMPLERS[sampler], some[i]) == 0) return 1;
    return 0;
}

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
        rf_job   job = relay_of(stage, &r, s, 4);
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
        for (int end = 0; end < 2 && stands_for_others(s); end++) {
            pictures relayed, alone;
            rf_job   job = relay_of(stage, &r, s, 4);
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
        if (!stands_for_others(s)) continue;
        const rf_job job = relay_of(stage, &r, s, 4);
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

Test(a1111_4_1, variation_keeps_the_seed, .timeout = 240)
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

Test(a1111_4_4, seed_resize, .timeout = 240)
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

/* ---- the switch --------------------------------------------------------------------------- */

/* A hand-over resets nothing: to the same file opened a second time it cannot be seen, whatever the
 * sampler remembers or draws; the call counter goes on, so prompts stay on the run's clock. */
Test(a1111_1_6, nothing_is_reset, .timeout = 300)
{
    relays     r;
    rf_stage   stage[2];
    rf_expert *twin = NULL;
    rf_error   err = {0};
    relays_open(&r, NULL);
    must(rf_expert_open(&twin, r.engine, r.path[0], &err), &err);
    for (int s = 0; s < COUNT; s++) {
        if (!stands_for_others(s) || is_adaptive(s)) continue;
        pictures relayed, alone;
        rf_job   job = relay_of(stage, &r, s, 5);
        stage[0].prompt = "[x:[y|z]:2]";
        stage[1].expert = twin;
        relays_render(&r, &job, &relayed);
        stage[1].expert = r.expert[0];
        relays_render(&r, &job, &alone);
        pictures_expect_equal(&relayed, &alone, SAMPLERS[s], 0);
        pictures_free(&relayed), pictures_free(&alone);
    }
    rf_expert_close(twin);
    relays_close(&r);
}

/* The picture is decoded by the expert that ends, and its name is told. */
Test(a1111_1_6, the_refiners_vae_decodes, .timeout = 120)
{
    relays       r;
    rf_stage     stage[2];
    rf_plan_info info;
    relays_open(&r, NULL);
    const rf_job job = relay_of(stage, &r, 0, 4);
    rf_plan     *plan = relays_plan(&r, &job);
    rf_plan_get_info(plan, &info);
    cr_expect_str_eq(info.vae, rf_expert_name(r.expert[1]));
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* A1111 keeps conditionings from one request to the next and forgets to ask for some of what they
 * depend on; here a plan knows nothing of another. */
Test(a1111_3_7, nothing_is_remembered_between_plans, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    pictures first, other, again;
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 0, 3);
    relays_render(&r, &job, &first);
    job.target_width = job.target_height = 1024;
    job.clip_l_skip = 1;
    relays_render(&r, &job, &other);
    cr_expect_not(pictures_equal(&first, 0, &other, 0));
    job.target_width = job.target_height = job.clip_l_skip = 0;
    relays_render(&r, &job, &again);
    pictures_expect_equal(&first, &again, "as if the other had not been", 1);
    pictures_free(&first), pictures_free(&other), pictures_free(&again);
    relays_close(&r);
}

/* The first ten digits of the whole file's SHA-256. */
Test(a1111_6_3, model_hashes, .timeout = 120)
{
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    pictures p;
    relays_open(&r, NULL);
    const rf_job job = relay_of(stage, &r, 0, 3);
    relays_render(&r, &job, &p);
    for (int i = 0; i < 2; i++) {
        char hex[65], shown[64];
        must(rf_expert_sha256(r.expert[i], hex, NULL, NULL, &err), &err);
        snprintf(shown, sizeof shown, i ? " [%.10s]," : "Model hash: %.10s,", hex);
        cr_expect_not_null(strstr(p.parameters[0], shown), "%s in %s", shown, p.parameters[0]);
    }
    pictures_free(&p);
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

/* A fraction of the steps is one of those that are made: 7 of DPM fast, 19 of DDIM, 20 of Euler. */
Test(relay_samplers, fractions_are_of_the_steps_made, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (int s = 0; s < COUNT; s++) {
        if (is_adaptive(s)) continue;
        const rf_job job = relay_of(stage, &r, s, 20);
        rf_plan     *plan = relays_plan(&r, &job);
        const int    steps = plan->job[0].course.steps;
        cr_expect_eq(plan->job[0].course.stage[1].first_step, (steps + 1) / 2, "%s: step %d of %d",
                     SAMPLERS[s], plan->job[0].course.stage[1].first_step, steps);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

/* A list that would not be walked is no list of the run. */
Test(relay_samplers, explicit_levels_are_walked_or_refused, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    for (int s = 0; s < COUNT; s++) {
        /* DPM fast, DPM adaptive; Restart, DDIM, DDIM CFG++, PLMS, UniPC */
        const int own = s == 12 || s == 13 || s >= 15;
        rf_job    job = relay_of(stage, &r, s, 5);
        rf_plan  *plan = NULL;
        rf_error  err = {0};
        job.sigmas = "9, 6, 4, 2, 1, 0";
        cr_expect_eq(rf_plan_create(&plan, r.engine, &job, &err), own ? RF_E_ARG : RF_OK, "%s: %s",
                     SAMPLERS[s], err.message);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

/* ---- A1111's timestep samplers ---------------------------------------------------------- */

/* There the switch sees the timestep cut to a whole number: of UniPC's 999 (1 - 14 / 20) = 299.7 it
 * is 299, whose ratio is 0.7, where the nearest entry would be 300. */
Test(a1111_1_3, a_timestep_is_cut, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 19, 20); /* UniPC */
    job.switch_by = "noise";
    job.compat = "a1111";
    stage[0].until = 0.7;
    rf_plan *plan = relays_plan(&r, &job);
    cr_assert_eq(plan->job[0].course.calls, 20);
    cr_expect_eq(plan->job[0].course.stage[1].first_call, 14, "%d",
                 plan->job[0].course.stage[1].first_call);
    rf_plan_destroy(plan);
    relays_close(&r);
}

/* Likewise the level below which guidance may be left out: of the timesteps none is below 3. */
Test(a1111_3_6, a_timestep_is_no_noise_level, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 16, 20); /* DDIM */
    job.s_min_uncond = 3;
    job.s_min_uncond_all = 1;
    for (int exact = 0; exact < 2; exact++) {
        job.compat = exact ? "a1111" : NULL;
        rf_plan *plan = relays_plan(&r, &job);
        int      skipped = 0;
        for (int k = 0; k < plan->job[0].course.calls; k++)
            skipped += plan->call[plan->job[0].call[k]].rows == 1;
        cr_expect_eq(skipped > 0, !exact, "%d", skipped);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}

/* The negative prompt's x0 is the first part's where it is left out, as for guidance. */
Test(a1111_3_6, cfgpp_goes_along_the_first_part, .timeout = 240)
{
    relays   r;
    rf_stage stage[2];
    pictures parts, one;
    relays_open(&r, NULL);
    rf_job job = relay_of(stage, &r, 17, 5); /* DDIM CFG++ */
    job.skip_early_cfg = 1;
    relays_render(&r, &job, &one);
    stage[0].prompt = "x AND z:0";
    relays_render(&r, &job, &parts);
    pictures_expect_equal(&one, &parts, "a part of weight 0", 0);
    pictures_free(&one), pictures_free(&parts);
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

/* A stage that ends where the noise begins makes no call, though exp(log(10)) is above 10. */
Test(relay_samplers, adaptive_skips_a_stage_at_its_start, .timeout = 240)
{
    static const struct {
        const char *switch_by;
        double      until;
    } rows[] = {{"steps", 0}, {"sigma", 10}};
    relays   r;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        watched            w = {0};
        const rf_callbacks callbacks = {.progress = watch, .user = &w};
        rf_job             job = relay_of(stage, &r, 13, 20);
        job.switch_by = rows[i].switch_by;
        job.sigma_max = 10;
        stage[0].until = rows[i].until;
        rf_plan *plan = relays_plan(&r, &job);
        cr_assert_eq(plan->expert_count, 1);
        cr_expect(!plan->job[0].info[0].takes_part && plan->job[0].info[1].takes_part);
        must(rf_plan_run(plan, &callbacks, &err), &err);
        cr_expect_eq(w.stages[0], 0);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
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
    cr_expect(plan->job[0].info[0].takes_part && plan->job[0].info[1].takes_part);
    must(rf_plan_run(plan, &callbacks, &err), &err);
    cr_expect_gt(w.stages[0], 2);
    cr_expect_gt(w.stages[1], 2);
    rf_plan_destroy(plan);
    relays_close(&r);
}
