/* DPM adaptive: the picture decides which noise levels are visited, so stage, prompt entries and
 * time embedding of a call are found when it comes. */
#include <math.h>

#include "engine/relay/plan.h"
#include "engine/relay/ranges.h"
#include "engine/sample/adaptive.h"

typedef struct adaptive_run {
    rf_plan            *plan;
    rf_plan_job        *job;
    rf_picture          picture;
    int                 slot, stage;
    const rf_progress  *progress;
    const rf_callbacks *callbacks;
    double              sigma_max, sigma_min;
    int                 reached; /* thousandths */
    int                 calls;
} adaptive_run;

/* How far the noise has come down, in thousandths on a logarithmic scale: the only measure of
 * progress there is.  A rejected step goes back, the report does not. */
static rf_status report(adaptive_run *r, double sigma, rf_error *err)
{
    const int part = (int)(1000 * log(r->sigma_max / sigma) / log(r->sigma_max / r->sigma_min));
    if (part > r->reached) r->reached = part;
    rf_progress progress = *r->progress;
    progress.stage = r->stage;
    progress.expert = r->job->job.stages[r->stage].expert->name;
    progress.done = r->progress->done * 1000 + r->reached;
    progress.total = r->progress->total * 1000;
    progress.images = 1;
    progress.step = r->reached;
    progress.steps = 1000;
    return rf_report(r->callbacks, &progress, err);
}

/* The embedding table holds one row per conditioning, all for this noise level. */
static rf_status embed(rf_plan *p, rf_plan_table *table, float timestep, rf_error *err)
{
    rf_device *device = &p->engine->device;
    rf_status  st = RF_OK;
    for (int i = 0; i < table->rows; i++) ((float *)table->timestep.host)[i] = timestep;
    p->last_end = 0; /* that is no gap between two calls */
    RF_TRY(rf_twin_up(device, &table->timestep, 0, (size_t)table->rows * sizeof timestep, err));
    RF_TRY(rf_program_run(&table->embed, device, err));
done:
    return st;
}

/* Between the solver, whose arrays are the host's, and rows of the pool.  What is brought is there
 * on return: the next step depends on it, so that there is nothing to do meanwhile. */
static rf_status bring(const adaptive_run *r, float *to, const float *row, rf_error *err)
{
    rf_device   *device = &r->plan->engine->device;
    const size_t bytes = (size_t)r->job->h * (size_t)r->job->w * 4 * sizeof *to;
    rf_status    st = RF_OK;
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, to, row, bytes, err));
    RF_TRY(rf_device_wait(device, err));
done:
    return st;
}

static rf_status put(const adaptive_run *r, float *row, const float *from, rf_error *err)
{
    const size_t bytes = (size_t)r->job->h * (size_t)r->job->w * 4 * sizeof *from;
    return rf_device_copy(&r->plan->engine->device, RF_STREAM_OPS, RF_COPY_UP, row, from, bytes,
                          err);
}

static int is_finite(const adaptive_run *r, const float *x)
{
    int finite = 1;
    for (int e = 0; e < r->job->h * r->job->w * 4; e++) finite &= isfinite(x[e]) != 0;
    return finite;
}

/* The call, with its rows behind those of all planned ones; its update is in no list. */
static rf_relay_call describe(adaptive_run *r, double sigma, int k)
{
    rf_plan             *p = r->plan;
    const rf_course     *c = &r->job->course;
    const rf_course_set *set = &c->set[c->stage[r->stage].set];
    const rf_prompt     *prompt = set->prompt[RF_POSITIVE];
    const int            expert = rf_plan_expert_of(p, r->job, r->stage);
    rf_relay_row        *row = p->row + p->rows_listed;
    rf_relay_call        call = {.update = -1, .row_at = p->rows_listed};
    for (int i = 0; i < prompt->parts; i++)
        c->entries[i] = rf_prompt_entry_at(&prompt->part[i], k, c->exact_a1111);
    call.rows =
        rf_plan_rows(r->job, r->stage, (double)c->stage[r->stage].cfg, c->entries,
                     rf_prompt_entry_at(&set->prompt[RF_NEGATIVE]->part[0], k, c->exact_a1111),
                     rf_course_skips_negative(&r->job->job, c->total, k, sigma), row);
    for (int i = 0; i < call.rows; i++)
        row[i].table_row = rf_plan_adaptive_row(
            &p->expert[expert].table[RF_TABLE_ADAPTIVE], row[i].cond,
            rf_plan_sizing_of(p, r->job, expert, rf_row_polarity(i, prompt->parts)));
    call.program =
        rf_plan_find_program(p, expert, RF_TABLE_ADAPTIVE, call.rows, r->job->h, r->job->w);
    return call;
}

