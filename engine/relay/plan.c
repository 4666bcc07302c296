/* From a job to a plan: validation, stages, prompts, steps; see refinery.h. */
#include "engine/relay/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

rf_job rf_job_default(void)
{
    return (rf_job){.sampler = "Euler a",
                    .schedule = "automatic",
                    .rng = "nv",
                    .steps = 30,
                    .width = 1024,
                    .height = 1024,
                    .count = 1,
                    .batch = 1};
}

/* ---- checks ------------------------------------------------------------------------------- */

static rf_status check_range(const char *field, long long value, long long least,
                             long long greatest, rf_error *err)
{
    if (value >= least && value <= greatest) return RF_OK;
    return rf_fail(err, RF_E_ARG, "%s is %lld; it can be %lld to %lld", field, value, least,
                   greatest);
}

static rf_status check_size(const char *field, int value, rf_error *err)
{
    rf_status st = check_range(field, value, 64, 8192, err);
    if (st == RF_OK && value % 8)
        st = rf_fail(err, RF_E_ARG, "%s is %d; it must be a multiple of 8, such as %d", field,
                     value, (value + 4) / 8 * 8);
    return st;
}

static rf_status check_job(const rf_engine *engine, const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(check_range("stage_count", job->stage_count, 1, 64, err));
    if (!job->stages || !job->sampler || !job->schedule || !job->rng)
        return rf_fail(err, RF_E_ARG, "the job has no %s; start from rf_job_default()",
                       !job->stages     ? "stages"
                       : !job->sampler  ? "sampler"
                       : !job->schedule ? "schedule"
                                        : "rng");
    RF_TRY(check_range("steps", job->steps, 1, RF_STEPS_MAX, err));
    RF_TRY(check_size("width", job->width, err));
    RF_TRY(check_size("height", job->height, err));
    RF_TRY(check_range("count", job->count, 1, 1000000, err));
    RF_TRY(check_range("batch", job->batch, 1, 64, err));
    for (int i = 0; i < job->stage_count; i++) {
        const rf_stage *s = &job->stages[i];
        if (!s->expert || s->expert->engine != engine)
            return rf_fail(err, RF_E_ARG, "stage %d has no expert of this engine", i + 1);
        if (isnan(s->cfg_scale) || s->cfg_scale > 1000)
            return rf_fail(err, RF_E_ARG, "stage %d: cfg_scale is %g; it can be 0 to 1000", i + 1,
                           (double)s->cfg_scale);
    }
done:
    return st;
}

/* ---- stages and prompts ------------------------------------------------------------------- */

