/* DPM adaptive: an embedded pair of DPM-Solver-2 and -3 (Lu et al. 2022, appendix C) that share
 * their first two calls, and a controller that sets the next step by their difference.
 *
 * lambda = -ln sigma grows from the start to the end.  Whatever is refused is computed anew, eps at
 * its start included: so k-diffusion counts calls.  Sums run in one order and in f64. */
#include "engine/sample/adaptive.h"

#include <math.h>
#include <string.h>

#include "engine/sample/sampler_rule.h"

enum { ARRAYS = 5 };

typedef struct stepper {
    const rf_adaptive_model *model;
    size_t                   n;
    int                      calls;
    float                   *d[3]; /* x0 of this step's calls */
    float                   *seen; /* what the second and third call are asked about; then noise */
    float                   *previous; /* order 2's answer to the last accepted step */
} stepper;

size_t rf_adaptive_scratch(size_t elements)
{
    return ARRAYS * elements;
}

/* A step from sigma to `to`, with what its elements are combined by. */
typedef struct pair {
    double sigma, s1, s2, to; /* levels of the calls, and the end */
    double bend;              /* weight of eps0 - eps1 at s2; r2 / r1 = 2 */
    double low, high;         /* of eps1 - eps0 at the end, order 2; of eps0 - eps2, order 3 */
} pair;

static double between(double sigma, double to, double r)
{
    return sigma * exp(r * log(to / sigma));
}

static pair pair_of(double sigma, double to)
{
    const double h = log(sigma / to), r1 = 1.0 / 3, r2 = 2.0 / 3;
    const double s2 = between(sigma, to, r2);
    return (pair){.sigma = sigma,
                  .s1 = between(sigma, to, r1),
                  .s2 = s2,
                  .to = to,
                  .bend = s2 * r2 / r1 * (r2 * h) * rf_phi(2, r2 * h),
                  .low = (to - sigma) / (2 * r1),
                  .high = to / r2 * h * rf_phi(2, h)};
}

/* The step seen from one element.  Each value follows from x and the calls' x0 alone, in f64: the
 * answers' difference is small, and f32 slopes would leave little of it. */
typedef struct element {
    double u1, u2; /* where the second and third call are made */
    double low;    /* the answer of order 2 */
    double high;   /* the answer of order 3 */
    double apart;  /* low - high */
} element;

static element element_of(const stepper *s, const pair *p, const float *x, size_t i)
{
    const double eps0 = ((double)x[i] - s->d[0][i]) / p->sigma;
    element      e = {.u1 = x[i] + (p->s1 - p->sigma) * eps0};
    const double eps1 = (e.u1 - s->d[1][i]) / p->s1;
    e.u2 = x[i] + (p->s2 - p->sigma) * eps0 + p->bend * (eps0 - eps1);
    const double eps2 = (e.u2 - s->d[2][i]) / p->s2;
    const double line = x[i] + (p->to - p->sigma) * eps0;
    e.low = line + p->low * (eps1 - eps0);
    e.high = line + p->high * (eps0 - eps2);
    e.apart = p->low * (eps1 - eps0) - p->high * (eps0 - eps2);
    return e;
}

static rf_status denoise(stepper *s, int k, const float *x, double sigma, rf_error *err)
{
    return s->model->denoise(s->model->user, x, sigma, s->calls++, s->d[k], err);
}

/* The step's calls.  An x0 that is not there yet is 0, and not used. */
static rf_status solve(stepper *s, const pair *p, const float *x, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(denoise(s, 0, x, p->sigma, err));
    for (size_t i = 0; i < s->n; i++) s->d[1][i] = s->d[2][i] = 0;
    for (size_t i = 0; i < s->n; i++) s->seen[i] = (float)element_of(s, p, x, i).u1;
    RF_TRY(denoise(s, 1, s->seen, p->s1, err));
    for (size_t i = 0; i < s->n; i++) s->seen[i] = (float)element_of(s, p, x, i).u2;
    RF_TRY(denoise(s, 2, s->seen, p->s2, err));
done:
    return st;
}

/* Root mean square of the answers' difference, each value against its tolerance. */
static double error_of(const stepper *s, const pair *p, const float *x)
{
    const double atol = 0.0078, rtol = 0.05;
    double       sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        const element e = element_of(s, p, x, i);
        const double  size = fmax(fabs(e.low), fabs((double)s->previous[i]));
        const double  weighed = e.apart / fmax(atol, rtol * size);
        sum += weighed * weighed;
    }
    return sqrt(sum / (double)s->n);
}

/* The next step's length over this one's.  Of the PID controller only I is on. */
static double factor_of(double error, double order)
{
    return 1 + atan(pow(1 / (error + 1e-8), 1 / order) - 1);
}

static rf_status check(double sigma_max, double sigma_min, double eta, double s_noise,
                       rf_error *err)
{
    if (!isfinite(sigma_max) || !(sigma_min > 0) || !(sigma_max > sigma_min))
        return rf_fail(err, RF_E_ARG, "DPM adaptive from sigma %g to %g", sigma_max, sigma_min);
    if (!isfinite(eta) || eta < 0)
        return rf_fail(err, RF_E_ARG, "eta is %g: it must be 0 or more", eta);
    if (!isfinite(s_noise) || s_noise < 0)
        return rf_fail(err, RF_E_ARG, "s_noise is %g: it must be 0 or more", s_noise);
    return RF_OK;
}

/* x = the answer of order 3, and `amount` of the picture's next draw. */
static void accept(stepper *s, const pair *p, float *x, double amount, uint32_t draw)
{
    if (amount != 0) s->model->noise(s->model->user, draw, s->seen);
    for (size_t i = 0; i < s->n; i++) {
        const element e = element_of(s, p, x, i);
        x[i] = (float)(amount != 0 ? e.high + amount * s->seen[i] : e.high);
        s->previous[i] = (float)e.low;
    }
}

rf_status rf_adaptive_run(const rf_adaptive_model *model, double sigma_max, double sigma_min,
                          double eta, double s_noise, size_t elements, float *scratch, float *x,
                          rf_error *err)
{
    rf_status st = RF_OK;
    stepper   s = {.model = model, .n = elements};
    for (int k = 0; k < 3; k++) s.d[k] = scratch + (size_t)k * elements;
    s.seen = scratch + 3 * elements;
    s.previous = scratch + 4 * elements;
    RF_TRY(check(sigma_max, sigma_min, eta, s_noise, err));
    memcpy(s.previous, x, elements * sizeof *x);

    const double end = -log(sigma_min), order = eta > 0 ? 1.5 : 3;
    double       lambda = -log(sigma_max), h = 0.05;
    uint32_t     draw = 0;
    while (lambda < end - 1e-5) {
        const double later = fmin(end, lambda + h);
        const double sigma = exp(-lambda), to = later < end ? exp(-later) : sigma_min;
        const double down = fmax(sigma_min, rf_ancestral_step(sigma, to, eta).down);
        const pair   p = pair_of(sigma, down);
        RF_TRY(solve(&s, &p, x, err));
        const double factor = factor_of(error_of(&s, &p, x), order);
        if (!isfinite(factor) || lambda + h * factor <= lambda) {
            st = rf_fail(err, RF_E_NAN, "DPM adaptive finds no step at sigma %g", sigma);
            goto done;
        }
        h *= factor;
        if (factor < 0.81) continue;
        accept(&s, &p, x, s_noise * sqrt((to - down) * (to + down)), ++draw);
        lambda = later;
    }
done:
    return st;
}
