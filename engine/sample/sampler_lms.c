/* LMS: Adams-Bashforth of order 4 in sigma, on whatever levels the schedule has.  k-diffusion:
 * sample_lms; it integrates numerically what is integrated exactly here. */
#include <math.h>

#include "engine/sample/sampler_rule.h"

enum { ORDER = 4 };

/* Lagrange's polynomial that is 1 at node[j] and 0 at the others, at s. */
static double basis(const double *node, int n, int j, double s)
{
    double product = 1;
    for (int k = 0; k < n; k++)
        if (k != j) product *= (s - node[k]) / (node[j] - node[k]);
    return product;
}

/* Its integral from node[0] to `to`: two points of Gauss are exact up to degree 3. */
static double integral(const double *node, int n, int j, double to)
{
    const double half = (to - node[0]) / 2, middle = node[0] + half, off = half / sqrt(3);
    return half * (basis(node, n, j, middle - off) + basis(node, n, j, middle + off));
}

static void lms(rf_planner *p)
{
    const double *sigma = p->request->sigmas->sigma;
    for (int i = p->request->first; i < p->request->end; i++) {
        double    node[ORDER] = {0}; /* the levels of this eps and those remembered */
        const int past = i - p->request->first;
        const int n = past < ORDER ? past + 1 : ORDER;
        for (int j = 0; j < n; j++) node[j] = sigma[i - j];

        double   next[RF_SOURCES] = {[RF_SOURCE_X] = 1};
        rf_call *call = rf_plan_call(p, i, sigma[i]);
        rf_row_eps(next, integral(node, n, 0, sigma[i + 1]), sigma[i]);
        for (int j = 1; j < n; j++) next[RF_SOURCE_H1 + j - 1] = integral(node, n, j, sigma[i + 1]);
        rf_row_round(call->next, next);
        rf_plan_remember_eps(call);
    }
}

const rf_sampler_rule rf_rule_lms = {lms};
