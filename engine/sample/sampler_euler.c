/* Samplers that go along eps = (x - D) / sigma: Euler, with fresh noise (Euler a), and averaged
 * over both ends of the step (Heun).  k-diffusion: sample_euler, sample_euler_ancestral,
 * sample_heun. */
#include "engine/sample/sampler_rule.h"

static void euler(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const double from = rf_plan_churn(p, sigma[i]);
        rf_call     *call = rf_plan_call(p, i, from);
        rf_plan_line(call->next, RF_SOURCE_X, from, sigma[i + 1]);
    }
}

static void euler_a(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const rf_ancestral way = rf_ancestral_step(sigma[i], sigma[i + 1], p->set.eta);
        rf_call           *call = rf_plan_call(p, i, sigma[i]);
        rf_plan_line(call->next, RF_SOURCE_X, sigma[i], way.down);
        if (sigma[i + 1] > 0) rf_plan_noise(p, call, way.up * p->set.s_noise);
    }
}

void rf_plan_heun(rf_planner *p, int step, double sigma, double to)
{
    const double half = (to - sigma) / 2;
    rf_call     *call = rf_plan_call(p, step, sigma);
    rf_plan_line(call->next, RF_SOURCE_X, sigma, to);
    if (to == 0) return;

    /* The anchor is halfway; the other half goes along the eps at the end. */
    double anchor[RF_SOURCES] = {[RF_SOURCE_X] = 1}, next[RF_SOURCES] = {[RF_SOURCE_ANCHOR] = 1};
    rf_row_eps(anchor, half, sigma);
    rf_row_round(call->anchor, anchor);
    call->keeps_anchor = 1;
    call->last = 0;

    call = rf_plan_call(p, step, to);
    rf_row_eps(next, half, to);
    rf_row_round(call->next, next);
}

static void heun(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++)
        rf_plan_heun(p, i, rf_plan_churn(p, sigma[i]), sigma[i + 1]);
}

const rf_sampler_rule rf_rule_euler = {euler};
const rf_sampler_rule rf_rule_euler_a = {euler_a};
const rf_sampler_rule rf_rule_heun = {heun};
