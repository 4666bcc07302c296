/* Passes, one plan after the other.
 *
 * Every plan is made once before the first weight is read, from a picture of one colour, so that
 * whatever is wrong is said then.  Then a few pictures at a time go through all passes: enough of
 * them to fill batches, and few enough that those on the way fit into memory. */
#include <stdlib.h>
#include <string.h>

#include "tools/rendering.h"

enum { PICTURES = 32 }; /* at a time, at least a batch */

/* ---- planning ----------------------------------------------------------------------------- */

/* One plan of all pictures, as `blank` stands for those that are not there yet. */
static rf_status plan_pass(rf_rendering *r, rf_pass_spec *pass, const uint8_t *blank)
{
    rf_status    st = RF_OK;
    rf_plan_info info;
    rf_job       job = pass->job;
    rf_init      init = pass->init;
    if (rf_pass_continues(pass)) {
        init.rgb = blank;
        job.init = &init;
    }
    RF_TRY(rf_plan_create(&r->plan, r->experts.engine, &job, &r->in->trouble.error));
    RF_TRY(rf_rendering_tell_plan(r, &job));
    rf_plan_get_info(r->plan, &info);
    pass->steps = info.steps;
done:
    rf_plan_destroy(r->plan);
    r->plan = NULL;
    return st;
}

static rf_status plan_all(rf_rendering *r)
{
    rf_status st = RF_OK;
    size_t    most = 0;
    uint8_t  *blank = NULL;
    rf_error *err = &r->in->trouble.error;
    for (int k = 0; k < r->passes.count; k++) {
        const rf_job *job = &r->passes.pass[k].job;
        const size_t  bytes = (size_t)job->width * (size_t)job->height * 3;
        most = bytes > most ? bytes : most;
    }
    blank = malloc(most);
    if (!blank) return rf_fail(err, RF_E_NOMEM, "no memory for a picture");
    memset(blank, 128, most);
    for (r->pass = 0; r->pass < r->passes.count; r->pass++)
        RF_TRY(plan_pass(r, &r->passes.pass[r->pass], blank));
done:
    r->pass = 0;
    free(blank);
    return st;
}

/* ---- running ------------------------------------------------------------------------------ */

static int64_t batches(const rf_rendering *r, int pictures)
{
    return (pictures + r->job.batch - 1) / r->job.batch;
}

int64_t rf_rendering_later_steps(const rf_rendering *r)
{
    const int left = r->job.count - r->first, here = left < r->room ? left : r->room;
    int64_t   later = 0, others = 0;
    for (int k = 0; k < r->passes.count; k++) {
        if (k > r->pass) later += r->passes.pass[k].steps * batches(r, here);
        if (k != r->pass) others += r->passes.pass[k].steps; /* its own are counted already */
    }
    return later + others * batches(r, left - here);
}

/* Pass r->pass of `pictures` pictures from r->first on. */
static rf_status run_pass(rf_rendering *r, int pictures)
{
    rf_status           st = RF_OK;
    rf_error           *err = &r->in->trouble.error;
    const rf_pass_spec *pass = &r->passes.pass[r->pass];
    rf_engine          *engine = r->experts.engine;
    rf_pass_jobs        jobs;
    RF_TRY(rf_pass_jobs_make(&jobs, pass, r->first, pictures, r->before, err));
    if (jobs.count == 1)
        RF_TRY(rf_plan_create(&r->plan, engine, &jobs.job[0], err));
    else
        RF_TRY(rf_plan_create_many(&r->plan, engine, jobs.job, jobs.count, err));
    r->report.job = &jobs.job[0];
    r->report.plan = r->plan;
    r->report.pass = r->pass;
    RF_TRY(rf_rendering_run_plan(r));
done:
    rf_plan_destroy(r->plan);
    r->plan = NULL;
    rf_pass_jobs_release(&jobs);
    return st;
}

static rf_status make_room(rf_rendering *r)
{
    const int batch = r->job.batch, count = r->job.count;
    int       room = PICTURES / batch * batch; /* whole batches */
    if (room < batch) room = batch;
    if (room > count) room = count;
    r->made = calloc((size_t)room, sizeof *r->made);
    r->before = calloc((size_t)room, sizeof *r->before);
    r->room = room;
    if (r->made && r->before) return RF_OK;
    return rf_fail(&r->in->trouble.error, RF_E_NOMEM, "no memory for %d pictures", room);
}

rf_status rf_rendering_run_passes(rf_rendering *r)
{
    rf_status st = RF_OK;
    for (int k = 0; k < r->passes.count; k++) {
        r->passes.pass[k].job.preview_every = r->job.preview_every;
        r->passes.pass[k].job.preview_vae = r->job.preview_vae;
    }
    RF_TRY(plan_all(r));
    if (r->request->dry_run) goto done;
    RF_TRY(make_room(r));
    for (r->first = 0; r->first < r->job.count; r->first += r->room) {
        const int left = r->job.count - r->first, pictures = left < r->room ? left : r->room;
        for (r->pass = 0; r->pass < r->passes.count; r->pass++) {
            RF_TRY(run_pass(r, pictures));
            rf_pass_picture *made = r->made;
            r->made = r->before, r->before = made;
        }
    }
done:
    return st;
}
