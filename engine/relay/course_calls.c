/* The calls of a run and the stages that make them: a stretch per sampler, cut where a stage with
 * another one, or with other numbers for it, takes over. */
#include "engine/relay/course_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

static rf_switch_request switch_request(const rf_course *c)
{
    return (rf_switch_request){.rule = c->rule,
                               .until = c->until,
                               .stages = c->stages,
                               .table = c->table,
                               .steps = c->steps,
                               .total_calls = c->total,
                               .exact_a1111 = c->exact_a1111};
}

/* DPM adaptive has no steps to count: a fraction of them is one of the way that ln sigma goes, as
 * even steps of an exponential schedule would have it. */
static int stage_by_way(const rf_course *c, double sigma, int previous)
{
    const double part = log(c->sigma_max / sigma) / log(c->sigma_max / c->sigma_min);
    int          stage = previous;
    while (stage + 1 < c->stages && c->until[stage] < 1 && part >= c->until[stage]) stage++;
    return stage;
}

int rf_course_stage_at(const rf_course *course, int k, double sigma, int previous)
{
    const rf_switch_request request = switch_request(course);
    /* exp(-(-log(x))) can miss x by a bit: no stage is to begin or end outside of the run */
    const double inside = fmin(fmax(sigma, course->sigma_min), course->sigma_max);
    if (course->rule == RF_SWITCH_STEPS && !course->exact_a1111)
        return stage_by_way(course, inside, previous);
    return rf_switch_stage(&request, k, k, 1, inside, previous);
}

int rf_course_skips_negative(const rf_job *job, int total, int k, double sigma)
{
    if (job->skip_early_cfg > 0 && (double)k / total <= job->skip_early_cfg) return 1;
    return job->s_min_uncond > 0 && sigma < job->s_min_uncond &&
           (job->s_min_uncond_all || k % 2 == 1);
}

/* A1111 hands its timestep samplers' own number around where it has a noise level elsewhere. */
static int goes_by_timestep(const rf_course *c)
{
    return c->exact_a1111 && (c->stage[0].sampler->flags & RF_SAMPLER_TIMESTEPS);
}

/* The noise level the switch goes by.  A1111's noise rule drops the fraction of a timestep
 * sampler's index, and takes an LCM index of 0 to 49 for one of 0 to 999, so that it switches at
 * once. */
static double switch_sigma(const rf_course *c, const rf_call *call)
{
    if (c->rule != RF_SWITCH_NOISE || isnan(call->timestep)) return call->sigma;
    int index = (int)call->timestep;
    if (c->exact_a1111 && (c->stage[0].sampler->flags & RF_SAMPLER_LCM))
        index /= RF_TRAIN_STEPS / RF_LCM_STEPS;
    return c->table->sigma[index];
}

static rf_status append(rf_course *c, const rf_call *call, int stage, rf_error *err)
{
    if ((c->calls & (c->calls - 1)) == 0) {
        const size_t    room = c->calls ? 2 * (size_t)c->calls : 1;
        rf_course_call *grown = realloc(c->call, room * sizeof *grown);
        if (!grown) return no_memory(err);
        c->call = grown;
    }
    c->call[c->calls++] = (rf_course_call){.sampler = *call, .stage = stage};
    return RF_OK;
}

/* Whether a stretch of stage `a` goes on through stage `b`.  What the sampler does not read cuts
 * nothing: of some samplers the memory would be lost. */
static int goes_on(const rf_course *c, int a, int b)
{
    const rf_course_stage *x = &c->stage[a], *y = &c->stage[b];
    return x->sampler == y->sampler &&
           rf_sampler_same_settings(x->sampler, &x->settings, &y->settings);
}

/* One stretch: from `first` to the end, or up to where a stage with another sampler takes over.
 * *stage is the stage of the last call, *end the step after it. */
static rf_status walk(rf_course *c, rf_sampler_request *request, int *stage, int *end,
                      rf_error *err)
{
    rf_status         st = RF_OK;
    rf_calls          calls = {0};
    const rf_sampler *sampler = request->sampler;
    const int         from = c->calls, begun = *stage;
    int               now = begun, cut = -1;

    RF_TRY(rf_sampler_plan(request, &calls, err));
    if (request->first == 0) {
        c->start = calls.start;
        c->steps = calls.steps;
    }
    const rf_switch_request rule = switch_request(c);
    for (int i = 0; i < calls.count && cut < 0; i++) {
        const rf_call *call = &calls.call[i];
        const int      first_of_step = i == 0 || calls.call[i - 1].step != call->step;
        const int      next =
            rf_switch_stage(&rule, c->calls, call->step, first_of_step, switch_sigma(c, call), now);
        if (!goes_on(c, begun, next)) {
            const int other = c->stage[next].sampler != sampler;
            cut = call->step;
            if (!first_of_step)
                st = rf_fail(err, RF_E_ARG,
                             "stage %d has a sampler of its own%s and would begin inside a step of "
                             "%s",
                             next + 1, other ? "" : ", or other numbers for it,", sampler->id.name);
            now = next;
            break;
        }
        now = next;
        RF_TRY(append(c, call, now, err));
    }
    if (st != RF_OK) goto done;
    *stage = now;
    *end = cut < 0 ? request->end : cut;
    if (cut > request->first) { /* again, to know what is handed over */
        rf_calls_free(&calls);
        request->end = cut;
        RF_TRY(rf_sampler_plan(request, &calls, err));
        for (int i = 0; i < calls.count; i++) c->call[from + i].sampler = calls.call[i];
    }
    request->next_draw = cut == request->first ? request->next_draw : calls.next_draw;
    request->history_count = 0;
    if (cut > request->first && (sampler->flags & RF_SAMPLER_MULTISTEP_X0) &&
        (c->stage[now].sampler->flags & RF_SAMPLER_MULTISTEP_X0)) {
        request->history_count = calls.history_count;
        memcpy(request->history, calls.history, sizeof request->history);
    }
done:
    rf_calls_free(&calls);
    return st;
}

