/* What a stage may have of its own: numbers of its sampler, guidance that moves, clip skip.  What
 * it says again changes no bit; what it changes, changes from its first call on. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/golden.h"
#include "tests/relay/sweeps.h"

static void two_stages(rf_stage stage[2], const relays *r)
{
    stage[0] =
        (rf_stage){.expert = r->expert[0], .until = 0.5, .prompt = "a (cat:1.2)", .cfg_scale = 6};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = -1};
}

static rf_stage_sampling numbers_of(const rf_job *job)
{
    return (rf_stage_sampling){.eta = job->eta,
                               .s_churn = job->s_churn,
                               .s_tmin = job->s_tmin,
                               .s_tmax = job->s_tmax,
                               .s_noise = job->s_noise};
}

static void expect_refused(relays *r, const rf_job *job, const char *said)
{
    rf_plan *plan = NULL;
    rf_error err = {0};
    cr_expect_eq(rf_plan_create(&plan, r->engine, job, &err), RF_E_ARG, "%s", said);
    cr_expect_null(plan);
    cr_expect_not_null(strstr(err.message, said), "%s: %s", said, err.message);
}

/* ---- numbers of samplers ------------------------------------------------------------------ */

/* Said again, and in what is not read another: LMS would lose its memory if that cut its run. */
Test(relay_stages, the_same_numbers_change_nothing, .timeout = 120)
{
    static const char *const sampler[] = {"Euler a", "DPM++ 2M SDE", "LMS", "Heun", "DDIM"};
    relays                   r;
    rf_stage                 stage[2];
    relays_open(&r, NULL);
    for (int i = 0; i < 5; i++) {
        pictures want, got;
        two_stages(stage, &r);
        rf_job job = relays_job(stage, 2, 4);
        job.sampler = sampler[i];
        relays_render(&r, &job, &want);
        rf_stage_sampling own = numbers_of(&job);
        if (strcmp(sampler[i], "LMS") == 0) own.s_noise = 0.5, own.eta = 0.25, own.s_churn = 9;
        if (strcmp(sampler[i], "Euler a") == 0) own.eta = 1, own.s_churn = 9;
        stage[1].sampling = &own;
        relays_render(&r, &job, &got);
        pictures_expect_equal(&want, &got, sampler[i], 0);
        pictures_free(&want), pictures_free(&got);
    }
    relays_close(&r);
}

/* Jobs that differ in the second stage's numbers share the first; each is what it is alone. */
Test(relay_stages, numbers_of_its_own_are_its_own, .timeout = 240)
{
    enum { JOBS = 4, STEPS = 4 };
    static const char *const sampler[] = {"Euler a", "DPM++ 2M SDE", "Heun"};
    relays                   r;
    rf_error                 err = {0};
    relays_open(&r, NULL);
    for (int i = 0; i < 3; i++) {
        sweep            *s = calloc(1, sizeof *s);
        rf_stage          stage[JOBS][2];
        rf_job            job[JOBS];
        rf_stage_sampling own[JOBS];
        rf_plan          *plan = NULL;
        rf_plan_info      info;
        rf_stage_info     first;
        for (int k = 0; k < JOBS; k++) {
            two_stages(stage[k], &r);
            job[k] = relays_job(stage[k], 2, STEPS);
            job[k].sampler = sampler[i];
            own[k] = numbers_of(&job[k]);
            if (k == 1) own[k].eta = 0.5, own[k].s_churn = 2;
            if (k == 2) own[k].s_noise = 0.7, own[k].s_churn = 2;
            if (k < 3) stage[k][1].sampling = &own[k];
            if (k == 3) stage[k][0].sampling = &own[1]; /* the first stage's, then the job's */
        }
        must(rf_plan_create_many(&plan, r.engine, job, JOBS, &err), &err);
        rf_plan_get_info(plan, &info);
        cr_assert_eq(rf_plan_get_stage(plan, 0, &first), RF_OK);
        cr_expect_eq(info.calls_shared, info.calls_naive - 2 * first.calls,
                     "%s: %lld calls, the first stage's of three jobs at once", sampler[i],
                     (long long)info.calls_shared);
        rf_plan_destroy(plan);
        must(sweep_run(&r, job, JOBS, -1, 0, s, &err), &err);
        sweep_expect_alone(&r, job, JOBS, s, sampler[i]);
        for (int k = 1; k < JOBS; k++)
            cr_expect_not(pictures_equal(&s->cell[0], 0, &s->cell[k], 0), "%s: job %d", sampler[i],
                          k);
        sweep_free(s, JOBS);
        free(s);
    }
    relays_close(&r);
}

