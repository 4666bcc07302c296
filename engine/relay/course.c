/* Sampler calls first, then who makes them, then what they are conditioned on: each needs only what
 * stands before it. */
#include "engine/relay/course.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"

static rf_status no_memory(rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
}

/* ---- lookups ------------------------------------------------------------------------------ */

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

static rf_status find_sigmas(rf_course *c, const rf_sigma_table *table, const rf_job *job,
                             int steps, const char *combined, rf_error *err)
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
    rf_status st = RF_OK;
    if (job->sigmas && sampler->flags & (RF_SAMPLER_TIMESTEPS | RF_SAMPLER_ADAPTIVE))
        return rf_fail(err, RF_E_ARG, "sigmas: %s walks noise levels of its own, and none of these",
                       sampler->id.name);
    RF_TRY(rf_schedule_find(&c->schedule, name, sampler->automatic, err));
    if (job->sigmas)
        RF_TRY(rf_sigmas_parse(&c->sigmas, job->sigmas, err));
    else
        RF_TRY(rf_schedule_sigmas(c->schedule, table, steps, &options, &c->sigmas, err));
    c->sigma_max = c->sigmas.sigma[0];
    c->sigma_min = c->sigma_max;
    for (int i = 0; i <= c->sigmas.steps; i++)
        if (c->sigmas.sigma[i] > 0) c->sigma_min = c->sigmas.sigma[i];
done:
    return st;
}

/* ---- calls, and the stages that make them ------------------------------------------------- */

