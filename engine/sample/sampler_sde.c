/* DPM-Solver++ for the diffusion SDE, with noise from a Brownian path.  k-diffusion:
 * sample_dpmpp_sde, sample_dpmpp_2m_sde (midpoint and heun), sample_dpmpp_3m_sde.
 *
 * h is a step in -ln sigma.  eta lets the old noise decay faster, by e^(-eta h), and fresh noise
 * fill up what is missing: variances add to that of the next level. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

/* sigma as DPM++ SDE sees it, through f32 t = -ln sigma and back: the path is asked for these
 * times, and one unit in the last place can move their sixth decimal. */
static double through_log(double sigma)
{
    const float t = (float)-log(sigma);
    return (float)exp(-(double)t);
}

/* Halfway from sigma to `to` in ln sigma, in the same arithmetic. */
static double halfway(double sigma, double to)
{
    const float t = (float)-log(sigma);
    const float h = (float)-log(to) - t;
    const float s = t + h * 0.5f;
    return (float)exp(-(double)s);
}

static void dpmpp_sde(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        rf_call *call = rf_plan_call(p, i, sigma[i]);
        if (sigma[i + 1] == 0) {
            rf_plan_line(call->next, RF_SOURCE_X, sigma[i], 0);
            continue;
        }
        const double from = through_log(sigma[i]), to = through_log(sigma[i + 1]);
        const double middle = halfway(sigma[i], sigma[i + 1]);
        rf_ancestral way = rf_ancestral_step(from, middle, p->set.eta);
        rf_plan_line(call->next, RF_SOURCE_X, from, way.down);
        rf_plan_brownian(call, way.up * p->set.s_noise, from, middle);
        rf_plan_anchor_here(call);
        call->last = 0;

        call = rf_plan_call(p, i, middle);
        way = rf_ancestral_step(from, to, p->set.eta);
        rf_plan_line(call->next, RF_SOURCE_ANCHOR, from, way.down);
        rf_plan_brownian(call, way.up * p->set.s_noise, from, to);
    }
}

/* What the multistep samplers share: a step of length h from sigma, D taken as constant. */
static double first_order(rf_planner *p, rf_call *call, double to, double *row)
{
    const double h = log(call->sigma / to), eta = p->set.eta;
    row[RF_SOURCE_X] = exp(-h - eta * h);
    row[RF_SOURCE_D] = -expm1(-h - eta * h);
    rf_plan_brownian(call, to * sqrt(-expm1(-2 * eta * h)) * p->set.s_noise, call->sigma, to);
    return h;
}

/* The rest of the row beside the noise, which is there already. */
static void finish(rf_planner *p, rf_call *call, const double *row)
{
    for (int i = 0; i < RF_SOURCES; i++)
        if (i != RF_SOURCE_NOISE) call->next[i] = (float)row[i];
    rf_plan_remember_x0(p, call);
}

/* Weight of (D - H1) h / h_last in a step of length hh = h (1 + eta). */
static double midpoint_weight(double hh)
{
    return -expm1(-hh) / 2;
}

static double heun_weight(double hh)
{
    return hh * rf_phi(2, -hh);
}

static void two_steps(rf_planner *p, double (*weight)(double))
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        double   row[RF_SOURCES] = {0};
        rf_call *call = rf_plan_call(p, i, sigma[i]);
        if (sigma[i + 1] > 0) {
            const double h = first_order(p, call, sigma[i + 1], row);
            if (p->calls.history_count > 0) {
                const double h_last = log(p->calls.history[0] / sigma[i]);
                const double w = weight(h * (1 + p->set.eta)) * h / h_last;
                row[RF_SOURCE_D] += w;
                row[RF_SOURCE_H1] -= w;
            }
        } else {
            row[RF_SOURCE_D] = 1;
        }
        finish(p, call, row);
    }
}

static void dpmpp_2m_sde(rf_planner *p)
{
    two_steps(p, midpoint_weight);
}

static void dpmpp_2m_sde_heun(rf_planner *p)
{
    two_steps(p, heun_weight);
}

/* Divided differences of x0 over the last three levels, as 3M SDE weighs them. */
static void third_order(double *row, double h, double hh, double h1, double h2)
{
    const double r0 = h1 / h, r1 = h2 / h;
    const double phi2 = hh * rf_phi(2, -hh), phi3 = -hh * rf_phi(3, -hh); /* k-diffusion's */
    /* phi2 d1 - phi3 d2 with d1 = a + (a - b) r0 / (r0 + r1), d2 = (a - b) / (r0 + r1) */
    const double spread = (phi2 * r0 - phi3) / (r0 + r1);
    const double a = (phi2 + spread) / r0; /* of D - H1 */
    const double b = -spread / r1;         /* of H1 - H2 */
    row[RF_SOURCE_D] += a;
    row[RF_SOURCE_H1] += b - a;
    row[RF_SOURCE_H2] -= b;
}

static void dpmpp_3m_sde(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    const double *level = p->calls.history;
    for (int i = p->request->first; i < p->request->end; i++) {
        double   row[RF_SOURCES] = {0};
        rf_call *call = rf_plan_call(p, i, sigma[i]);
        if (sigma[i + 1] > 0) {
            const double h = first_order(p, call, sigma[i + 1], row);
            const double hh = h * (1 + p->set.eta);
            if (p->calls.history_count > 1) {
                third_order(row, h, hh, log(level[0] / sigma[i]), log(level[1] / level[0]));
            } else if (p->calls.history_count > 0) {
                const double w = heun_weight(hh) * h / log(level[0] / sigma[i]);
                row[RF_SOURCE_D] += w;
                row[RF_SOURCE_H1] -= w;
            }
        } else {
            row[RF_SOURCE_D] = 1;
        }
        finish(p, call, row);
    }
}

const rf_sampler_rule rf_rule_sde = {dpmpp_sde};
const rf_sampler_rule rf_rule_2m_sde = {dpmpp_2m_sde};
const rf_sampler_rule rf_rule_2m_sde_heun = {dpmpp_2m_sde_heun};
const rf_sampler_rule rf_rule_3m_sde = {dpmpp_3m_sde};
