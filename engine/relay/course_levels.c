/* Experts that know different noise levels in one run.
 *
 * A run has the levels of the first expert at work; where it hands over, the next one finds the
 * timestep of a level in its own table.  Which expert is the first may depend on the levels: they
 * are planned, looked at, and planned again by the expert that turned out to be it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/relay/course_parts.h"
#include "engine/relay/engine.h"
#include "kernels/half.h"

/* Equal tables become one, so that pointers tell. */
static void begin_with(rf_course *c, int stage)
{
    c->first = stage;
    c->table = c->stage[stage].table;
    for (int i = 0; i < c->stages; i++)
        if (rf_sigma_tables_equal(c->stage[i].table, c->table)) c->stage[i].table = c->table;
}

void rf_course_find_tables(rf_course *c, const rf_sigma_table *table, const rf_job *job)
{
    for (int i = 0; i < c->stages; i++) {
        const rf_expert *expert = job->stages[i].expert;
        c->stage[i].table = expert ? rf_expert_table(expert) : table;
    }
    begin_with(c, 0);
}

int rf_course_begins_elsewhere(rf_course *c)
{
    const int stage =
        c->adaptive ? rf_course_stage_at(c, 0, c->sigma_max, c->first) : c->call[0].stage;
    if (c->stage[stage].table == c->table) return 0;
    begin_with(c, stage);
    free(c->call);
    free(c->sigmas.sigma);
    c->call = NULL;
    c->calls = 0;
    c->sigmas = (rf_sigmas){0};
    return 1;
}

double rf_course_timestep(const rf_course *c, const rf_course_call *call)
{
    const rf_call        *s = &call->sampler;
    const rf_sigma_table *table = c->stage[call->stage].table;
    if (isnan(s->timestep) || table->continuous || table != c->table)
        return (double)rf_timestep_for_sigma(table, s->sigma);
    return (double)rf_f32_from_f16(rf_f16_from_f32((float)s->timestep));
}

/* ---- warnings ----------------------------------------------------------------------------- */

static double highest(const rf_course *c, int stage)
{
    return c->stage[stage].table->sigma[RF_TRAIN_STEPS - 1];
}

/* Where the stage takes over, or for DPM adaptive the highest level that its expert knows if it
 * would take over above it; 0: it does not take part. */
static double takes_over_at(const rf_course *c, int stage)
{
    const double above = highest(c, stage) * 1.001;
    if (!c->adaptive) {
        const int call = c->stage[stage].calls > 0 ? c->stage[stage].first_call : -1;
        return call < 0 ? 0 : c->call[call].sampler.sigma;
    }
    return above < c->sigma_max && rf_course_stage_at(c, 1, above, c->first) >= stage ? above : 0;
}

void rf_course_warn_of_levels(const rf_course *c, const rf_job *job, rf_listener listener)
{
    char message[RF_ERROR_BYTES];
    if (!listener.warn) return;
    for (int i = 0; i < c->stages; i++) {
        const rf_expert *expert = job->stages[i].expert;
        if (!c->adaptive && c->stage[i].calls == 0) continue;
        if (expert && *rf_expert_prediction(expert)->doubt) {
            snprintf(message, sizeof message, "%.200s: %s", expert->name,
                     rf_expert_prediction(expert)->doubt);
            listener.warn(listener.user, message);
        }
        if (i == c->first || takes_over_at(c, i) <= highest(c, i) * 1.0001) continue;
        snprintf(message, sizeof message,
                 "stage %d takes over at sigma %.4g or above, but %.200s knows noise levels up to "
                 "%.4g: let it take over later",
                 i + 1, takes_over_at(c, i), expert ? expert->name : "an SDXL expert",
                 highest(c, i));
        listener.warn(listener.user, message);
    }
}
