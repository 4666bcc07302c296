/* What a value of an axis does to a cell; see cell_parts.h. */
#include <stdlib.h>
#include <strings.h>

#include "tools/sweep/cell_parts.h"

rf_cell_target rf_cell_target_of(const rf_axis *axis)
{
    rf_cell_target t = {.kind = axis->kind, .stage = -1, .lora = axis->lora};
    switch (axis->kind) {
    case RF_VARY_SWITCH: t.stage = 0; break;
    case RF_VARY_BASE: t.stage = 0; break;
    case RF_VARY_REFINER: t = (rf_cell_target){.kind = RF_VARY_BASE, .stage = 1}; break;
    case RF_VARY_BASE_CFG: t = (rf_cell_target){.kind = RF_VARY_CFG, .stage = 0}; break;
    case RF_VARY_REFINER_CFG: t = (rf_cell_target){.kind = RF_VARY_CFG, .stage = 1}; break;
    case RF_VARY_REFINER_SAMPLER: t = (rf_cell_target){.kind = RF_VARY_SAMPLER, .stage = 1}; break;
    case RF_VARY_BASE_PROMPT: t = (rf_cell_target){.kind = RF_VARY_PROMPT, .stage = 0}; break;
    case RF_VARY_REFINER_PROMPT: t = (rf_cell_target){.kind = RF_VARY_PROMPT, .stage = 1}; break;
    default: break;
    }
    if (axis->stage) t.stage = axis->stage - 1;
    return t;
}

/* ---- applying ----------------------------------------------------------------------------- */

/* "None" and "Automatic": the checkpoint's own. */
static const char *vae_of(const char *name)
{
    return strcasecmp(name, "automatic") == 0 ? NULL : rf_cell_file_or_none(name);
}

/* "1024x768", as axes.c has checked and written it. */
static void set_size(rf_job *job, const char *text)
{
    char *cross = NULL;
    job->width = (int)strtol(text, &cross, 10);
    job->height = (int)strtol(cross + 1, NULL, 10);
}

/* A number of a sampler: the job's, or one stage's own. */
static void set_number(rf_cell_maker *m, rf_cell *cell, rf_cell_target t, double v)
{
    rf_stage_sampling *own = &m->own[t.stage < 0 ? 0 : t.stage];
    rf_job            *job = &cell->job;
    rf_relay_key       key = RF_KEY_ETA;
    double            *at = t.stage < 0 ? &job->eta : &own->eta;
    if (t.kind == RF_VARY_S_CHURN)
        key = RF_KEY_S_CHURN, at = t.stage < 0 ? &job->s_churn : &own->s_churn;
    if (t.kind == RF_VARY_S_TMIN)
        key = RF_KEY_S_TMIN, at = t.stage < 0 ? &job->s_tmin : &own->s_tmin;
    if (t.kind == RF_VARY_S_TMAX)
        key = RF_KEY_S_TMAX, at = t.stage < 0 ? &job->s_tmax : &own->s_tmax;
    if (t.kind == RF_VARY_S_NOISE)
        key = RF_KEY_S_NOISE, at = t.stage < 0 ? &job->s_noise : &own->s_noise;
    *at = v;
    if (t.stage >= 0) m->given[t.stage] |= 1u << key;
}

static void set_sampler(const rf_cell_maker *m, rf_cell *cell, rf_cell_target t, const char *name)
{
    if (t.stage >= 0) {
        cell->stages[t.stage].sampler = name;
        return;
    }
    cell->job.sampler = name;
    for (int s = 0; s < m->cells->stages; s++) cell->stages[s].sampler = NULL;
}

/* What stages have of their own, too; 0: it is no such thing. */
static int apply_to_stages(rf_cell_maker *m, rf_cell *cell, rf_cell_target t,
                           const rf_axis_value *v)
{
    const int first = t.stage < 0 ? 0 : t.stage;
    const int last = t.stage < 0 ? m->cells->stages - 1 : t.stage;
    switch (t.kind) {
    case RF_VARY_SWITCH:
        cell->stages[t.stage].until = v->number;
        cell->job.idle_stages = 1; /* who varies it means its ends */
        return 1;
    case RF_VARY_CFG:
        for (int s = first; s <= last; s++) cell->stages[s].cfg_scale = (float)v->number;
        return 1;
    case RF_VARY_SAMPLER:
        set_sampler(m, cell, t, rf_sampling_spelling("sampler", v->text));
        return 1;
    case RF_VARY_CLIP_SKIP:
        if (t.stage < 0)
            cell->job.clip_skip = (int)v->number;
        else
            cell->stages[t.stage].clip_skip = (int)v->number;
        return 1;
    case RF_VARY_ETA:
    case RF_VARY_S_CHURN:
    case RF_VARY_S_TMIN:
    case RF_VARY_S_TMAX:
    case RF_VARY_S_NOISE: set_number(m, cell, t, v->number); return 1;
    default: return 0;
    }
}

void rf_cell_apply(rf_cell_maker *m, rf_cell *cell, const rf_axis *axis, int value)
{
    const rf_axis_value *v = &axis->value[value];
    rf_job              *job = &cell->job;
    if (apply_to_stages(m, cell, rf_cell_target_of(axis), v)) return;
    switch (axis->kind) {
    case RF_VARY_VAE: job->vae = vae_of(v->text); break;
    /* a double does not hold all seeds */
    case RF_VARY_SEED: job->seed = strtoull(v->text, NULL, 10); break;
    case RF_VARY_VARIATION_SEED: job->variation_seed = strtoull(v->text, NULL, 10); break;
    case RF_VARY_VARIATION: job->variation = v->number; break;
    case RF_VARY_STEPS: job->steps = (int)v->number; break;
    case RF_VARY_SCHEDULE: job->schedule = rf_sampling_spelling("scheduler", v->text); break;
    case RF_VARY_SIZE: set_size(job, v->text); break;
    case RF_VARY_DENOISE:
        if (cell->init) cell->init->denoise = v->number;
        break;
    case RF_VARY_SIGMA_MIN: job->sigma_min = v->number; break;
    case RF_VARY_SIGMA_MAX: job->sigma_max = v->number; break;
    case RF_VARY_RHO: job->rho = v->number; break;
    default: break; /* files, prompts, LoRAs; ends of CFG */
    }
}

void rf_cell_finish(rf_cell_maker *m, rf_cell *cell)
{
    for (int a = 0; a < RF_AXES; a++) { /* whatever axis said where it begins */
        const rf_axis       *axis = &m->cells->axis[a];
        const rf_cell_target t = rf_cell_target_of(axis);
        for (int s = 0; t.kind == RF_VARY_CFG_END && s < m->cells->stages; s++)
            if (rf_cell_reaches(t, s))
                cell->stages[s].cfg_ramp =
                    (float)(axis->value[cell->at[a]].number - (double)cell->stages[s].cfg_scale);
    }
    for (int s = 0; cell->sampling && s < m->cells->stages; s++)
        rf_relay_settle_sampling(m->given[s], &m->own[s], &cell->job, &cell->stages[s],
                                 &cell->sampling[s]);
    float before = 0;
    for (int s = 0; s < m->cells->stages; s++) {
        rf_stage   *stage = &cell->stages[s];
        const float end = rf_cell_end_cfg(stage);
        if (m->inherits[s] && stage->cfg_scale == before) stage->cfg_scale = -1;
        before = end;
    }
}
