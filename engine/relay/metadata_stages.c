/* See metadata_stages.h. */
#include "engine/relay/metadata_stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/relay/job_json.h"

static const char *text_of(const rf_plan_job *j, int number, int polarity)
{
    const rf_course *c = &j->course;
    const int        i = j->active[number];
    return polarity == RF_NEGATIVE ? rf_metadata_negative(j, i) : c->set[c->stage[i].set].text[0];
}

/* A1111's keys cannot say that a refiner has no negative prompt where the first stage has one. */
static int drops_negative(const rf_plan_job *j)
{
    const int last = j->active_count - 1;
    return *text_of(j, 0, RF_NEGATIVE) && !*text_of(j, last, RF_NEGATIVE) &&
           j->negative_weighs[j->active[last]];
}

/* Whether stages have numbers that the others have not, or move their CFG. */
static int says_more(const rf_plan_job *j)
{
    const rf_course *c = &j->course;
    for (int i = 0; i < j->active_count; i++) {
        const rf_course_stage *s = &c->stage[j->active[i]], *first = &c->stage[j->active[0]];
        if (s->cfg_ramp != 0 || s->clip_skip != first->clip_skip) return 1;
        if (!rf_sampler_same_settings(s->sampler, &s->settings, &first->settings)) return 1;
    }
    return j->active_count > 2 || drops_negative(j);
}

static rf_stage_sampling sampling_of(const rf_course_stage *s)
{
    return (rf_stage_sampling){.eta = s->settings.eta,
                               .s_churn = s->settings.s_churn,
                               .s_tmin = s->settings.s_tmin,
                               .s_tmax = s->settings.s_tmax,
                               .s_noise = s->settings.s_noise};
}

static rf_status write_pair(rf_stage_pairs *out, const rf_plan_job *j, int number, rf_error *err)
{
    const int              i = j->active[number], last = number + 1 == j->active_count;
    const rf_course       *c = &j->course;
    const rf_course_stage *s = &c->stage[i], *first = &c->stage[j->active[0]];
    rf_expert             *e = j->job.stages[i].expert;
    rf_stage               stage = {.cfg_scale = s->cfg, .cfg_ramp = s->cfg_ramp};
    rf_file_ref            file = {.name = NULL};
    rf_stage_sampling      sampling = sampling_of(s);
    if (!last) stage.until = c->until[j->active[number + 1] - 1];
    if (number > 0) {
        if (s->clip_skip != first->clip_skip) stage.clip_skip = s->clip_skip;
        if (!rf_sampler_same_settings(s->sampler, &s->settings, &first->settings))
            stage.sampling = &sampling;
        const char *prompt = text_of(j, number, RF_POSITIVE);
        const char *negative = text_of(j, number, RF_NEGATIVE);
        if (strcmp(prompt, text_of(j, number - 1, RF_POSITIVE)) != 0) stage.prompt = prompt;
        if (strcmp(negative, text_of(j, number - 1, RF_NEGATIVE)) != 0) stage.negative = negative;
    }
    if (number > 0 && !last) {
        file.name = e->name;
        file.sha256 = rf_metadata_hash(e->engine, e->hash, e->name);
        stage.sampler = s->sampler->id.name;
    }
    snprintf(out->key[number], sizeof out->key[number], "Stage %d", number + 1);
    out->count = number + 1;
    return rf_stage_json(&out->value[number], &stage, file.name ? &file : NULL, err);
}

rf_status rf_stage_pairs_write(rf_stage_pairs *out, const rf_plan_job *j, rf_error *err)
{
    rf_status st = RF_OK;
    *out = (rf_stage_pairs){.count = 0};
    if (!says_more(j)) return RF_OK;
    for (int i = 0; i < j->active_count; i++) RF_TRY(write_pair(out, j, i, err));
done:
    return st;
}

void rf_stage_pairs_free(rf_stage_pairs *pairs)
{
    for (int i = 0; i < pairs->count; i++) free(pairs->value[i]);
    pairs->count = 0;
}
