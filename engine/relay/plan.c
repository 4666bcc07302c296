/* From a job to a plan: validation, the course, stages and their experts; see refinery.h. */
#include "engine/relay/plan.h"
#include "engine/relay/job_copy.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

rf_job rf_job_default(void)
{
    return (rf_job){.switch_by = "steps",
                    .sampler = "Euler a",
                    .schedule = "automatic",
                    .rng = "nv",
                    .emphasis = "original",
                    .steps = 30,
                    .width = 1024,
                    .height = 1024,
                    .count = 1,
                    .batch = 1,
                    .eta = NAN,
                    .s_noise = 1,
                    .clip_skip = 1};
}

static rf_status check_experts(const rf_engine *engine, const rf_job *job, rf_error *err)
{
    for (int i = 0; i < job->stage_count; i++)
        if (!job->stages[i].expert || job->stages[i].expert->engine != engine)
            return rf_fail(err, RF_E_ARG, "stage %d has no expert of this engine", i + 1);
    return RF_OK;
}

/* ---- stages ------------------------------------------------------------------------------- */

static void use_expert(rf_plan *p, int stage)
{
    rf_expert *e = p->stage_expert[stage];
    for (int i = 0; i < p->expert_count; i++)
        if (p->expert[i].expert == e) return;
    p->expert[p->expert_count++] = (rf_plan_expert){.expert = e, .stage = stage};
}

/* DPM adaptive: the stages between that of the first noise level and that of the last. */
static int takes_part(const rf_plan *p, int stage)
{
    const rf_course      *c = &p->course;
    const rf_sigma_table *table = &p->engine->table;
    if (!c->adaptive) return c->stage[stage].calls > 0;
    const int first = rf_course_stage_at(c, table, 0, c->sigma_max, 0);
    return stage >= first && stage <= rf_course_stage_at(c, table, INT_MAX, c->sigma_min, first);
}

static void resolve_stages(rf_plan *p)
{
    const rf_course *c = &p->course;
    for (int i = 0; i < c->stages; i++) {
        const rf_expert *e = p->stage_expert[i];
        const int        step = c->adaptive ? 0 : c->stage[i].first_step;
        p->info[i] = (rf_stage_info){.expert = e->name,
                                     .first_step = step,
                                     .calls = c->stage[i].calls,
                                     .sigma = c->sigmas.sigma[step]};
        if (takes_part(p, i)) {
            p->active[p->active_count++] = i;
            use_expert(p, i);
            continue;
        }
        rf_warn(p->engine,
                "stage %d (%s) would denoise 0 of %d steps and is left out: its prompt, VAE and "
                "name take no part in the picture",
                i + 1, e->name, c->steps);
    }
}

/* ---- create and destroy ------------------------------------------------------------------- */

static rf_status open_vae(rf_plan *plan, const rf_job *job, rf_error *err)
{
    plan->vae = plan->stage_expert[plan->active[plan->active_count - 1]];
    if (job->vae) {
        plan->vae = NULL;
        plan->vae_is_separate = 1;
        const rf_status st = rf_expert_open_vae(&plan->vae, plan->engine, job->vae, err);
        if (st != RF_OK) return st;
    }
    if (!plan->vae->arch.has_vae)
        return rf_fail(err, RF_E_MODEL, "%s has no VAE; name a file that has one with --vae",
                       plan->vae->path);
    return RF_OK;
}

/* The kernel promises memory it does not have and kills who uses it: say so before. */
static void warn_of_memory(const rf_plan *p)
{
    const size_t have = rf_device_memory_bytes(&p->engine->device);
    if (have && p->peak_bytes > have)
        rf_warn(
            p->engine,
            "this needs %.1f GB of memory at once and the machine has %.1f GB: a smaller size or "
            "batch needs less",
            1e-9 * (double)p->peak_bytes, 1e-9 * (double)have);
}

