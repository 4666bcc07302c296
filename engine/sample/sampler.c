/* Both samplers here are one Euler step of dx/dsigma = (x - D) / sigma, whose right side is the
 * guided eps itself: x never needs a coefficient other than 1, and x0 is never formed. */
#include "engine/sample/sampler.h"

#include <math.h>

/* x moves along the guided eps from `sigma` to `to`, then gets `up` of fresh noise. */
static void euler_to(const rf_step_request *r, double to, double up, rf_sampler_step *step)
{
    const double move = to - r->sigma;
    step->coef[RF_SOURCE_X] = 1;
    step->coef[RF_SOURCE_COND] = (float)(r->cfg * move);
    step->coef[RF_SOURCE_UNCOND] = r->cfg == 1 ? 0 : (float)((1 - r->cfg) * move);
    step->coef[RF_SOURCE_NOISE] = (float)up;
}

/* k-diffusion, sample_euler without churn.  It draws a tensor per step all the same. */
static void euler(const rf_step_request *r, rf_sampler_step *step)
{
    euler_to(r, r->sigma_next, 0, step);
    step->draw = -1;
    step->draws = 1;
}

/* k-diffusion, sample_euler_ancestral: down to less noise than wanted, then up by adding fresh
 * noise, with down^2 + up^2 = sigma_next^2 (get_ancestral_step).  Nothing is drawn on the way to
 * 0; eta 0 draws a tensor and does not use it. */
static void euler_ancestral(const rf_step_request *r, rf_sampler_step *step)
{
    const double next = r->sigma_next;
    const double kept = next / r->sigma; /* < 1 */
    const double up = fmin(next, r->eta * next * sqrt((1 - kept) * (1 + kept)));
    const double down = sqrt((next - up) * (next + up));
    euler_to(r, down, up * r->s_noise, step);
    step->draws = next > 0 ? 1 : 0;
    step->draw = step->coef[RF_SOURCE_NOISE] != 0 ? r->next_draw : -1;
}

static const rf_sampler SAMPLERS[] = {
    {.id = {.name = "Euler a", .alias = {"k_euler_a", "k_euler_ancestral"}},
     .automatic = "Uniform",
     .flags = RF_SAMPLER_ANCESTRAL,
     .plan = euler_ancestral},
    {.id = {.name = "Euler", .alias = {"k_euler"}}, .automatic = "Uniform", .plan = euler},
};

rf_status rf_sampler_find(const rf_sampler **out, const char *name, rf_error *err)
{
    const rf_name_table table = {"sampler", SAMPLERS, sizeof *SAMPLERS,
                                 (int)(sizeof SAMPLERS / sizeof *SAMPLERS)};
    const void         *row = NULL;
    const rf_status     st = rf_name_find(&row, &table, name, err);
    *out = (const rf_sampler *)row;
    return st;
}

static rf_status check_request(const rf_step_request *r, rf_error *err)
{
    if (!isfinite(r->sigma) || !(r->sigma_next >= 0) || !(r->sigma > r->sigma_next))
        return rf_fail(err, RF_E_ARG, "noise levels must fall: a step from sigma %g to %g",
                       r->sigma, r->sigma_next);
    if (!isfinite((float)r->sigma) || (float)(r->sigma - r->sigma_next) == 0)
        return rf_fail(err, RF_E_ARG, "a step from sigma %g to %g does not fit f32", r->sigma,
                       r->sigma_next);
    if (!isfinite(r->cfg)) return rf_fail(err, RF_E_ARG, "the CFG scale is %g", r->cfg);
    if (!isfinite(r->eta) || r->eta < 0) return rf_fail(err, RF_E_ARG, "eta is %g", r->eta);
    if (!isfinite(r->s_noise)) return rf_fail(err, RF_E_ARG, "s_noise is %g", r->s_noise);
    if (r->next_draw < 1)
        return rf_fail(err, RF_E_ARG, "noise draw %d: draw 0 is the initial noise", r->next_draw);
    return RF_OK;
}

rf_status rf_sampler_plan(const rf_sampler *sampler, const rf_step_request *request,
                          rf_sampler_step *step, rf_error *err)
{
    rf_status       st = RF_OK;
    rf_sampler_step planned = {.draw = -1};
    RF_TRY(check_request(request, err));
    planned.input_scale = (float)(1 / sqrt(request->sigma * request->sigma + 1));
    sampler->plan(request, &planned);
    for (int i = 0; i < RF_SOURCES; i++)
        if (!isfinite(planned.coef[i])) { /* a finite setting, but too large for f32 */
            st = rf_fail(err, RF_E_ARG, "CFG scale %g, eta %g or s_noise %g is too large",
                         request->cfg, request->eta, request->s_noise);
            goto done;
        }
    *step = planned;
done:
    return st;
}
