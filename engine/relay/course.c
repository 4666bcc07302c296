/* Sampler calls first, then who makes them, then what they are conditioned on: each needs only what
 * stands before it. */
#include "engine/relay/course_parts.h"

#include <stdlib.h>
#include <string.h>

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* ---- lookups ------------------------------------------------------------------------------ */

/* What a stage does not tell is the job's. */
static void settle_numbers(rf_course_stage *out, const rf_job *job, const rf_stage *stage)
{
    const rf_stage_sampling *own = stage->sampling;
    const int                clip_skip = stage->clip_skip ? stage->clip_skip : job->clip_skip;
    out->clip_skip = job->clip_l_skip ? clip_skip : 0;
    out->settings = (rf_sampler_settings){.eta = own ? own->eta : job->eta,
                                          .s_churn = own ? own->s_churn : job->s_churn,
                                          .s_tmin = own ? own->s_tmin : job->s_tmin,
                                          .s_tmax = own ? own->s_tmax : job->s_tmax,
                                          .s_noise = own ? own->s_noise : job->s_noise};
}

static rf_status find_samplers(rf_course *c, const rf_job *job, const char **schedule,
                               rf_error *err)
{
    rf_status st = RF_OK;
    *schedule = NULL;
    for (int i = 0; i < c->stages; i++) {
        const char *name = job->stages[i].sampler ? job->stages[i].sampler : job->sampler;
        const char *combined = NULL;
        RF_TRY(rf_sampler_find(&c->stage[i].sampler, &combined, name, err));
        if (i == 0) *schedule = combined;
        settle_numbers(&c->stage[i], job, &job->stages[i]);
    }
done:
    return st;
}

static rf_status find_rules(rf_course *c, const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    c->exact_a1111 = job->compat != NULL;
    if (job->compat && strcmp(job->compat, "a1111") != 0)
        return rf_fail(err, RF_E_ARG, "compat is \"%s\"; it can be a1111", job->compat);
    RF_TRY(rf_switch_rule_find(&c->rule, job->switch_by, err));
    RF_TRY(rf_emphasis_find(&c->emphasis, job->emphasis, err));
done:
    return st;
}

static rf_status find_sigmas(rf_course *c, const rf_job *job, int steps, const char *combined,
                             rf_error *err)
{
    const rf_sampler         *sampler = c->stage[0].sampler;
    const rf_schedule_options options = {
        .sigma_min = job->sigma_min,
        .sigma_max = job->sigma_max,
        .rho = job->rho,
        .discard_penultimate =
            job->discard_penultimate || (sampler->flags & RF_SAMPLER_DISCARD) != 0,
        .lcm_table = (sampler->flags & RF_SAMPLER_LCM) != 0,
        .exact_a1111 = c->exact_a1111,
    };
    const char *name =
        combined && strcasecmp(job->schedule, "automatic") == 0 ? combined : job->schedule;
    int       skipped = 0;
    rf_status st = RF_OK;
    if (job->sigmas && rf_plans_whole_runs(sampler))
        return rf_fail(err, RF_E_ARG, "sigmas: %s walks noise levels of its own, and none of these",
                       sampler->id.name);
    RF_TRY(rf_schedule_find(&c->schedule, name, sampler->automatic, err));
    if (job->sigmas) {
        RF_TRY(rf_sigmas_parse(&c->sigmas, job->sigmas, err));
        steps = c->sigmas.steps;
        if (job->init && job->init->exact_steps)
            return rf_fail(err, RF_E_ARG,
                           "init: exact steps need a schedule that can be longer, "
                           "and the noise levels are given");
    }
    c->nominal = steps * c->calls_per_step;
    if (job->init) RF_TRY(rf_init_steps(job->init, &steps, &skipped, err));
    c->total = job->init ? (steps - skipped) * c->calls_per_step : c->nominal;
    if (!job->sigmas)
        RF_TRY(rf_schedule_sigmas(c->schedule, c->table, steps, &options, &c->sigmas, err));
    c->sigma_max = c->sigmas.sigma[0];
    c->sigma_min = c->sigma_max;
    for (int i = 0; i <= c->sigmas.steps; i++)
        if (c->sigmas.sigma[i] > 0) c->sigma_min = c->sigmas.sigma[i];
    if (job->init) rf_course_cut(c, skipped); /* Brownian paths keep the whole schedule's ends */
done:
    return st;
}