static rf_switch_request switch_request(const rf_course *c, const rf_sigma_table *table)
{
    return (rf_switch_request){.rule = c->rule,
                               .until = c->until,
                               .stages = c->stages,
                               .table = table,
                               .steps = c->steps,
                               .total_calls = c->nominal,
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

int rf_course_stage_at(const rf_course *course, const rf_sigma_table *table, int k, double sigma,
                       int previous)
{
    const rf_switch_request request = switch_request(course, table);
    /* exp(-(-log(x))) can miss x by a bit: no stage is to begin or end outside of the run */
    const double inside = fmin(fmax(sigma, course->sigma_min), course->sigma_max);
    if (course->rule == RF_SWITCH_STEPS && !course->exact_a1111)
        return stage_by_way(course, inside, previous);
    return rf_switch_stage(&request, k, k, 1, inside, previous);
}

int rf_course_skips_negative(const rf_job *job, int nominal, int k, double sigma)
{
    if (job->skip_early_cfg > 0 && (double)k / nominal <= job->skip_early_cfg) return 1;
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
static double switch_sigma(const rf_course *c, const rf_sigma_table *table, const rf_call *call)
{
    if (c->rule != RF_SWITCH_NOISE || isnan(call->timestep)) return call->sigma;
    int index = (int)call->timestep;
    if (c->exact_a1111 && (c->stage[0].sampler->flags & RF_SAMPLER_LCM))
        index /= RF_TRAIN_STEPS / RF_LCM_STEPS;
    return table->sigma[index];
}

int rf_course_negative(const rf_course *c, int stage)
{
    const rf_course_stage *s = &c->stage[stage];
    const rf_prompt       *prompt = c->set[s->set].prompt[RF_POSITIVE];
    double                 sum = 0;
    for (int i = 0; i < prompt->parts; i++)
        sum += (double)s->cfg / s->sampler->cfg_divisor * prompt->part[i].weight;
    return sum != 1 || (s->sampler->flags & RF_SAMPLER_UNCOND) != 0;
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

/* One stretch: from `first` to the end, or up to where a stage with another sampler takes over.
 * *stage is the stage of the last call, *end the step after it. */
static rf_status walk(rf_course *c, const rf_sigma_table *table, rf_sampler_request *request,
                      int *stage, int *end, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_calls          calls = {0};
    const rf_sampler *sampler = request->sampler;
    const int         from = c->calls;
    int               now = *stage, cut = -1;

    RF_TRY(rf_sampler_plan(request, &calls, err));
    if (request->first == 0) {
        c->start = calls.start;
        c->steps = calls.steps;
    }
    const rf_switch_request rule = switch_request(c, table);
    for (int i = 0; i < calls.count && cut < 0; i++) {
        const rf_call *call = &calls.call[i];
        const int      first_of_step = i == 0 || calls.call[i - 1].step != call->step;
        const int      next = rf_switch_stage(&rule, c->calls, call->step, first_of_step,
                                              switch_sigma(c, table, call), now);
        if (c->stage[next].sampler != sampler) {
            cut = call->step;
            if (!first_of_step)
                st = rf_fail(err, RF_E_ARG,
                             "stage %d has a sampler of its own and would begin inside a step of "
                             "%s",
                             next + 1, sampler->id.name);
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

/* Flags of a sampler that plans whole runs only. */
static int whole_runs_only(const rf_sampler *sampler)
{
    return (sampler->flags & (RF_SAMPLER_TIMESTEPS | RF_SAMPLER_OWN_GRID | RF_SAMPLER_ADAPTIVE)) !=
           0;
}

static rf_status check_samplers(const rf_course *c, rf_error *err)
{
    for (int i = 1; i < c->stages; i++)
        if (c->stage[i].sampler != c->stage[0].sampler &&
            (whole_runs_only(c->stage[0].sampler) || whole_runs_only(c->stage[i].sampler)))
            return rf_fail(err, RF_E_ARG,
                           "stage %d: %s and %s cannot share a run, for one of them walks noise "
                           "levels of its own",
                           i + 1, c->stage[0].sampler->id.name, c->stage[i].sampler->id.name);
    return RF_OK;
}

static rf_status plan_calls(rf_course *c, const rf_sigma_table *table, const rf_job *job,
                            rf_error *err)
{
    rf_status          st = RF_OK;
    rf_sampler_request request = {.settings = {.eta = job->eta,
                                               .s_churn = job->s_churn,
                                               .s_tmin = job->s_tmin,
                                               .s_tmax = job->s_tmax,
                                               .s_noise = job->s_noise},
                                  .table = table,
                                  .sigmas = &c->sigmas,
                                  .nominal_steps = c->nominal / c->calls_per_step,
                                  .next_draw = 1};
    int                stage = 0, first = 0;
    c->steps = c->sigmas.steps;
    const rf_switch_request rule = switch_request(c, table);
    RF_TRY(rf_switch_check(&rule, err));
    RF_TRY(check_samplers(c, err));
    if (c->adaptive) {
        if (c->rule == RF_SWITCH_STEP)
            return rf_fail(err, RF_E_ARG,
                           "%s has no numbered steps: switch by steps, noise or sigma",
                           c->stage[0].sampler->id.name);
        c->sigma_max = job->sigma_max > 0 ? job->sigma_max : table->sigma[RF_TRAIN_STEPS - 1];
        c->sigma_min = job->sigma_min > 0 ? job->sigma_min : table->sigma[0];
        c->start = c->sigma_max;
        goto done;
    }
    stage = rf_switch_stage(&rule, 0, 0, 1, c->sigmas.sigma[0], 0);
    while (first < c->sigmas.steps) {
        request.sampler = c->stage[stage].sampler;
        request.first = first;
        request.end = c->sigmas.steps;
        RF_TRY(walk(c, table, &request, &stage, &first, err));
    }
    for (int k = 0; k < c->calls; k++) {
        rf_course_call *call = &c->call[k];
        const rf_call  *s = &call->sampler;
        call->timestep = isnan(s->timestep)
                             ? (double)rf_timestep_for_sigma(table, s->sigma)
                             : (double)rf_f32_from_f16(rf_f16_from_f32((float)s->timestep));
        call->skips_negative = rf_course_skips_negative(
            job, c->nominal, k, goes_by_timestep(c) ? s->timestep : s->sigma);
    }
done:
    return st;
}

/* Samplers with a grid of their own: the noise levels their steps begin at. */
static rf_status note_walked_sigmas(rf_course *c, rf_error *err)
{
    if (c->adaptive || !whole_runs_only(c->stage[0].sampler)) return RF_OK;
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

/* ---- prompts ------------------------------------------------------------------------------ */

static rf_status add_set(rf_course *c, const char *positive, const char *negative, rf_error *err)
{
    rf_course_set *set = &c->set[c->sets++];
    set->text[RF_POSITIVE] = strdup(positive);
    set->text[RF_NEGATIVE] = strdup(negative);
    return set->text[RF_POSITIVE] && set->text[RF_NEGATIVE] ? RF_OK : no_memory(err);
}

/* What a stage leaves open is the stage before's, also of one that makes no call. */
static rf_status share_texts(rf_course *c, const rf_job *job, rf_error *err)
{
    rf_status   st = RF_OK;
    const char *positive = "", *negative = "";
    float       cfg = 6;
    for (int i = 0; i < c->stages; i++) {
        const rf_stage *s = &job->stages[i];
        if (s->prompt) positive = s->prompt;
        if (s->negative) negative = s->negative;
        if (!(s->cfg_scale < 0)) cfg = s->cfg_scale;
        /* DPM adaptive: where the hand-over falls is known in each stage, but not when */
        if (i == 0 || s->prompt || s->negative || c->adaptive)
            RF_TRY(add_set(c, positive, negative, err));
        c->stage[i].set = c->sets - 1;
        c->stage[i].cfg = cfg;
    }
done:
    return st;
}

/* A prompt has room for 100,000 tags; whoever listens may look each warning up among the others. */
enum { TAGS_TOLD = 16 };

static void warn_of_loras(const rf_prompt *prompt, rf_listener listener)
{
    char message[256];
    if (!listener.warn) return;
    for (int i = 0; i < prompt->tags && i < TAGS_TOLD; i++) {
        const rf_prompt_tag *tag = &prompt->tag[i];
        snprintf(message, sizeof message,
                 "<%.32s:%.128s> is not applied: this version of refinery has no LoRAs yet",
                 tag->kind, tag->arguments ? tag->argument[0] : "");
        listener.warn(listener.user, message);
    }
    if (prompt->tags > TAGS_TOLD) {
        snprintf(message, sizeof message, "%d further tags such as <lora:name> are not applied",
                 prompt->tags - TAGS_TOLD);
        listener.warn(listener.user, message);
    }
}

/* A call has a row per part, so that more of them ask for gigabytes; and every part of every call
 * is looked for in a list. */
enum { PARTS_MAX = 256 };

static rf_status parse_set(rf_course *c, const rf_job *job, int index, const int *handover,
                           int hires, rf_listener listener, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_course_set    *set = &c->set[index];
    const int         first_pass = hires ? job->steps : c->nominal / c->calls_per_step;
    rf_prompt_options options = {.emphasis = c->emphasis,
                                 .clock = {.nominal = first_pass * c->calls_per_step,
                                           .calls = c->calls,
                                           .hires_nominal = hires ? c->nominal : 0,
                                           .handover = handover,
                                           .handovers = c->stages - 1,
                                           .aligned = c->aligned,
                                           .aligned_is_count = c->rule == RF_SWITCH_STEP},
                                 .exact_a1111 = c->exact_a1111,
                                 .old_edits = job->old_edits,
                                 .warn = listener.warn,
                                 .user = listener.user};
    for (int p = 0; p < RF_POLARITIES; p++) {
        options.polarity = p == RF_POSITIVE ? RF_PROMPT_POSITIVE : RF_PROMPT_NEGATIVE;
        RF_TRY(rf_prompt_parse(&set->prompt[p], set->text[p], &options, err));
        if (set->prompt[p]->parts > PARTS_MAX)
            return rf_fail(err, RF_E_ARG, "a prompt has %d parts joined by AND; %d is the most",
                           set->prompt[p]->parts, PARTS_MAX);
    }
    warn_of_loras(set->prompt[RF_POSITIVE], listener);
done:
    return st;
}

static void align(rf_course *c)
{
    for (int i = 0; i + 1 < c->stages; i++)
        c->aligned[i] = c->rule == RF_SWITCH_SIGMA ? NAN : c->until[i];
}

static int same_texts(const rf_course_set *a, const rf_course_set *b)
{
    return strcmp(a->text[RF_POSITIVE], b->text[RF_POSITIVE]) == 0 &&
           strcmp(a->text[RF_NEGATIVE], b->text[RF_NEGATIVE]) == 0;
}

static rf_status parse_sets(rf_course *c, const rf_job *job, int hires, rf_listener listener,
                            rf_error *err)
{
    rf_status st = RF_OK;
    align(c);
    for (int i = 0; i < c->sets; i++) {
        rf_listener hears = listener;
        if (c->adaptive) { /* set i is stage i's: the hand-overs before it have been, no other */
            for (int k = 0; k + 1 < c->stages; k++) c->handover[k] = k < i ? 0 : -1;
            if (i + 1 < c->sets && same_texts(&c->set[i], &c->set[i + 1])) hears.warn = NULL;
        }
        RF_TRY(parse_set(c, job, i, c->handover, hires, hears, err));
    }
done:
    return st;
}

static rf_status place_entries(rf_course *c, rf_error *err)
{
    size_t room = 1;
    for (int i = 0; i < c->sets; i++) /* DPM adaptive looks entries up on the way */
        if (room < (size_t)c->set[i].prompt[RF_POSITIVE]->parts)
            room = (size_t)c->set[i].prompt[RF_POSITIVE]->parts;
    for (int k = 0; k < c->calls; k++)
        room += (size_t)c->set[c->stage[c->call[k].stage].set].prompt[RF_POSITIVE]->parts;
    c->entries = calloc(room, sizeof *c->entries);
    if (!c->entries) return no_memory(err);
    int *at = c->entries;
    for (int k = 0; k < c->calls; k++) {
        rf_course_call      *call = &c->call[k];
        const rf_course_set *set = &c->set[c->stage[call->stage].set];
        call->positive = at;
        for (int i = 0; i < set->prompt[RF_POSITIVE]->parts; i++)
            *at++ = rf_prompt_entry_at(&set->prompt[RF_POSITIVE]->part[i], k, c->exact_a1111);
        call->negative = rf_prompt_entry_at(&set->prompt[RF_NEGATIVE]->part[0], k, c->exact_a1111);
    }
    return RF_OK;
}

/* ---- what A1111 would do otherwise -------------------------------------------------------- */

static void warn_of_repairs(const rf_course *c, const rf_job *job, rf_listener listener)
{
    const unsigned flags = c->stage[0].sampler->flags;
    const int   scheduled = !job->sigmas && !c->adaptive && !whole_runs_only(c->stage[0].sampler);
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
    RF_TRY(allocate(&c, job, err));
    RF_TRY(find_rules(&c, job, err));
    RF_TRY(find_samplers(&c, job, &combined, err));
    const unsigned flags = c.stage[0].sampler->flags;
    c.adaptive = (flags & RF_SAMPLER_ADAPTIVE) != 0;
    c.calls_per_step = flags & RF_SAMPLER_SECOND_ORDER ? 2 : 1;
    RF_TRY(find_sigmas(&c, table, job, steps, combined, err));
    c.nominal = (job->sigmas ? c.sigmas.steps : steps) * c.calls_per_step;
    RF_TRY(plan_calls(&c, table, job, err));
    RF_TRY(note_walked_sigmas(&c, err));
    note_stages(&c);
    RF_TRY(share_texts(&c, job, err));
    RF_TRY(parse_sets(&c, job, hires_steps, listener, err));
    warn_of_repairs(&c, job, listener);
    RF_TRY(place_entries(&c, err));
    *out = c;
    c = (rf_course){0};
done:
    rf_course_free(&c);
    return st;
}

void rf_course_free(rf_course *c)
{
    for (int i = 0; i < c->sets; i++)
        for (int p = 0; p < RF_POLARITIES; p++) {
            free(c->set[i].text[p]);
            rf_prompt_free(c->set[i].prompt[p]);
        }
    free(c->stage);
    free(c->set);
    free(c->call);
    free(c->entries);
    free(c->sigmas.sigma);
    free(c->until);
    free(c->handover);
    free(c->aligned);
    *c = (rf_course){0};
}
