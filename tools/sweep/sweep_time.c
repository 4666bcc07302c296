/* How long a sweep will take: a call is a call, so one that was timed tells.
 *
 * The first of a plan's calls warms up caches and libraries; the second counts.  Nothing else is
 * guessed: sizes are weighed by their pixels, batches are taken to save nothing. */
#include <stdlib.h>

#include "tools/signals.h"
#include "tools/sweep/sweep.h"

typedef struct trial {
    double at; /* when the last report came */
    double call_s, decode_s;
    int    decoding; /* the last report said so */
} trial;

static int on_progress(void *user, const rf_progress *progress)
{
    trial       *t = user;
    const double now = rf_meter_clock();
    if (progress->phase == RF_PHASE_DENOISE) t->at = now;
    if (progress->phase == RF_PHASE_DECODE && !t->decoding) {
        t->call_s = now - t->at; /* the second call's */
        t->at = now;
        t->decoding = 1;
    }
    return rf_signals_caught();
}

static rf_status on_image(void *user, const rf_image *image, rf_error *err)
{
    trial *t = user;
    (void)image, (void)err;
    t->decode_s = rf_meter_clock() - t->at;
    return RF_OK;
}

/* A picture that went wrong has taken its time all the same. */
static void on_failed(void *user, int job_index, int index, rf_status status, const char *message)
{
    (void)job_index, (void)index, (void)status, (void)message;
    (void)on_image(user, NULL, NULL);
}

static rf_status measure(rf_sweep *s, rf_sweep_estimate *out)
{
    rf_status  st = RF_OK;
    trial      t = {.at = 0};
    rf_timings spent = {0};
    rf_plan   *plan = NULL;
    rf_error  *err = &s->in->trouble.error;
    rf_stage   stage = s->job[0].stages[0];
    rf_job     job = s->job[0];
    stage.until = 1;
    stage.sampler = NULL;
    job.stages = &stage;
    job.stage_count = 1;
    job.steps = 2;
    job.batch = 1;
    job.sampler = "Euler"; /* a call a step */
    job.schedule = "automatic";
    job.sigmas = NULL;
    job.init = NULL;
    const rf_callbacks callbacks = {
        .progress = on_progress, .image = on_image, .failed = on_failed, .user = &t};
    RF_TRY(rf_plan_create(&plan, s->experts.engine, &job, err));
    RF_TRY(rf_plan_run(plan, &callbacks, err));
    rf_plan_get_timings(plan, &spent);
    out->call_s = t.call_s;
    out->decode_s = t.decode_s;
    out->load_s = spent.load;
    out->measured = 1;
done:
    rf_plan_destroy(plan);
    return st;
}

/* The pixels of a call that s->cost counts, in those of the first cell: the mean; or the largest,
 * if rf_plan_divide has weighed them. */
static rf_status size_of_call(const rf_sweep *s, double *out)
{
    double calls = 0, pixels = 0, largest = 0;
    for (int i = 0; i < s->cells.count; i++) {
        const double    size = (double)s->job[i].width * s->job[i].height;
        rf_job_info     info;
        const rf_status st = rf_plan_get_job(s->whole, i, &info);
        if (st != RF_OK) return st;
        calls += (double)info.calls_alone;
        pixels += (double)info.calls_alone * size;
        if (size > largest) largest = size;
    }
    if (s->groups == 1 && calls > 0) largest = pixels / calls;
    *out = largest / ((double)s->job[0].width * s->job[0].height);
    return RF_OK;
}

rf_status rf_sweep_estimate_time(rf_sweep *s, rf_sweep_estimate *out)
{
    rf_status st = RF_OK;
    double    size = 1, calls = 0;
    int       cells = 0;
    *out = (rf_sweep_estimate){.call_s = s->o->seconds_per_call};
    if (out->call_s <= 0 && rf_engine_is_assumed(s->experts.engine)) {
        out->total_s = -1; /* nobody can tell for a GPU that is not here */
        goto done;
    }
    if (out->call_s <= 0) RF_TRY(measure(s, out));
    st = size_of_call(s, &size);
    if (st != RF_OK) {
        st = rf_fail(&s->in->trouble.error, RF_E_BUG, "the plan does not know its jobs");
        goto done;
    }
    for (int i = 0; i < s->cells.count; i++) cells += rf_sweep_owns(s, i);
    for (int g = 0; g < s->groups; g++)
        if (s->shard.count < 2 || s->owner[g] == s->shard.index) calls += (double)s->cost[g];
    out->total_s = (calls * out->call_s + cells * out->decode_s) / s->ranks.size * size +
                   s->info.loads * out->load_s;
done:
    return st;
}