/* ---- what A1111 would do otherwise -------------------------------------------------------- */

static void warn_of_repairs(const rf_course *c, const rf_job *job, rf_listener listener)
{
    const unsigned flags = c->stage[0].sampler->flags;
    const int scheduled = !job->sigmas && !c->adaptive && !rf_plans_whole_runs(c->stage[0].sampler);
    const char *name = rf_schedule_name(c->schedule);
    if (c->exact_a1111 || !listener.warn) return;
    if (scheduled && strcmp(name, "KL Optimal") == 0)
        listener.warn(listener.user, "schedule KL Optimal: ends at 0 (A1111 leaves its 0 out, and "
                                     "the noise of the last level in the picture)");
    if (scheduled && strcmp(name, "Beta") == 0)
        listener.warn(listener.user, "schedule Beta: spreads over timesteps, as its authors do "
                                     "(A1111 spreads over noise levels)");
    if (c->stages > 1 && c->rule == RF_SWITCH_NOISE && (flags & RF_SAMPLER_LCM) &&
        c->until[0] > 0 && c->until[0] <= 0.95)
        listener.warn(listener.user, "sampler LCM: the model changes at the noise level asked for "
                                     "(A1111 changes it at the first call)");
}

/* ---- together ----------------------------------------------------------------------------- */

static rf_status allocate(rf_course *c, const rf_job *job, rf_error *err)
{
    const size_t stages = (size_t)job->stage_count;
    c->stages = job->stage_count;
    c->stage = calloc(stages, sizeof *c->stage);
    c->set = calloc(stages, sizeof *c->set);
    c->until = calloc(stages, sizeof *c->until);
    c->handover = calloc(stages, sizeof *c->handover);
    c->aligned = calloc(stages, sizeof *c->aligned);
    if (!c->stage || !c->set || !c->until || !c->handover || !c->aligned) return no_memory(err);
    for (size_t i = 0; i < stages; i++) c->until[i] = job->stages[i].until;
    return RF_OK;
}

rf_status rf_course_create(rf_course *out, const rf_sigma_table *table, const rf_job *job,
                           int hires_steps, rf_listener listener, rf_error *err)
{
    rf_status   st = RF_OK;
    rf_course   c = {0};
    const int   steps = hires_steps > 0 ? hires_steps : job->steps;
    const char *combined = NULL;
    *out = (rf_course){0};
    if (job->init && hires_steps > 0)
        return rf_fail(err, RF_E_ARG, "a job that starts from a picture has no hires pass");
    RF_TRY(allocate(&c, job, err));
    RF_TRY(find_rules(&c, job, err));
    RF_TRY(find_samplers(&c, job, &combined, err));
    const unsigned flags = c.stage[0].sampler->flags;
    c.adaptive = (flags & RF_SAMPLER_ADAPTIVE) != 0;
    c.calls_per_step = flags & RF_SAMPLER_SECOND_ORDER ? 2 : 1;
    rf_course_find_tables(&c, table, job);
    do {
        RF_TRY(find_sigmas(&c, job, steps, combined, err));
        RF_TRY(rf_course_plan_calls(&c, job, err));
    } while (rf_course_begins_elsewhere(&c));
    RF_TRY(rf_course_plan_guidance(&c, job, err));
    RF_TRY(rf_course_plan_prompts(&c, job, hires_steps, listener, err));
    warn_of_repairs(&c, job, listener);
    rf_course_warn_of_levels(&c, job, listener);
    *out = c;
    c = (rf_course){0};
done:
    rf_course_free(&c);
    return st;
}

void rf_course_forget(rf_course *c)
{
    for (int i = 0; i < c->sets; i++)
        for (int p = 0; p < RF_POLARITIES; p++) {
            rf_prompt_free(c->set[i].prompt[p]);
            c->set[i].prompt[p] = NULL;
        }
    free(c->call);
    free(c->entries);
    c->call = NULL;
    c->entries = NULL;
}

void rf_course_free(rf_course *c)
{
    rf_course_forget(c);
    for (int i = 0; i < c->sets; i++)
        for (int p = 0; p < RF_POLARITIES; p++) free(c->set[i].text[p]);
    free(c->stage);
    free(c->set);
    free(c->sigmas.sigma);
    free(c->until);
    free(c->handover);
    free(c->aligned);
    *c = (rf_course){0};
}