Test(relay_stages, numbers_that_cannot_be_are_named, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    relays_open(&r, NULL);
    two_stages(stage, &r);
    rf_job            job = relays_job(stage, 2, 4);
    rf_stage_sampling own = numbers_of(&job);
    stage[1].sampling = &own;
    own.s_noise = -1;
    expect_refused(&r, &job, "stage 2: s_noise is -1");
    own.s_noise = 1, own.eta = 101;
    expect_refused(&r, &job, "stage 2: eta is 101");
    own.eta = 0.5;
    job.sampler = "DDIM"; /* walks levels of its own, and reads eta */
    expect_refused(&r, &job, "stage 2: DDIM walks noise levels of its own");
    job.sampler = "DPM adaptive";
    expect_refused(&r, &job, "stage 2: DPM adaptive walks noise levels of its own");
    stage[1].sampling = NULL;
    stage[1].clip_skip = 13;
    expect_refused(&r, &job, "stage 2: clip_skip is 13");
    stage[1].clip_skip = 0;
    stage[1].cfg_ramp = -1001;
    expect_refused(&r, &job, "stage 2: cfg_ramp is -1001");
    stage[1].cfg_ramp = -1;
    expect_refused(&r, &job, "stage 2: cfg_ramp is spread over the stage's calls");
    relays_close(&r);
}

/* ---- guidance ----------------------------------------------------------------------------- */

/* A ramp of four calls is four stages of one call; a further stage goes on where it ended. */
Test(relay_stages, a_ramp_is_as_many_stages_as_it_has_calls, .timeout = 120)
{
    relays                r;
    rf_stage              ramp[2], stair[5];
    pictures              want, got;
    const rf_explanation *told = NULL;
    relays_open(&r, NULL);
    two_stages(ramp, &r);
    ramp[0].until = 4;
    ramp[0].cfg_ramp = -5; /* 6, 4.33.., 2.67.., 1: the last call has no negative prompt */
    for (int i = 0; i < 5; i++) {
        stair[i] = (rf_stage){.expert = r.expert[0], .until = i + 1, .cfg_scale = 1};
        if (i < 4) stair[i].cfg_scale = (float)(6 - 5.0 * i / 3);
    }
    stair[0].prompt = ramp[0].prompt;
    stair[4].expert = r.expert[1];
    rf_job job = relays_job(ramp, 2, 6);
    job.switch_by = "step";
    cr_assert_eq(rf_explain(&told, r.engine, &job, 0, NULL), RF_OK);
    for (int k = 0; k < 6; k++) {
        const double cfg = k < 4 ? 6 - 5.0 * k / 3 : 1;
        cr_expect_float_eq(told->call[k].cfg_scale, cfg, 1e-6, "%g", told->call[k].cfg_scale);
        cr_expect_eq(told->call[k].negative_skipped, k >= 3, "call %d", k);
    }
    rf_explanation_free(told);
    relays_render(&r, &job, &got);
    job.stages = stair, job.stage_count = 5;
    relays_render(&r, &job, &want);
    /* 6 - 5i/3 is rounded to a float in one of them */
    double most = 0;
    for (int i = 0; i < 8 * 8 * 4; i++)
        most = fmax(most, fabs((double)(want.latent[0][i] - got.latent[0][i])));
    cr_expect_lt(most, 1e-4, "%g", most);
    pictures_free(&want), pictures_free(&got);
    relays_close(&r);
}

Test(relay_stages, a_ramp_of_nothing_and_one_below_0, .timeout = 120)
{
    relays                r;
    rf_stage              stage[2];
    const rf_explanation *told = NULL;
    relays_open(&r, NULL);
    two_stages(stage, &r);
    stage[0].cfg_ramp = -8;
    stage[1].cfg_ramp = 3;
    rf_job job = relays_job(stage, 2, 4);
    cr_assert_eq(rf_explain(&told, r.engine, &job, 0, NULL), RF_OK);
    const double want[] = {6, 0, 0, 3};
    for (int k = 0; k < 4; k++) cr_expect_eq(told->call[k].cfg_scale, want[k]);
    rf_explanation_free(told);
    stage[0].until = 0.25; /* a single call has the first value */
    cr_assert_eq(rf_explain(&told, r.engine, &job, 0, NULL), RF_OK);
    cr_expect_eq(told->call[0].cfg_scale, 6);
    rf_explanation_free(told);
    relays_close(&r);
}

