/* DPM adaptive: the picture decides which noise levels are visited, so stage, prompt entries and
 * time embedding of a call are found when it comes. */
#include <math.h>
#include <string.h>

#include "engine/relay/plan.h"
#include "engine/sample/adaptive.h"

typedef struct adaptive_run {
    rf_plan            *plan;
    const rf_batch     *batch;
    const rf_callbacks *callbacks;
    int                 stage;
    double              sigma_max, sigma_min;
    int                 reached; /* thousandths */
} adaptive_run;

/* How far the noise has come down, in thousandths on a logarithmic scale: the only measure of
 * progress there is.  A rejected step goes back, the report does not. */
static rf_status report(adaptive_run *r, double sigma, rf_error *err)
{
    const rf_plan *p = r->plan;
    const int part = (int)(1000 * log(r->sigma_max / sigma) / log(r->sigma_max / r->sigma_min));
    if (part > r->reached) r->reached = part;
    const rf_progress progress = {.phase = RF_PHASE_DENOISE,
                                  .stage = r->stage,
                                  .expert = p->stage_expert[r->stage]->name,
                                  .done = (int64_t)r->batch->first * 1000 + r->reached,
                                  .total = (int64_t)p->job.count * 1000,
                                  .image = r->batch->first,
                                  .images = 1,
                                  .step = r->reached,
                                  .steps = 1000};
    return rf_report(r->callbacks, &progress, err);
}

static const rf_plan_expert *expert_at(const rf_plan *p, int stage, int *index)
{
    *index = 0;
    while (p->expert[*index].expert != p->stage_expert[stage]) ++*index;
    return &p->expert[*index];
}

/* The embedding table holds one row per conditioning, all for this noise level. */
static rf_status embed(rf_plan *p, const rf_plan_expert *x, float timestep, rf_error *err)
{
    for (int i = 0; i < x->table_rows; i++) x->timestep[i] = timestep;
    return rf_program_run(&x->embed, &p->engine->device, err);
}

static rf_relay_call describe(adaptive_run *r, double sigma, int k)
{
    const rf_plan       *p = r->plan;
    const rf_course_set *set = &p->course.set[p->course.stage[r->stage].set];
    const rf_prompt     *prompt = set->prompt[RF_POSITIVE];
    const int            exact = p->course.exact_a1111;
    const float          timestep = rf_timestep_for_sigma(&p->engine->table, sigma);
    rf_relay_call        call = {.sampler = {.sigma = sigma, .timestep = NAN},
                                 .timestep = (double)timestep,
                                 .stage = r->stage,
                                 .row = p->row};
    for (int i = 0; i < prompt->parts; i++)
        p->course.entries[i] = rf_prompt_entry_at(&prompt->part[i], k, exact);
    call.rows =
        rf_plan_rows(p, r->stage, p->course.entries,
                     rf_prompt_entry_at(&set->prompt[RF_NEGATIVE]->part[0], k, exact),
                     rf_course_skips_negative(&p->job, p->course.nominal, k, sigma), p->row);
    const rf_plan_expert *x = expert_at(p, r->stage, &call.expert);
    while (x->program[call.program].rows != call.rows) call.program++;
    return call;
}

static rf_status denoise_at(void *user, const float *x, double sigma, int k, float *d,
                            rf_error *err)
{
    adaptive_run *r = user;
    rf_plan      *p = r->plan;
    const size_t  bytes = (size_t)p->h * (size_t)p->w * 4 * sizeof *x;
    rf_status     st = RF_OK;
    r->stage = rf_course_stage_at(&p->course, &p->engine->table, k, sigma, r->stage);
    RF_TRY(report(r, sigma, err));
    const rf_relay_call call = describe(r, sigma, k);
    RF_TRY(embed(p, &p->expert[call.expert], (float)call.timestep, err));
    if (x != p->slot[RF_SOURCE_X]) memcpy(p->slot[RF_SOURCE_X], x, bytes);
    RF_TRY(rf_denoise_predict(p, r->batch, &call, err));
    RF_TRY(rf_denoise_check(p, r->batch, &call, err));
    memcpy(d, p->slot[RF_SOURCE_D], bytes);
done:
    return st;
}

static void draw(void *user, uint32_t index, float *out)
{
    const adaptive_run  *r = user;
    rf_plan             *p = r->plan;
    const rf_noise_spec  spec = rf_picture_noise(p, r->batch->first);
    const rf_noise_shape shape = {.channels = 4, .h = p->h, .w = p->w};
    rf_noise_tensor(&spec, index, shape, p->memo, p->scratch, out);
}

rf_status rf_denoise_adaptive(rf_plan *p, const rf_batch *b, const rf_callbacks *callbacks,
                              rf_error *err)
{
    adaptive_run            r = {.plan = p,
                                 .batch = b,
                                 .callbacks = callbacks,
                                 .sigma_max = p->course.sigma_max,
                                 .sigma_min = p->course.sigma_min};
    const rf_adaptive_model model = {.denoise = denoise_at, .noise = draw, .user = &r};
    const rf_sampler       *sampler = p->course.stage[0].sampler;
    const double            eta = isnan(p->job.eta) ? sampler->eta : p->job.eta;
    const size_t            elems = (size_t)p->h * (size_t)p->w * 4;
    float                  *x = p->decode_latent; /* free until the picture is decoded */
    memcpy(x, p->slot[RF_SOURCE_X], elems * sizeof *x);
    const rf_status st = rf_adaptive_run(&model, r.sigma_max, r.sigma_min, eta, p->job.s_noise,
                                         elems, p->adaptive, x, err);
    if (st == RF_OK) memcpy(p->slot[RF_SOURCE_X], x, elems * sizeof *x);
    return st;
}
