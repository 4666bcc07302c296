/* Samplers that walk table indices: DDIM (Song et al. 2021), DDIM CFG++ (Chung et al. 2024), PLMS
 * (Liu et al. 2022).
 *
 * Their papers scale the latent to variance 1, x_vp = x / sqrt(1 + sigma^2).  In sigma space the
 * scale falls out: DDIM is the ancestral Euler step, PLMS Euler along a mean of eps.  It stays at
 * both ends: they begin with plain noise, and what is decoded is x_vp at the lowest index, which is
 * not evaluated itself. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

int rf_timestep_count(int steps)
{
    const int stride = RF_TRAIN_STEPS / steps;
    return (RF_TRAIN_STEPS + stride - 1) / stride;
}

/* One step of the walk, from the highest index of the list down. */
typedef struct stride {
    int    t;         /* the index evaluated */
    double sigma, to; /* its level and the next one's */
    double scale;     /* of the new x: 1, at the end that of x_vp */
} stride;

static int strides(const rf_planner *p)
{
    const int all = rf_timestep_count(p->request->sigmas->steps) - 1, enter = p->request->enter;
    return enter && enter < all ? enter : all;
}

static int index_at(const rf_planner *p, int j)
{
    const int t = j * (RF_TRAIN_STEPS / p->request->sigmas->steps) + 1;
    return t < RF_TRAIN_STEPS ? t : RF_TRAIN_STEPS - 1;
}

static stride stride_at(const rf_planner *p, int step)
{
    const int     j = strides(p) - step; /* of the list, ascending */
    const double *sigma = p->request->table->sigma;
    stride        s = {.t = index_at(p, j), .scale = 1};
    s.sigma = sigma[s.t];
    s.to = sigma[index_at(p, j - 1)];
    if (j == 1) s.scale = 1 / hypot(1, s.to);
    return s;
}

/* What plain noise is multiplied by, to be at the first level; on top of a picture it is noise of
 * that level. */
static double start_of(const rf_planner *p)
{
    const double sigma = p->request->table->sigma[index_at(p, strides(p))];
    return p->request->enter ? sigma : hypot(1, sigma);
}

static rf_call *call_at(rf_planner *p, int step, int t)
{
    rf_call *call = rf_plan_call(p, step, p->request->table->sigma[t]);
    call->timestep = t;
    return call;
}

static void round_scaled(rf_call *call, double scale, double *row)
{
    for (int i = 0; i < RF_SOURCES; i++) row[i] *= scale;
    rf_row_round(call->next, row);
}

/* x0 from `toward`'s eps is D; the direction back to noise is its own or the negative prompt's. */
static void ddim_along(rf_planner *p, rf_source toward)
{
    p->calls.start = start_of(p);
    for (int i = 0; i < strides(p); i++) {
        const stride       s = stride_at(p, i);
        const rf_ancestral way = rf_ancestral_step(s.sigma, s.to, p->set.eta);
        rf_call           *call = call_at(p, i, s.t);
        double             row[RF_SOURCES] = {[RF_SOURCE_D] = 1};
        row[RF_SOURCE_X] += way.down / s.sigma;
        row[toward] -= way.down / s.sigma;
        round_scaled(call, s.scale, row);
        rf_plan_noise(p, call, way.up * s.scale);
    }
}

static void ddim(rf_planner *p)
{
    ddim_along(p, RF_SOURCE_D);
}

static void ddim_cfgpp(rf_planner *p)
{
    ddim_along(p, RF_SOURCE_U);
}

/* Adams-Bashforth on equal steps: of this eps and the three before. */
static const double WEIGHTS[4][4] = {
    {1}, /* not used: the first step is Heun's */
    {3.0 / 2, -1.0 / 2},
    {23.0 / 12, -16.0 / 12, 5.0 / 12},
    {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24},
};

/* Along the mean of eps at both ends; the second call is not remembered. */
static void first_stride(rf_planner *p, stride s)
{
    double   row[RF_SOURCES] = {[RF_SOURCE_ANCHOR] = 1};
    rf_call *call = call_at(p, 0, s.t);
    rf_plan_line(call->next, RF_SOURCE_X, s.sigma, s.to);
    rf_plan_anchor_here(call);
    rf_plan_remember_eps(call);
    call->last = 0;

    call = call_at(p, 0, index_at(p, strides(p) - 1));
    row[RF_SOURCE_H1] = (s.to - s.sigma) / 2;
    rf_row_eps(row, (s.to - s.sigma) / 2, s.to);
    round_scaled(call, s.scale, row);
}

static void plms(rf_planner *p)
{
    p->calls.start = start_of(p);
    for (int i = 0; i < strides(p); i++) {
        const stride  s = stride_at(p, i);
        const double *weight = WEIGHTS[i < 3 ? i : 3];
        if (i == 0) {
            first_stride(p, s);
            continue;
        }
        double   row[RF_SOURCES] = {[RF_SOURCE_X] = 1};
        rf_call *call = call_at(p, i, s.t);
        rf_row_eps(row, (s.to - s.sigma) * weight[0], s.sigma);
        for (int j = 1; j < 4; j++) row[RF_SOURCE_H1 + j - 1] = (s.to - s.sigma) * weight[j];
        round_scaled(call, s.scale, row);
        rf_plan_remember_eps(call);
    }
}

const rf_sampler_rule rf_rule_ddim = {ddim};
const rf_sampler_rule rf_rule_ddim_cfgpp = {ddim_cfgpp};
const rf_sampler_rule rf_rule_plms = {plms};
