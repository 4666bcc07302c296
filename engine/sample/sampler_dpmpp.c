/* DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095): steps exact for an x0 that is constant, or
 * linear, in ln sigma.  2M extrapolates from the step before, 2S a looks halfway ahead.
 * k-diffusion: sample_dpmpp_2m, sample_dpmpp_2s_ancestral. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

static void dpmpp_2m(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const double to = sigma[i + 1];
        rf_call     *call = rf_plan_call(p, i, sigma[i]);
        rf_plan_line(call->next, RF_SOURCE_X, sigma[i], to);
        if (to > 0 && p->calls.history_count > 0) {
            const double r = log(p->calls.history[0] / sigma[i]) / log(sigma[i] / to);
            const double moved = (sigma[i] - to) / sigma[i];
            call->next[RF_SOURCE_D] = (float)(moved * (1 + 1 / (2 * r)));
            call->next[RF_SOURCE_H1] = (float)(-moved / (2 * r));
        }
        rf_plan_remember_x0(p, call);
    }
}

static void dpmpp_2s_a(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const rf_ancestral way = rf_ancestral_step(sigma[i], sigma[i + 1], p->set.eta);
        rf_call           *call = rf_plan_call(p, i, sigma[i]);
        if (way.down > 0) {
            const double middle = sqrt(sigma[i] * way.down);
            rf_plan_line(call->next, RF_SOURCE_X, sigma[i], middle);
            rf_plan_anchor_here(call);
            call->last = 0;
            call = rf_plan_call(p, i, middle);
            rf_plan_line(call->next, RF_SOURCE_ANCHOR, sigma[i], way.down);
        } else {
            rf_plan_line(call->next, RF_SOURCE_X, sigma[i], 0);
        }
        if (sigma[i + 1] > 0) rf_plan_noise(p, call, way.up * p->set.s_noise);
    }
}

const rf_sampler_rule rf_rule_2m = {dpmpp_2m};
const rf_sampler_rule rf_rule_2s_a = {dpmpp_2s_a};
