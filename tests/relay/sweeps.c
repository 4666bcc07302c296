/* See sweeps.h. */
#include "tests/relay/sweeps.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rf_status keep(void *user, const rf_image *image, rf_error *err)
{
    sweep    *s = user;
    pictures *cell = &s->cell[image->job_index];
    pictures  now;
    cr_assert(image->job_index >= 0 && image->job_index < s->plan->jobs);
    const rf_callbacks one = pictures_into(&now);
    now = *cell;
    now.count = image->index; /* many jobs: as they finish */
    const rf_status st = one.image(&now, image, err);
    if (now.count < cell->count) now.count = cell->count;
    *cell = now;
    return st;
}

static void fail(void *user, int job_index, int index, rf_status status, const char *message)
{
    sweep *s = user;
    cr_expect_eq(status, RF_E_NAN);
    cr_expect(index >= 0 && index < s->plan->job[job_index].job.count);
    s->failed[job_index]++;
    s->failures++;
    snprintf(s->message, sizeof s->message, "%s", message);
}

static int poison(void *user, const rf_progress *progress)
{
    sweep *s = user;
    if (progress->phase != RF_PHASE_DENOISE || progress->done != s->poison) return 0;
    const rf_launches    *l = &s->plan->tree[0].launches;
    const rf_launch_item *item = &l->item[l->launch[progress->done].first];
    rf_slot_row(s->plan, item->slot, RF_SOURCE_X)[17] = NAN;
    return 0;
}

rf_callbacks sweep_callbacks(sweep *s)
{
    return (rf_callbacks){.progress = poison, .image = keep, .failed = fail, .user = s};
}

rf_status sweep_run(relays *r, const rf_job *jobs, int count, int at, int listens, sweep *s,
                    rf_error *err)
{
    memset(s, 0, sizeof *s);
    s->poison = at;
    cr_assert_leq(count, SWEEP_JOBS);
    must(rf_plan_create_many(&s->plan, r->engine, jobs, count, err), err);
    rf_callbacks callbacks = sweep_callbacks(s);
    if (!listens) callbacks.failed = NULL;
    const rf_status st = rf_plan_run(s->plan, &callbacks, err);
    rf_plan_destroy(s->plan);
    s->plan = NULL;
    return st;
}

void sweep_free(sweep *s, int count)
{
    for (int i = 0; i < count; i++) pictures_free(&s->cell[i]);
}

void sweep_expect_alone(relays *r, const rf_job *jobs, int count, const sweep *s, const char *what)
{
    for (int i = 0; i < count; i++) {
        pictures alone;
        rf_job   job = jobs[i];
        job.batch = 1;
        relays_render(r, &job, &alone);
        cr_assert_eq(s->cell[i].count, job.count, "%s: job %d", what, i);
        for (int k = 0; k < job.count; k++) {
            cr_expect(pictures_equal(&alone, k, &s->cell[i], k),
                      "%s: picture %d of job %d (%s) is not what it is alone", what, k, i,
                      job.sampler);
            cr_expect_str_eq(alone.parameters[k], s->cell[i].parameters[k]);
            cr_expect_str_eq(alone.job[k], s->cell[i].job[k]);
        }
        pictures_free(&alone);
    }
}