static rf_status check_samplers(const rf_course *c, rf_error *err)
{
    const rf_sampler *first = c->stage[0].sampler;
    for (int i = 1; i < c->stages; i++) {
        const rf_sampler *other = c->stage[i].sampler;
        if (goes_on(c, 0, i) || (!rf_plans_whole_runs(first) && !rf_plans_whole_runs(other)))
            continue;
        if (other != first)
            return rf_fail(err, RF_E_ARG,
                           "stage %d: %s and %s cannot share a run, for one of them walks noise "
                           "levels of its own",
                           i + 1, first->id.name, other->id.name);
        return rf_fail(err, RF_E_ARG,
                       "stage %d: %s walks noise levels of its own, so its numbers (eta, s_churn, "
                       "s_noise) are those of the whole run",
                       i + 1, first->id.name);
    }
    return RF_OK;
}

static rf_status plan_calls(rf_course *c, const rf_job *job, rf_error *err)
{
    rf_status          st = RF_OK;
    rf_sampler_request request = {.table = c->table,
                                  .sigmas = &c->sigmas,
                                  .nominal_steps = c->nominal / c->calls_per_step,
                                  .enter = c->enter,
                                  .next_draw = 1};
    int                stage = 0, first = 0;
    c->steps = c->sigmas.steps;
    const rf_switch_request rule = switch_request(c);
    RF_TRY(rf_switch_check(&rule, err));
    RF_TRY(check_samplers(c, err));
    if (c->adaptive) {
        if (c->rule == RF_SWITCH_STEP)
            return rf_fail(err, RF_E_ARG,
                           "%s has no numbered steps: switch by steps, noise or sigma",
                           c->stage[0].sampler->id.name);
        c->sigma_max = job->sigma_max > 0 ? job->sigma_max : c->table->sigma[RF_TRAIN_STEPS - 1];
        c->sigma_min = job->sigma_min > 0 ? job->sigma_min : c->table->sigma[0];
        if (job->init) c->sigma_max = c->sigmas.sigma[0];
        if (!(c->sigma_max > c->sigma_min))
            return rf_fail(err, RF_E_ARG, "%s would begin at sigma %g, and has no way to go to %g",
                           c->stage[0].sampler->id.name, c->sigma_max, c->sigma_min);
        c->start = c->sigma_max;
        goto done;
    }
    stage = rf_switch_stage(&rule, 0, 0, 1, c->sigmas.sigma[0], c->first);
    while (first < c->sigmas.steps) {
        request.sampler = c->stage[stage].sampler;
        request.settings = c->stage[stage].settings;
        request.first = first;
        request.end = c->sigmas.steps;
        RF_TRY(walk(c, &request, &stage, &first, err));
    }
    for (int k = 0; k < c->calls; k++) {
        rf_course_call *call = &c->call[k];
        const rf_call  *s = &call->sampler;
        call->timestep = rf_course_timestep(c, call);
        call->skips_negative = rf_course_skips_negative(
            job, c->total, k, goes_by_timestep(c) ? s->timestep : s->sigma);
    }
done:
    return st;
}

/* Samplers with a grid of their own: the noise levels their steps begin at. */
static rf_status note_walked_sigmas(rf_course *c, rf_error *err)
{
    if (c->adaptive || !rf_plans_whole_runs(c->stage[0].sampler)) return RF_OK;
    double *sigma = calloc((size_t)c->steps + 1, sizeof *sigma);
    if (!sigma) return no_memory(err);
    for (int k = c->calls - 1; k >= 0; k--)
        sigma[c->call[k].sampler.step] = c->call[k].sampler.sigma;
    free(c->sigmas.sigma);
    c->sigmas = (rf_sigmas){.sigma = sigma, .steps = c->steps};
    return RF_OK;
}

static void note_stages(rf_course *c)
{
    for (int i = 0; i < c->stages; i++) {
        rf_course_stage *s = &c->stage[i];
        s->first_call = -1;
        s->calls = 0;
        s->first_step = c->steps;
        for (int k = c->calls - 1; k >= 0; k--) {
            if (c->call[k].stage >= i) {
                s->first_call = k;
                s->first_step = c->call[k].sampler.step;
            }
            s->calls += c->call[k].stage == i;
        }
        if (i > 0) c->handover[i - 1] = s->first_call;
    }
}

rf_status rf_course_plan_calls(rf_course *c, const rf_job *job, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(plan_calls(c, job, err));
    RF_TRY(note_walked_sigmas(c, err));
    note_stages(c);
done:
    return st;
}