/* Pads the encoder with fewer chunks by empty ones: both describe the same tokens of context. */
static rf_status tokenize(rf_plan *plan, rf_prompt *prompt, rf_error *err)
{
    static const rf_tokenizer_flavour flavour[RF_ENCODERS] = {RF_TOKENIZER_CLIP_L,
                                                              RF_TOKENIZER_CLIP_G};
    int                               chunks = 1;
    for (int i = 0; i < RF_ENCODERS; i++) {
        const rf_status st =
            rf_tokenize(plan->engine->tokenizer, flavour[i], prompt->text, &prompt->tokens[i], err);
        if (st != RF_OK) return st;
        if (prompt->tokens[i].chunks > chunks) chunks = prompt->tokens[i].chunks;
    }
    for (int i = 0; i < RF_ENCODERS; i++) {
        const rf_status st = rf_tokens_pad(&prompt->tokens[i], flavour[i], chunks, err);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

static rf_status copy_prompt(rf_plan *plan, rf_prompt *prompt, const char *text, rf_error *err)
{
    prompt->text = strdup(text);
    if (!prompt->text) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    return tokenize(plan, prompt, err);
}

/* Values that a stage leaves open come from the stage before, also from one that was dropped. */
typedef struct inherited {
    const char *prompt, *negative;
    float       cfg;
} inherited;

static void inherit(inherited *now, const rf_stage *stage)
{
    if (stage->prompt) now->prompt = stage->prompt;
    if (stage->negative) now->negative = stage->negative;
    if (!(stage->cfg_scale < 0)) now->cfg = stage->cfg_scale;
}

/* Computed once per expert and prompt: what an earlier stage has, a later one uses. */
static const rf_prompt *find_same(const rf_plan *plan, const rf_active_stage *stage, int polarity)
{
    const rf_prompt *prompt = &stage->prompt[polarity];
    for (int i = 0; i < plan->active_count; i++) {
        const rf_active_stage *a = &plan->active[i];
        if (a->expert != stage->expert) continue;
        for (int j = 0; j < a->polarities; j++) {
            if (&a->prompt[j] == prompt) return NULL;
            if (a->prompt[j].zero == prompt->zero && strcmp(a->prompt[j].text, prompt->text) == 0)
                return &a->prompt[j];
        }
    }
    return NULL;
}

static rf_status add_active(rf_plan *plan, int index, rf_expert *expert, const inherited *now,
                            rf_error *err)
{
    rf_active_stage     *a = &plan->active[plan->active_count++];
    const rf_stage_info *info = &plan->info[index];
    *a = (rf_active_stage){.expert = expert,
                           .index = index,
                           .first_step = info->first_step,
                           .calls = info->calls,
                           .cfg = now->cfg,
                           .polarities = now->cfg == 1.0f ? 1 : 2};
    rf_status st = copy_prompt(plan, &a->prompt[RF_POSITIVE], now->prompt, err);
    if (st == RF_OK && a->polarities == 2) {
        st = copy_prompt(plan, &a->prompt[RF_NEGATIVE], now->negative, err);
        /* A1111: an empty negative prompt is zeros, not the encoding of nothing. */
        a->prompt[RF_NEGATIVE].zero = now->negative[0] == '\0';
    }
    for (int j = 0; st == RF_OK && j < a->polarities; j++)
        a->prompt[j].same = find_same(plan, a, j);
    return st;
}

static rf_status resolve_stages(rf_plan *plan, const rf_job *job, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_stage_steps *steps = calloc((size_t)job->stage_count, sizeof *steps);
    inherited       now = {.prompt = "", .negative = "", .cfg = 6};
    if (!steps) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");

    for (int i = 0; i < job->stage_count; i++) plan->until[i] = job->stages[i].until;
    RF_TRY(rf_switch_by_steps(plan->until, job->stage_count, job->steps, steps, err));
    for (int i = 0; i < job->stage_count; i++) {
        rf_expert *expert = job->stages[i].expert;
        inherit(&now, &job->stages[i]);
        plan->info[i] = (rf_stage_info){
            .expert = expert->name, .first_step = steps[i].first_step, .calls = steps[i].steps};
        if (steps[i].steps == 0) {
            rf_warn(
                plan->engine,
                "stage %d (%s) would denoise 0 of %d steps and is left out: its prompt, VAE and "
                "name take no part in the picture",
                i + 1, expert->name, job->steps);
            continue;
        }
        RF_TRY(add_active(plan, i, expert, &now, err));
    }
done:
    free(steps);
    return st;
}

/* ---- steps -------------------------------------------------------------------------------- */

static rf_status plan_steps(rf_plan *plan, rf_error *err)
{
    rf_status st = RF_OK;
    int       draws = 1, stage = 0; /* draw 0 is the initial noise */
    RF_TRY(rf_schedule_sigmas(plan->schedule, &plan->engine->table, plan->job.steps, plan->sigmas,
                              err));
    for (int i = 0; i < plan->job.steps; i++) {
        while (stage + 1 < plan->active_count && plan->active[stage + 1].first_step <= i) stage++;
        rf_plan_step         *step = &plan->step[i];
        const rf_step_request request = {.sigma = plan->sigmas[i],
                                         .sigma_next = plan->sigmas[i + 1],
                                         .cfg = (double)plan->active[stage].cfg,
                                         .eta = 1,
                                         .s_noise = 1,
                                         .next_draw = draws};
        RF_TRY(rf_sampler_plan(plan->sampler, &request, &step->sampler, err));
        draws += step->sampler.draws;
        step->stage = stage;
        step->timestep = rf_timestep_for_sigma(&plan->engine->table, plan->sigmas[i]);
    }
    for (int i = 0; i < plan->stage_count; i++)
        plan->info[i].sigma = plan->sigmas[plan->info[i].first_step];
done:
    return st;
}

/* ---- create and destroy ------------------------------------------------------------------- */

static rf_status open_vae(rf_plan *plan, const rf_job *job, rf_error *err)
{
    plan->vae = plan->active[plan->active_count - 1].expert;
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

static rf_status allocate_lists(rf_plan *plan, rf_error *err)
{
    const size_t stages = (size_t)plan->stage_count, steps = (size_t)plan->job.steps;
    plan->info = calloc(stages, sizeof *plan->info);
    plan->until = calloc(stages, sizeof *plan->until);
    plan->active = calloc(stages, sizeof *plan->active);
    plan->sigmas = calloc(steps + 1, sizeof *plan->sigmas);
    plan->step = calloc(steps, sizeof *plan->step);
    plan->gaps = calloc(2 * steps, sizeof *plan->gaps);
    if (!plan->info || !plan->until || !plan->active || !plan->sigmas || !plan->step || !plan->gaps)
        return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    return RF_OK;
}

rf_status rf_plan_create(rf_plan **out, rf_engine *engine, const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    rf_plan  *p = NULL;
    *out = NULL;

    RF_TRY(check_job(engine, job, err));
    p = calloc(1, sizeof *p);
    if (!p) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    p->engine = engine;
    p->job = *job;
    p->stage_count = job->stage_count;
    p->h = job->height / 8;
    p->w = job->width / 8;
    p->batch = job->batch < job->count ? job->batch : job->count;
    p->last_batch = job->count % p->batch ? job->count % p->batch : p->batch;
    RF_TRY(rf_sampler_find(&p->sampler, job->sampler, err));
    RF_TRY(rf_schedule_find(&p->schedule, job->schedule, p->sampler->automatic, err));
    RF_TRY(rf_noise_source_find(&p->noise, job->rng, err));
    RF_TRY(allocate_lists(p, err));
    RF_TRY(resolve_stages(p, job, err));
    RF_TRY(open_vae(p, job, err));
    RF_TRY(plan_steps(p, err));
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
    for (int i = 0; i < p->active_count; i++) {
        for (int j = 0; j < RF_POLARITIES; j++) {
            free(p->active[i].prompt[j].text);
            for (int k = 0; k < RF_ENCODERS; k++) free(p->active[i].prompt[j].tokens[k].id);
        }
        for (int j = 0; j < RF_BATCH_KINDS; j++) rf_program_free(&p->active[i].forward[j]);
    }
    rf_program_free(&p->decode);
    rf_program_free(&p->scratch);
    rf_plan_release(p);
    if (p->vae_is_separate) rf_expert_close(p->vae);
    free(p->info);
    free(p->until);
    free(p->active);
    free(p->sigmas);
    free(p->step);
    free(p->gaps);
    free(p);
}

void rf_plan_get_info(const rf_plan *p, rf_plan_info *out)
{
    *out = (rf_plan_info){.stage_count = p->stage_count,
                          .batch = p->batch,
                          .slab_bytes = p->slab_bytes,
                          .kv_bytes = p->kv_bytes,
                          .state_bytes = p->state_bytes,
                          .staging_bytes = p->staging_bytes,
                          .text_bytes = p->text_bytes,
                          .vae_bytes = p->vae_bytes,
                          .peak_bytes = p->peak_bytes,
                          .vae = p->vae->name,
                          .sampler = p->sampler->id.name,
                          .schedule = p->schedule->id.name,
                          .sigmas = p->sigmas};
}

rf_status rf_plan_get_stage(const rf_plan *plan, int stage, rf_stage_info *out)
{
    if (stage < 0 || stage >= plan->stage_count) return RF_E_ARG;
    *out = plan->info[stage];
    return RF_OK;
}

void rf_plan_get_timings(const rf_plan *plan, rf_timings *out)
{
    *out = plan->timings;
}
