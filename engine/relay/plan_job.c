/* One job of a plan: validation, the course, stages, their experts, and the VAE. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/job_copy.h"
#include "engine/relay/plan.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

static rf_status check_experts(const rf_engine *engine, const rf_job *job, rf_error *err)
{
    for (int i = 0; i < job->stage_count; i++)
        if (!job->stages[i].expert || job->stages[i].expert->engine != engine)
            return rf_fail(err, RF_E_ARG, "stage %d has no expert of this engine", i + 1);
    return RF_OK;
}

/* ---- warnings ----------------------------------------------------------------------------- */

/* Many jobs of a request give the same warning: it is told once. */
static void tell(void *user, const char *message)
{
    rf_plan  *p = user;
    char      key[RF_ERROR_BYTES + 1];
    int       index = 0;
    const int bytes = snprintf(key, sizeof key, "W%s", message);
    const int before = p->known.nodes;
    if (rf_plan_know(p, key, (size_t)bytes < sizeof key ? (size_t)bytes : sizeof key - 1, 0, &index,
                     NULL) != RF_OK ||
        p->known.nodes > before)
        rf_warn(p->engine, "%s", message);
}

void rf_plan_warn(rf_plan *p, const char *format, ...)
{
    char    message[RF_ERROR_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    tell(p, message);
}

/* ---- stages ------------------------------------------------------------------------------- */

int rf_plan_expert_of(const rf_plan *p, const rf_plan_job *j, int stage)
{
    int i = 0;
    while (i < p->expert_count && p->expert[i].expert != j->job.stages[stage].expert) i++;
    return i;
}

static rf_status use_expert(rf_plan *p, const rf_plan_job *j, int stage, rf_error *err)
{
    if (rf_plan_expert_of(p, j, stage) < p->expert_count) return RF_OK;
    rf_plan_expert *list = rf_plan_grown(p->expert, p->expert_count, sizeof *list);
    if (!list) return no_memory(err);
    p->expert = list;
    p->expert[p->expert_count++] =
        (rf_plan_expert){.expert = j->job.stages[stage].expert, .stage = stage};
    j->job.stages[stage].expert->users++;
    return RF_OK;
}

/* DPM adaptive: the stages between that of the first noise level and that of the last. */
static int takes_part(const rf_course *c, int stage)
{
    if (!c->adaptive) return c->stage[stage].calls > 0;
    const int first = rf_course_stage_at(c, 0, c->sigma_max, c->first);
    return stage >= first && stage <= rf_course_stage_at(c, INT_MAX, c->sigma_min, first);
}

static rf_status resolve_stages(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    const rf_course *c = &j->course;
    for (int i = 0; i < c->stages; i++) {
        const rf_expert *e = j->job.stages[i].expert;
        rf_status        st = RF_OK;
        const int        step = c->adaptive ? 0 : c->stage[i].first_step;
        j->info[i] = (rf_stage_info){.expert = e->name,
                                     .first_step = step,
                                     .calls = c->stage[i].calls,
                                     .sigma = c->sigmas.sigma[step]};
        j->info[i].takes_part = takes_part(c, i);
        if (j->info[i].takes_part) {
            j->active[j->active_count++] = i;
            st = rf_plan_add_loras(p, j, i, err);
            if (st == RF_OK) st = use_expert(p, j, i, err);
            if (st != RF_OK) return st;
            continue;
        }
        if (j->job.idle_stages) continue;
        rf_plan_warn(
            p,
            "stage %d (%s) would denoise 0 of %d steps and is left out: its prompt, VAE and name "
            "take no part in the picture",
            i + 1, e->name, c->steps);
    }
    return RF_OK;
}

int rf_plan_stage_at(const rf_plan_job *j, int call)
{
    int at = j->active[0];
    for (int i = 1; i < j->active_count; i++)
        if (j->course.stage[j->active[i]].first_call <= call) at = j->active[i];
    return at;
}

/* ---- what decodes ------------------------------------------------------------------------- */

/* Of the last stage: whatever LoRAs it has, they leave the VAE as it is. */
static rf_expert *own_vae(const rf_plan_job *j)
{
    return rf_expert_parent(j->job.stages[j->active[j->active_count - 1]].expert);
}

/* The index of the VAE; p->vaes if it is not there yet. */
static int find_vae(const rf_plan *p, const rf_plan_job *j)
{
    const rf_expert *own = own_vae(j);
    int              i = 0;
    for (; i < p->vaes; i++)
        if (j->job.vae ? p->vae[i].separate && strcmp(p->vae[i].expert->path, j->job.vae) == 0
                       : p->vae[i].expert == own)
            break;
    return i;
}

static rf_status open_vae(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    rf_plan_vae vae = {.expert = own_vae(j)};
    j->vae = find_vae(p, j);
    if (j->vae < p->vaes) return RF_OK;
    rf_plan_vae *list = rf_plan_grown(p->vae, p->vaes, sizeof *list);
    if (!list) return no_memory(err);
    p->vae = list;
    if (j->job.vae) {
        const rf_status st = rf_expert_open_vae(&vae.expert, p->engine, j->job.vae, err);
        if (st != RF_OK) return st;
        vae.separate = 1;
    }
    p->vae[p->vaes++] = vae;
    if (vae.expert->arch.has_vae) return RF_OK;
    return rf_fail(err, RF_E_MODEL, "%s has no VAE; name a file that has one with --vae",
                   vae.expert->path);
}

static rf_status find_decoder(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    const rf_plan_decoder d = {.vae = j->vae, .h = j->h, .w = j->w};
    for (j->decoder = 0; j->decoder < p->decoders; j->decoder++) {
        const rf_plan_decoder *at = &p->decoder[j->decoder];
        if (at->vae == d.vae && at->h == d.h && at->w == d.w) return RF_OK;
    }
    rf_plan_decoder *list = rf_plan_grown(p->decoder, p->decoders, sizeof *list);
    if (!list) return no_memory(err);
    p->decoder = list;
    p->decoder[p->decoders++] = d;
    return RF_OK;
}

/* ---- what experts are told of the picture ------------------------------------------------- */

static int same_sizing(const rf_sizing *a, const rf_sizing *b)
{
    int same = 1;
    for (int i = 0; i < RF_SIZES; i++) same &= a->value[i] == b->value[i];
    return same;
}

static rf_status find_sizing(rf_plan *p, const rf_sizing *s, int *index, rf_error *err)
{
    for (*index = 0; *index < p->sizings; (*index)++)
        if (same_sizing(&p->sizing[*index], s)) return RF_OK;
    rf_sizing *list = rf_plan_grown(p->sizing, p->sizings, sizeof *list);
    if (!list) return no_memory(err);
    p->sizing = list;
    p->sizing[p->sizings++] = *s;
    return RF_OK;
}

static int has_refiner(const rf_plan_job *j)
{
    int any = 0;
    for (int i = 0; i < j->active_count; i++)
        any |= !j->job.stages[j->active[i]].expert->arch.has_clip_l;
    return any;
}

static rf_status find_sizings(rf_plan *p, rf_plan_job *j, rf_error *err)
{
    const rf_job *job = &j->job;
    const double  high = job->aesthetic > 0 ? job->aesthetic : 6; /* A1111's */
    const double  low = job->aesthetic_negative > 0 ? job->aesthetic_negative : 2.5;
    const double  score[RF_POLARITIES] = {[RF_POSITIVE] = high, [RF_NEGATIVE] = low};
    rf_sizing     s = {{job->original_height ? job->original_height : job->height,
                    job->original_width ? job->original_width : job->width, job->crop_top,
                        job->crop_left, job->target_height ? job->target_height : job->height,
                    job->target_width ? job->target_width : job->width}};
    rf_status     st = RF_OK;
    RF_TRY(find_sizing(p, &s, &j->sizing, err));
    for (int polarity = 0; polarity < RF_POLARITIES; polarity++) {
        j->scoring[polarity] = -1;
        s.value[4] = score[polarity];
        s.value[5] = 0;
        if (has_refiner(j)) RF_TRY(find_sizing(p, &s, &j->scoring[polarity], err));
    }
done:
    return st;
}

int rf_plan_sizing_of(const rf_plan *p, const rf_plan_job *j, int expert, int polarity)
{
    return p->expert[expert].expert->arch.has_clip_l ? j->sizing : j->scoring[polarity];
}

/* ---- noise -------------------------------------------------------------------------------- */

/* With variation all pictures share the seed and differ in the variation's (A1111). */
rf_noise_spec rf_picture_noise(const rf_plan *p, rf_picture picture)
{
    const rf_plan_job *j = &p->job[picture.job];
    const rf_job      *job = &j->job;
    const rf_sampler  *sampler = j->course.stage[0].sampler;
    const uint64_t     i = (uint64_t)picture.index;
    return (rf_noise_spec){.source = j->noise,
                           .seed = job->seed + (job->variation > 0 ? 0 : i),
                           .variation_seed = job->variation_seed + i,
                           .variation = job->variation,
                           .ensd = sampler->flags & RF_SAMPLER_BROWNIAN ? 0 : job->ensd,
                           .resize_h = job->seed_height / 8,
                           .resize_w = job->seed_width / 8,
                           .exact_a1111 = j->course.exact_a1111};
}

/* ---- together ----------------------------------------------------------------------------- */

static rf_status allocate_lists(rf_plan_job *j, rf_error *err)
{
    const size_t stages = (size_t)j->job.stage_count;
    size_t       loras = 1; /* not to ask for nothing */
    for (size_t i = 0; i < stages; i++) loras += (size_t)j->job.stages[i].lora_count;
    j->lora = calloc(loras, sizeof *j->lora);
    j->info = calloc(stages, sizeof *j->info);
    j->active = calloc(stages, sizeof *j->active);
    j->negative_weighs = calloc(stages, 1);
    return j->lora && j->info && j->active && j->negative_weighs ? RF_OK : no_memory(err);
}

static rf_status plan_job(rf_plan *p, rf_plan_job *j, const rf_job *job, rf_error *err)
{
    rf_status         st = RF_OK;
    const rf_listener listener = {.warn = tell, .user = p};
    RF_TRY(rf_job_check(job, err));
    RF_TRY(check_experts(p->engine, job, err));
    RF_TRY(rf_job_copy(&j->job, &j->block, job, err));
    RF_TRY(rf_preview_add_job(p, &j->job, err));
    j->h = job->height / 8;
    j->w = job->width / 8;
    RF_TRY(rf_noise_source_find(&j->noise, job->rng, err));
    RF_TRY(allocate_lists(j, err));
    RF_TRY(rf_course_create(&j->course, &p->engine->table, &j->job, 0, listener, err));
    p->adaptive |= j->course.adaptive;
    RF_TRY(resolve_stages(p, j, err));
    RF_TRY(open_vae(p, j, err));
    RF_TRY(find_decoder(p, j, err));
    RF_TRY(find_sizings(p, j, err));
    RF_TRY(rf_plan_add_init(p, j, err));
    RF_TRY(rf_plan_add_inversions(p, j, err));
    RF_TRY(rf_plan_condition(p, j, err));
    RF_TRY(rf_plan_list_calls(p, j, err));
    if (!j->course.adaptive) { /* a plan may have thousands of jobs */
        rf_course_forget(&j->course);
        free(j->entry_cond);
        j->entry_cond = NULL;
    }
done:
    return st;
}

rf_status rf_plan_add_job(rf_plan *p, const rf_job *job, rf_error *err)
{
    char            message[RF_ERROR_BYTES];
    const int       number = p->jobs++; /* what it takes is given back with the plan */
    const rf_status st = plan_job(p, &p->job[number], job, err);
    if (st == RF_OK || number == 0 || !err) return st;
    memcpy(message, err->message, sizeof message);
    return rf_fail(err, st, "job %d: %.*s", number + 1, RF_ERROR_BYTES - 24, message);
}

void rf_plan_free_job(rf_plan_job *j)
{
    rf_course_free(&j->course);
    free(j->info);
    free(j->lora);
    free(j->active);
    for (int i = 0; j->triggers && i < j->job.stage_count; i++)
        free((void *)(uintptr_t)j->triggers[i].item);
    free(j->triggers);
    free(j->negative_weighs);
    free(j->entry_cond);
    free(j->call);
    free(j->block);
}