/* ---- clip skip ---------------------------------------------------------------------------- */

Test(relay_stages, clip_skip_of_one_stage, .timeout = 120)
{
    relays       r;
    rf_stage     stage[3][2];
    rf_job       job[3];
    rf_error     err = {0};
    rf_plan     *plan = NULL;
    rf_plan_info info;
    pictures     p[3];
    relays_open(&r, NULL);
    for (int i = 0; i < 3; i++) {
        two_stages(stage[i], &r);
        job[i] = relays_job(stage[i], 2, 4);
        job[i].clip_l_skip = i > 0;
        job[i].clip_skip = 2; /* what SDXL has anyway */
        if (i != 1) stage[i][1].clip_skip = 1;
    }
    must(rf_plan_create_many(&plan, r.engine, job, 3, &err), &err);
    rf_plan_get_info(plan, &info);
    cr_expect_eq(info.calls_shared, 4 + 4 + 2, "%lld: without clip_l_skip it is not read",
                 (long long)info.calls_shared);
    rf_plan_destroy(plan);
    for (int i = 0; i < 3; i++) relays_render(&r, &job[i], &p[i]);
    pictures_expect_equal(&p[0], &p[1], "2 is SDXL's own", 0);
    cr_expect_not(pictures_equal(&p[1], 0, &p[2], 0));
    for (int i = 0; i < 3; i++) pictures_free(&p[i]);
    relays_close(&r);
}

/* ---- A B A B ------------------------------------------------------------------------------ */

enum { TURNS = 4 };

static void take_turns(rf_stage stage[TURNS], rf_expert *const expert[TURNS])
{
    for (int s = 0; s < TURNS; s++)
        stage[s] = (rf_stage){.expert = expert[s], .until = 0.25 * (s + 1), .cfg_scale = -1};
    stage[0].prompt = "a cat";
}

/* Stages that come again have the expert, the program and the conditionings of the first time; in
 * turns they cost a load each.  All of it is what four experts of two files make. */
Test(relay_stages, the_same_two_in_turns, .timeout = 120)
{
    static const rf_options options[] = {{.dtype = "f32", .threads = 1},
                                         {.dtype = "f32", .threads = 1, .memory = 1},
                                         {.dtype = "f32", .threads = 1}};
    static const int        loads[] = {2, 4, 4};
    relays                  r = {.path = {make_tiny(7), make_tiny(8)}};
    pictures                out[3];
    for (int i = 0; i < 3; i++) {
        rf_stage     stage[TURNS];
        rf_plan_info info;
        rf_error     err = {0};
        rf_expert   *again[2] = {NULL};
        relays_start(&r, &options[i]);
        for (int e = 0; e < 2 && i == 2; e++)
            must(rf_expert_open(&again[e], r.engine, r.path[e], &err), &err);
        rf_expert *const expert[TURNS] = {r.expert[0], r.expert[1],
                                          again[0] ? again[0] : r.expert[0],
                                          again[1] ? again[1] : r.expert[1]};
        take_turns(stage, expert);
        rf_job   job = relays_job(stage, TURNS, 8);
        rf_plan *plan = relays_plan(&r, &job);
        rf_plan_get_info(plan, &info);
        cr_expect_eq(info.loads, loads[i], "%d loads", info.loads);
        cr_expect_eq(plan->expert_count, i == 2 ? 4 : 2);
        cr_expect_eq(plan->programs, i == 2 ? 4 : 2);
        for (int e = 0; e < 2; e++) cr_expect_eq(plan->expert[e].conds, 2, "one for each polarity");
        const rf_callbacks callbacks = pictures_into(&out[i]);
        must(rf_plan_run(plan, &callbacks, &err), &err);
        rf_plan_destroy(plan);
        for (int e = 0; e < 2; e++) rf_expert_close(again[e]);
        relays_stop(&r);
    }
    pictures_expect_equal(&out[0], &out[1], "in turns", 1);
    pictures_expect_equal(&out[0], &out[2], "four experts", 1);
    for (int i = 0; i < 3; i++) pictures_free(&out[i]);
    for (int i = 0; i < 2; i++) remove_tiny(r.path[i]);
}