static rf_status allocate_lists(rf_plan *p, const rf_job *job, rf_error *err)
{
    const size_t stages = (size_t)job->stage_count;
    p->info = calloc(stages, sizeof *p->info);
    p->active = calloc(stages, sizeof *p->active);
    p->stage_expert = calloc(stages, sizeof(rf_expert *));
    p->expert = calloc(stages, sizeof *p->expert);
    if (!p->info || !p->active || !p->stage_expert || !p->expert)
        return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (size_t i = 0; i < stages; i++) p->stage_expert[i] = job->stages[i].expert;
    return RF_OK;
}

static void set_batches(rf_plan *p, const rf_job *job)
{
    const int together = p->course.adaptive ? 1 : job->batch; /* each picture has its own steps */
    p->batch = together < job->count ? together : job->count;
    p->last_batch = job->count % p->batch ? job->count % p->batch : p->batch;
}

static void tell_engine(void *user, const char *message)
{
    rf_warn(user, "%s", message);
}

rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_plan          *p = NULL;
    const rf_listener listener = {.warn = tell_engine, .user = engine};
    *out = NULL;

    RF_TRY(rf_job_check(job, err));
    RF_TRY(check_experts(engine, job, err));
    p = calloc(1, sizeof *p);
    if (!p) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    p->engine = engine;
    RF_TRY(rf_job_copy(&p->job, &p->job_block, job, err));
    p->h = job->height / 8;
    p->w = job->width / 8;
    RF_TRY(rf_noise_source_find(&p->noise, job->rng, err));
    RF_TRY(allocate_lists(p, job, err));
    RF_TRY(rf_course_create(&p->course, &engine->table, job, 0, listener, err));
    set_batches(p, job);
    p->gaps = calloc(2 * (size_t)p->course.calls + 1, sizeof *p->gaps);
    if (!p->gaps) {
        st = rf_fail(err, RF_E_NOMEM, "plan: out of memory");
        goto done;
    }
    resolve_stages(p);
    RF_TRY(open_vae(p, job, err));
    RF_TRY(rf_plan_condition(p, err));
    RF_TRY(rf_plan_size(p, err));
    warn_of_memory(p);
    *out = p;
    p = NULL;
done:
    rf_plan_destroy(p);
    return st;
}

void rf_plan_destroy(rf_plan *p)
{
    if (!p) return;
    rf_plan_forget_prompts(p);
    rf_program_free(&p->decode);
    rf_program_free(&p->scratch_program);
    rf_plan_release(p);
    if (p->vae_is_separate) rf_expert_close(p->vae);
    rf_course_free(&p->course);
    free(p->info);
    free(p->active);
    free(p->stage_expert);
    free(p->expert);
    free(p->gaps);
    free(p->job_block);
    free(p);
}

void rf_plan_get_info(const rf_plan *p, rf_plan_info *out)
{
    *out = (rf_plan_info){.stage_count = p->course.stages,
                          .batch = p->batch,
                          .slab_bytes = p->slab_bytes,
                          .kv_bytes = p->kv_bytes,
                          .state_bytes = p->state_bytes,
                          .staging_bytes = p->staging_bytes,
                          .text_bytes = p->text_bytes,
                          .vae_bytes = p->vae_bytes,
                          .peak_bytes = p->peak_bytes,
                          .vae = p->vae->name,
                          .sampler = p->course.stage[0].sampler->id.name,
                          .schedule =
                              p->job.sigmas ? "explicit" : rf_schedule_name(p->course.schedule),
                          .steps = p->course.steps,
                          .calls = p->course.calls,
                          .sigmas = p->course.sigmas.sigma};
}

rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out)
{
    if (stage < 0 || stage >= plan->course.stages) return RF_E_ARG;
    *out = plan->info[stage];
    return RF_OK;
}

void rf_plan_get_timings(const rf_plan *plan, rf_timings *out)
{
    *out = plan->timings;
}
