/* Classifier-free guidance of every call.  A stage's CFG moves evenly from its first call to its
 * last; one that says none of its own goes on where the stage before it ends, also where that makes
 * no call. */
#include "engine/relay/course_parts.h"

#include <math.h>

enum { USUAL_CFG = 6 };

static float at_least_0(double cfg)
{
    return cfg > 0 ? (float)cfg : 0;
}

/* Of call i of `calls`; a single call has the first value. */
static double guidance(const rf_course_stage *s, int i, int calls)
{
    if (s->cfg_ramp == 0) return (double)s->cfg;
    const double way = calls > 1 ? (double)i / (calls - 1) : 0;
    return fmax(0, (double)s->cfg + (double)s->cfg_ramp * way);
}

rf_status rf_course_plan_guidance(rf_course *c, const rf_job *job, rf_error *err)
{
    float before = USUAL_CFG;
    for (int i = 0; i < c->stages; i++) {
        const rf_stage  *from = &job->stages[i];
        rf_course_stage *to = &c->stage[i];
        to->cfg = from->cfg_scale < 0 ? before : from->cfg_scale;
        to->cfg_ramp = from->cfg_ramp;
        before = to->cfg_ramp == 0 ? to->cfg : at_least_0((double)to->cfg + (double)to->cfg_ramp);
        if (c->adaptive && to->cfg_ramp != 0)
            return rf_fail(err, RF_E_ARG,
                           "stage %d: cfg_ramp is spread over the stage's calls, and how many %s "
                           "makes depends on the picture",
                           i + 1, to->sampler->id.name);
    }
    for (int k = 0, first = 0; k < c->calls; k++) {
        const int stage = c->call[k].stage;
        if (k > 0 && c->call[k - 1].stage != stage) first = k;
        c->call[k].cfg = guidance(&c->stage[stage], k - first, c->stage[stage].calls);
    }
    return RF_OK;
}

int rf_course_negative(const rf_course *c, int stage, double cfg)
{
    const rf_course_stage *s = &c->stage[stage];
    const rf_prompt       *prompt = c->set[s->set].prompt[RF_POSITIVE];
    double                 sum = 0;
    for (int i = 0; i < prompt->parts; i++)
        sum += cfg / s->sampler->cfg_divisor * prompt->part[i].weight;
    return sum != 1 || (s->sampler->flags & RF_SAMPLER_UNCOND) != 0;
}