/* ---- metadata ----------------------------------------------------------------------------- */

static void replay(relays *r, const pictures *first, rf_saved_job *saved, const int *expert,
                   const char *what)
{
    rf_stage again[4];
    pictures second;
    rf_job   job = *rf_saved_job_get(saved);
    cr_assert_leq(job.stage_count, 4);
    cr_expect_null(rf_saved_job_note(saved, 0), "%s: %s", what, rf_saved_job_note(saved, 0));
    for (int s = 0; s < job.stage_count; s++) {
        again[s] = job.stages[s];
        again[s].expert = r->expert[expert[s]];
        cr_expect_str_eq(rf_saved_job_file(saved, s).name, rf_expert_name(again[s].expert));
    }
    job.stages = again;
    relays_render(r, &job, &second);
    pictures_expect_equal(first, &second, what, 0);
    cr_expect_str_eq(first->parameters[0], second.parameters[0]);
    pictures_free(&second);
    rf_saved_job_free(saved);
}

/* From its JSON, and from its infotext alone; a stage that makes no call is in neither way. */
Test(relay_stages, a_picture_says_what_stages_had_of_their_own, .timeout = 240)
{
    static const int expert[] = {0, 1, 0, 1}, active[] = {0, 1, 1};
    relays           r;
    rf_error         err = {0};
    relays_open(&r, NULL);
    for (int idle = 0; idle < 2; idle++) {
        pictures                first;
        rf_saved_job           *saved = NULL;
        const rf_stage_sampling own[] = {{.eta = 0.25, .s_noise = 1, .s_tmax = 5},
                                         {.eta = NAN, .s_noise = 0.875}};
        const rf_stage          stage[] = {{.until = 0.25,
                                            .prompt = "a cat",
                                            .negative = "bad; worse",
                                            .cfg_scale = 6,
                                            .cfg_ramp = 1.5f,
                                            .expert = r.expert[0],
                                            .sampling = &own[0]},
                                           {.until = 0.5,
                                            .prompt = "a \"cat\", [b:c:switch1]",
                                            .cfg_scale = 5,
                                            .clip_skip = 2,
                                            .expert = r.expert[1]},
                                           {.until = idle ? 0.5 : 0.75,
                                            .cfg_scale = -1,
                                            .sampler = idle ? NULL : "DPM++ 2M",
                                            .expert = r.expert[0]},
                                           {.until = 1,
                                            .negative = "",
                                            .cfg_scale = 0.5,
                                            .cfg_ramp = -0.25f,
                                            .sampling = &own[1],
                                            .expert = r.expert[1]}};
        rf_job                  job = relays_job(stage, 4, 8);
        job.sampler = "Euler a";
        job.clip_l_skip = 1;
        relays_render(&r, &job, &first);
        must(rf_saved_job_from_json(&saved, first.job[0], &err), &err);
        cr_expect_eq(rf_saved_job_get(saved)->stages[1].clip_skip, 2);
        cr_expect_null(rf_saved_job_get(saved)->stages[1].sampling);
        replay(&r, &first, saved, expert, "from JSON");
        must(rf_saved_job_from_infotext(&saved, first.parameters[0], &err), &err);
        cr_expect_eq(rf_saved_job_get(saved)->stage_count, 4 - idle);
        replay(&r, &first, saved, idle ? active : expert, "from the infotext");
        pictures_free(&first);
    }
    relays_close(&r);
}

/* What says nothing of its own has no such words in it. */
Test(relay_stages, two_plain_stages_say_it_as_ever, .timeout = 60)
{
    relays   r;
    rf_stage stage[2];
    pictures p;
    relays_open(&r, NULL);
    two_stages(stage, &r);
    const rf_job job = relays_job(stage, 2, 2);
    relays_render(&r, &job, &p);
    cr_expect_null(strstr(p.parameters[0], "Stage"), "%s", p.parameters[0]);
    cr_expect_null(strstr(p.job[0], "cfg_ramp"));
    cr_expect_null(strstr(p.job[0], "sampling"));
    pictures_free(&p);
    relays_close(&r);
}