static rf_status denoise_at(void *user, const float *x, double sigma, int k, float *d,
                            rf_error *err)
{
    adaptive_run *r = user;
    rf_plan      *p = r->plan;
    float        *at = rf_slot_row(p, r->slot, RF_SOURCE_X);
    rf_status     st = RF_OK;
    r->stage = rf_course_stage_at(&r->job->course, k, sigma, r->stage);
    RF_TRY(report(r, sigma, err));
    const rf_relay_call    call = describe(r, sigma, k);
    const rf_plan_program *program = &p->program[call.program];
    RF_TRY(rf_plan_summon(p, program->expert, r->callbacks, err));
    rf_range_call(p, p->expert[program->expert].expert->name, sigma);
    const rf_call   sampler = {.sigma = sigma};
    const rf_sample sample = {.call = &call,
                              .sampler = &sampler,
                              .slot = r->slot,
                              .made = ++r->calls,
                              .picture = r->picture};
    const rf_pass   pass = {.program = program, .sample = &sample, .count = 1};
    RF_TRY(embed(p, &p->expert[program->expert].table[RF_TABLE_ADAPTIVE],
                 rf_timestep_for_sigma(r->job->course.stage[r->stage].table, sigma), err));
    if (!is_finite(r, x)) {
        const rf_ring_mark bad = {.slot = r->slot, .picture = r->picture};
        rf_ring_fail(p, &bad, program->expert);
        st = rf_fail(err, RF_E_NAN, "a step gave NaN");
        goto done;
    }
    RF_TRY(put(r, at, x, err));
    RF_TRY(rf_denoise_predict(p, &pass, err));
    RF_TRY(rf_preview_show(p, &pass, r->callbacks, err));
    RF_TRY(bring(r, d, p->pool + (size_t)p->sample_row[RF_SOURCE_D] * p->elems, err));
done:
    rf_trace_end(p->engine->device.trace, RF_TRACE_STEP);
    return st;
}

static void draw(void *user, uint32_t index, float *out)
{
    const adaptive_run  *r = user;
    rf_plan             *p = r->plan;
    const rf_noise_spec  spec = rf_picture_noise(p, r->picture);
    const rf_noise_shape shape = {.channels = 4, .h = r->job->h, .w = r->job->w};
    rf_noise_tensor(&spec, index, shape, &p->slot[r->slot].memo, p->scratch, out);
}

static rf_status start(rf_plan *p, const adaptive_run *r, rf_error *err)
{
    const rf_call         none = {.step = 0};
    const rf_plan_program shape = {.h = r->job->h, .w = r->job->w};
    const rf_sample       sample = {.sampler = &none, .slot = r->slot, .picture = r->picture};
    return rf_denoise_begin(p, &(rf_pass){.program = &shape, .sample = &sample, .count = 1}, err);
}

rf_status rf_denoise_adaptive(rf_plan *p, rf_picture picture, int slot, const rf_progress *progress,
                              const rf_callbacks *callbacks, rf_error *err)
{
    rf_plan_job               *j = &p->job[picture.job];
    adaptive_run               r = {.plan = p,
                                    .job = j,
                                    .picture = picture,
                                    .slot = slot,
                                    .stage = j->course.first,
                                    .progress = progress,
                                    .callbacks = callbacks,
                                    .sigma_max = j->course.sigma_max,
                                    .sigma_min = j->course.sigma_min};
    const rf_adaptive_model    model = {.denoise = denoise_at, .noise = draw, .user = &r};
    const rf_sampler          *sampler = j->course.stage[0].sampler;
    const rf_sampler_settings *set = &j->course.stage[0].settings;
    const double               eta = isnan(set->eta) ? sampler->eta : set->eta;
    const size_t               elems = (size_t)j->h * (size_t)j->w * 4;
    float                     *x = p->decode_latent.host; /* free until the picture is decoded */
    rf_status                  st = RF_OK;
    RF_TRY(start(p, &r, err));
    RF_TRY(bring(&r, x, rf_slot_row(p, slot, RF_SOURCE_X), err));
    st = rf_adaptive_run(&model, r.sigma_max, r.sigma_min, eta, set->s_noise, elems,
                         p->adaptive_scratch, x, err);
    if (st == RF_OK) RF_TRY(put(&r, rf_slot_row(p, slot, RF_SOURCE_X), x, err));
    if (st != RF_E_NAN) goto done;
    if (p->slot[slot].failed < 0) { /* it found no step */
        if (!callbacks || !callbacks->failed) goto done;
        const rf_ring_mark bad = {.slot = slot, .picture = picture};
        rf_ring_fail(p, &bad, rf_plan_expert_of(p, j, r.stage));
    }
    st = RF_OK; /* its picture's fault: the executor decides */
done:
    return st;
}
