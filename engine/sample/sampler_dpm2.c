/* DPM-Solver-2 (Lu et al. 2022): the whole step goes along the eps met halfway, in ln sigma.
 * k-diffusion: sample_dpm_2, sample_dpm_2_ancestral. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

/* The last call of the step. */
static rf_call *step_to(rf_planner *p, int step, double sigma, double to)
{
    rf_call *call = rf_plan_call(p, step, sigma);
    if (to == 0) {
        rf_plan_line(call->next, RF_SOURCE_X, sigma, to);
        return call;
    }
    const double middle = sqrt(sigma * to);
    double       next[RF_SOURCES] = {[RF_SOURCE_ANCHOR] = 1};
    rf_plan_line(call->next, RF_SOURCE_X, sigma, middle);
    rf_plan_anchor_here(call);
    call->last = 0;

    call = rf_plan_call(p, step, middle);
    rf_row_eps(next, to - sigma, middle);
    rf_row_round(call->next, next);
    return call;
}

static void dpm2(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++)
        step_to(p, i, rf_plan_churn(p, sigma[i]), sigma[i + 1]);
}

/* Where all of the next level is fresh noise, nothing is added: so it is in k-diffusion. */
static void dpm2_a(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const rf_ancestral way = rf_ancestral_step(sigma[i], sigma[i + 1], p->set.eta);
        rf_call           *call = step_to(p, i, sigma[i], way.down);
        if (way.down > 0) rf_plan_noise(p, call, way.up * p->set.s_noise);
    }
}

const rf_sampler_rule rf_rule_dpm2 = {dpm2};
const rf_sampler_rule rf_rule_dpm2_a = {dpm2_a};
