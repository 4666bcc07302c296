/* UniPC (Zhao et al. 2023): multistep, x0, B(h) = h, order 3 and lower at both ends, equal steps in
 * t from 999 to 0, as A1111 runs it.
 *
 * One call a step serves twice: its x0 first corrects the x it was asked about, then predicts the
 * next.  So X is the predicted x, ANCHOR the corrected one of the step before, H1 H2 H3 past x0.
 * At t = 0 nothing is evaluated; what is decoded is x_vp there (sampler_ddim.c). */
#include <math.h>

#include "engine/sample/sampler_rule.h"

enum { ORDER = 3 };

/* The walk: step i goes from index t(i) to t(i + 1), 0 .. steps. */
typedef struct walk {
    const double *sigma; /* the table's */
    int           steps;
} walk;

static double time_of(const walk *w, int i)
{
    return (RF_TRAIN_STEPS - 1) * (1 - (double)i / w->steps);
}

/* The paper's discrete schedule is linear in ln alpha between indices, alpha = 1 / sqrt(1 +
 * sigma^2), where k-diffusion's is in ln sigma. */
static double level(const walk *w, int i)
{
    const double t = time_of(w, i);
    const int    low = t < RF_TRAIN_STEPS - 1 ? (int)t : RF_TRAIN_STEPS - 2;
    const double a = log1p(w->sigma[low] * w->sigma[low]);
    const double b = log1p(w->sigma[low + 1] * w->sigma[low + 1]);
    return sqrt(expm1(a + (t - low) * (b - a)));
}

/* rho[0..n) with sum over k of rho[k] r[k]^i = b[i] for i < n <= 3, r distinct: b against the
 * coefficients of Lagrange's polynomials. */
static void solve(int n, const double *r, const double *b, double *rho)
{
    for (int k = 0; k < n; k++) {
        double poly[ORDER] = {1}, scale = 1;
        int    degree = 0;
        for (int j = 0; j < n; j++) {
            if (j == k) continue;
            scale *= r[k] - r[j];
            for (int i = ++degree; i > 0; i--) poly[i] = poly[i - 1] - r[j] * poly[i];
            poly[0] *= -r[j];
        }
        rho[k] = 0;
        for (int i = 0; i < n; i++) rho[k] += b[i] * poly[i] / scale;
    }
}

/* What `solve` must meet for a step h in ln sigma: the paper's B(h) b_i = z i! phi_(i+1)(z), z = -h
 * and i from 1 (section 3.1). */
static void moments(double h, double *b)
{
    double factorial = 1;
    for (int i = 0; i < ORDER; i++) {
        factorial *= i + 1;
        b[i] = -h * factorial * rf_phi(i + 2, -h);
    }
}

/* Slot of the x0 found `age` calls before this one. */
static rf_source slot(int age)
{
    return age == 0 ? RF_SOURCE_D : (rf_source)(RF_SOURCE_H1 + age - 1);
}

/* `row`, x at level `from`, becomes x at the next one, as seen from call `now`: with order - 1
 * differences of past x0, and where that call stands at the step's end, one with its own. */
static void advance(double *row, const walk *w, int from, int now, int order)
{
    const double sigma = level(w, from), to = level(w, from + 1), h = log(sigma / to);
    const int    base = slot(now - from);
    rf_source    node[ORDER];
    double       r[ORDER], b[ORDER], rho[ORDER];
    int          n = 0;
    for (int k = 1; k < order; k++, n++) {
        node[n] = slot(now - from + k);
        r[n] = log(sigma / level(w, from - k)) / h;
    }
    if (now > from) {
        node[n] = slot(0);
        r[n++] = 1;
    }
    moments(h, b);
    if (n == 1)
        rho[0] = -h / 2; /* the paper's choice, section 3.3 */
    else
        solve(n, r, b, rho);

    for (int i = 0; i < RF_SOURCES; i++) row[i] *= to / sigma;
    row[base] += (sigma - to) / sigma;
    for (int k = 0; k < n; k++) {
        row[node[k]] -= rho[k] / r[k];
        row[base] += rho[k] / r[k];
    }
}

/* Of step i: as many x0 as there are, and as will be corrected. */
static int order_of(const walk *w, int i)
{
    const int most = i + 1 < ORDER ? i + 1 : ORDER;
    return w->steps - i < most ? w->steps - i : most;
}

static void unipc(rf_planner *p)
{
    const walk w = {p->request->table->sigma, rf_timestep_count(p->request->sigmas->steps)};
    p->calls.start = hypot(1, level(&w, 0));
    for (int i = 0; i < w.steps; i++) {
        double   row[RF_SOURCES] = {0};
        rf_call *call = rf_plan_call(p, i, level(&w, i));
        call->timestep = time_of(&w, i);
        if (i > 0) {
            row[RF_SOURCE_ANCHOR] = 1;
            advance(row, &w, i - 1, i, order_of(&w, i - 1));
        } else {
            row[RF_SOURCE_X] = 1;
        }
        rf_row_round(call->anchor, row);
        call->keeps_anchor = 1;

        advance(row, &w, i, i, order_of(&w, i));
        if (i + 1 == w.steps) {
            const double scale = 1 / hypot(1, level(&w, w.steps));
            for (int k = 0; k < RF_SOURCES; k++) row[k] *= scale;
        }
        rf_row_round(call->next, row);
        call->memory[RF_SOURCE_D] = 1;
        call->remembers = 1;
    }
}

const rf_sampler_rule rf_rule_unipc = {unipc};
