/* A picture's own metadata renders it again, to the byte. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/relay/relays.h"

/* The jobs: everything that a field can change, a few fields at a time. */
static int nth_job(int n, relays *r, rf_job *job, rf_stage stage[2])
{
    stage[0] = (rf_stage){.expert = r->expert[0],
                          .until = 0.5,
                          .prompt = "[a (cat:1.2):dog:switch], \"x\"\n\xC3\xA9",
                          .negative = "bad",
                          .cfg_scale = 3.3f};
    stage[1] = (rf_stage){.expert = r->expert[1], .until = 1, .cfg_scale = -1};
    *job = relays_job(stage, 2, 4);
    job->count = 2;
    job->seed = 0xFFFFFFFFFFFFFFF0u;
    switch (n) {
    case 0: return 1;
    case 1:
        job->sampler = "DPM++ SDE";
        job->schedule = "exponential";
        job->rng = "cpu";
        job->eta = 0.7;
        job->s_noise = 1.003;
        stage[1].cfg_scale = 5;
        return 1;
    case 2:
        job->compat = "a1111";
        job->switch_by = "noise";
        job->emphasis = "No norm";
        stage[0].until = 0.3;
        stage[0].prompt = "a (b:1.3) AND [c|d] :0.7";
        return 1;
    case 3:
        job->variation = 0.2;
        job->variation_seed = 99;
        job->seed_width = 128;
        job->seed_height = 64;
        job->sigmas = "14, 7, 3.5, 1.25, 0.5";
        job->switch_by = "sigma";
        stage[0].until = 3;
        stage[1].prompt = "its own";
        stage[1].sampler = "DPM++ 2M";
        return 1;
    case 4:
        job->vae = r->path[0];
        job->clip_skip = 1;
        job->clip_l_skip = 1;
        job->crop_top = 12;
        job->original_width = 640;
        job->original_height = 480;
        job->skip_early_cfg = 0.3;
        job->ensd = 31337;
        job->sampler = "Euler a";
        return 1;
    default: return 0;
    }
}

Test(relay_replay, from_the_job_in_the_picture, .timeout = 240)
{
    relays   r;
    rf_job   job;
    rf_stage stage[2], again[2];
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int n = 0; nth_job(n, &r, &job, stage); n++) {
        pictures first, second;
        relays_render(&r, &job, &first);
        for (int i = 0; i < 2; i++) {
            rf_saved_job *saved = NULL;
            must(rf_saved_job_from_json(&saved, first.job[i], &err), &err);
            rf_job replay = *rf_saved_job_get(saved);
            cr_assert_eq(replay.stage_count, 2);
            for (int s = 0; s < 2; s++) {
                again[s] = replay.stages[s];
                again[s].expert = r.expert[s];
                cr_expect_str_eq(rf_saved_job_file(saved, s).path, r.path[s]);
                cr_expect_eq(strlen(rf_saved_job_file(saved, s).sha256), 64u);
            }
            replay.stages = again;
            if (job.vae) replay.vae = rf_saved_job_file(saved, -1).path;
            cr_expect_str_eq(rf_saved_job_dtype(saved), "f32");
            cr_expect_null(rf_saved_job_note(saved, 0));
            relays_render(&r, &replay, &second);
            cr_expect(pictures_equal(&first, i, &second, 0), "job %d, picture %d", n, i);
            cr_expect_str_eq(first.parameters[i], second.parameters[0]);
            cr_expect_str_eq(first.job[i], second.job[0]);
            pictures_free(&second);
            rf_saved_job_free(saved);
        }
        pictures_free(&first);
    }
    relays_close(&r);
}

/* What a plan explained is what it does. */
Test(relay_replay, explained_calls_are_the_plans, .timeout = 120)
{
    relays   r;
    rf_job   job;
    rf_stage stage[2];
    rf_error err = {0};
    relays_open(&r, NULL);
    for (int n = 0; nth_job(n, &r, &job, stage); n++) {
        const rf_explanation *x = NULL;
        rf_plan              *plan = relays_plan(&r, &job);
        must(rf_explain(&x, r.engine, &job, 0, &err), &err);
        cr_assert_eq(x->calls, plan->job[0].course.calls);
        for (int k = 0; k < x->calls; k++) {
            const rf_relay_update *call = &plan->update[plan->call[plan->job[0].call[k]].update];
            cr_expect_eq(x->call[k].stage, rf_plan_stage_at(&plan->job[0], k));
            cr_expect_eq(x->call[k].timestep, call->timestep);
            cr_expect_eq(x->call[k].sigma, call->sampler.sigma);
        }
        rf_explanation_free(x);
        rf_plan_destroy(plan);
    }
    relays_close(&r);
}
