/* DPM fast: DPM-Solver of order 3 (Lu et al. 2022, algorithm 2) over equal steps in ln sigma, as
 * many calls as the user asked steps, with a step of order 2 or 1 at the end.  k-diffusion:
 * dpm_solver_fast.  It goes from the schedule's highest level to the table's lowest and stops
 * there: what noise is left stays. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

/* new x = anchor + first H1 + second eps, H1 the eps of the step's first call. */
static void go(rf_call *call, double first, double second)
{
    double row[RF_SOURCES] = {[RF_SOURCE_ANCHOR] = 1, [RF_SOURCE_H1] = first};
    rf_row_eps(row, second, call->sigma);
    rf_row_round(call->next, row);
}

/* Level at the fraction r of the way from sigma to `to`, in ln sigma. */
static double between(double sigma, double to, double r)
{
    return sigma * exp(r * log(to / sigma));
}

/* One step of that order; its last call. */
static rf_call *solve(rf_planner *p, int step, int order, double sigma, double to)
{
    const double middle = between(sigma, to, order == 3 ? 1.0 / 3 : 0.5);
    rf_call     *call = rf_plan_call(p, step, sigma);
    rf_plan_line(call->next, RF_SOURCE_X, sigma, order == 1 ? to : middle);
    if (order == 1) return call;

    rf_plan_anchor_here(call);
    rf_plan_remember_eps(call);
    call->last = 0;
    call = rf_plan_call(p, step, middle);
    if (order == 2) {
        go(call, 0, to - sigma);
        return call;
    }

    const double h = log(sigma / to), later = between(sigma, to, 2.0 / 3);
    const double bend = 2 * later * (h * 2 / 3) * rf_phi(2, h * 2 / 3); /* r2 / r1 = 2 */
    go(call, later - sigma + bend, -bend);
    call->last = 0;
    call = rf_plan_call(p, step, later);
    const double end = 1.5 * to * h * rf_phi(2, h); /* 1 / r2 */
    go(call, to - sigma + end, -end);
    return call;
}

static void fast(rf_planner *p)
{
    const int    n = p->request->sigmas->steps, steps = n / 3 + 1;
    const double high = p->request->sigmas->sigma[0], low = p->request->table->sigma[0];
    double       sigma = high;
    for (int i = 0; i < steps; i++) {
        const double next = i + 1 < steps ? between(high, low, (i + 1.0) / steps) : low;
        const int    left = n - 3 * i; /* a last 3 is cut in 2 and 1 */
        const int    order = left > 3 ? 3 : left == 3 ? 2 : left > 0 ? left : 1;
        const double down = fmax(low, rf_ancestral_step(sigma, next, p->set.eta).down);
        rf_call     *call = solve(p, i, order, sigma, down);
        rf_plan_noise(p, call, p->set.s_noise * sqrt((next - down) * (next + down)));
        sigma = next;
    }
}

const rf_sampler_rule rf_rule_fast = {fast};
