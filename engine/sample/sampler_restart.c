/* Restart (Xu et al. 2023): Heun, and near the end it goes back up once or twice by adding noise
 * and comes down again, as A1111 spaces it.
 *
 *   steps     main grid            ups   steps of each
 *   1..19     the schedule         0
 *   20..35    Karras, steps - 9    1     9
 *   36..      Karras, the rest     2     steps / 4
 *
 * An up goes from the level nearest to 0.1 to the level nearest to 2. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

typedef struct restarts {
    int           main, ups, steps; /* steps of the main grid; ups; steps of each */
    const double *sigma;            /* the schedule's ends, of the main grid's if there are ups */
    int           last;             /* index of the lowest level in it that is not the end */
} restarts;

static restarts restarts_of(const rf_sigmas *s)
{
    restarts r = {.main = s->steps, .sigma = s->sigma, .last = s->steps - 1};
    if (s->steps >= 36) {
        r.ups = 2;
        r.steps = s->steps / 4;
    } else if (s->steps >= 20) {
        r.ups = 1;
        r.steps = 9;
    }
    r.main -= r.ups * r.steps;
    return r;
}

/* i-th of n levels from high to low (Karras et al. 2022, eq. 5, rho 7), rounded as a schedule's. */
static double karras(int i, int n, double high, double low)
{
    const double rho = 7, from = pow(high, 1 / rho), to = pow(low, 1 / rho);
    return (float)pow(from + (double)i / (n - 1) * (to - from), rho);
}

/* Level i of the main grid, 0..main. */
static double level(const restarts *r, int i)
{
    if (r->ups == 0) return r->sigma[i];
    return i < r->main ? karras(i, r->main, r->sigma[0], r->sigma[r->last]) : 0;
}

static int nearest(const restarts *r, double sigma)
{
    int best = 0;
    for (int i = 1; i <= r->main; i++)
        if (fabs(level(r, i) - sigma) < fabs(level(r, best) - sigma)) best = i;
    return best;
}

/* From `low` up to `high` and down again; returns the step after. */
static int up_and_down(rf_planner *p, int step, const restarts *r, double low, double high)
{
    rf_plan_before(p, p->set.s_noise * sqrt((high - low) * (high + low)));
    for (int i = 0; i < r->steps; i++)
        rf_plan_heun(p, step++, karras(i, r->steps + 1, high, low),
                     karras(i + 1, r->steps + 1, high, low));
    return step;
}

static void restart(rf_planner *p)
{
    const restarts r = restarts_of(p->request->sigmas);
    const int      bottom = r.ups > 0 ? nearest(&r, 0.1) : 0, top = nearest(&r, 2);
    int            step = 0;
    for (int i = 0; i < r.main; i++) {
        rf_plan_heun(p, step++, level(&r, i), level(&r, i + 1));
        if (i + 1 == bottom && top < bottom)
            for (int k = 0; k < r.ups; k++)
                step = up_and_down(p, step, &r, level(&r, bottom), level(&r, top));
    }
}

const rf_sampler_rule rf_rule_restart = {restart};
