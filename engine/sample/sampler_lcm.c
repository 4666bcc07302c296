/* LCM (Luo et al. 2023): jumps to x0 and adds the next level's noise anew.  The model is asked only
 * at 50 of its 1000 steps, and its x0 goes through the boundary condition of consistency models
 * (Song et al. 2023, app. C) with sigma_data 0.5 and time scaled by 10, as A1111 runs it. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

enum { STRIDE = RF_TRAIN_STEPS / RF_LCM_STEPS };

/* The nearest of the steps 19, 39, ..., 999, by distance in ln sigma.  Uniform's levels can lie
 * halfway between two (5 steps: 509): A1111 takes the first of equals, in f32. */
static int nearest(const rf_sigma_table *table, double sigma)
{
    const double x = log(sigma), f32 = 1e-6; /* logarithms up to 4 with a few roundings */
    double       least = INFINITY;
    int          best = 0;
    for (int t = STRIDE - 1; t < RF_TRAIN_STEPS; t += STRIDE) {
        const double distance = fabs(x - table->log_sigma[t]);
        if (distance < least - f32) {
            least = distance;
            best = t;
        }
    }
    return best;
}

static void lcm(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        const double data = 0.5;
        rf_call     *call = rf_plan_call(p, i, sigma[i]);
        call->timestep = nearest(p->request->table, sigma[i]);
        const double time = 10 * call->timestep, square = time * time + data * data;
        call->next[RF_SOURCE_X] = (float)(data * data / square);
        call->next[RF_SOURCE_D] = (float)(time / sqrt(square));
        if (sigma[i + 1] > 0) rf_plan_noise(p, call, sigma[i + 1]);
    }
}

const rf_sampler_rule rf_rule_lcm = {lcm};
