/* The function is evaluated by its continued fraction (DLMF 8.17.22, by Lentz's method) and
 * inverted by Newton steps inside a bracket that halves whenever a step would leave it, so that it
 * always ends. */
#include "engine/sample/beta.h"

#include <float.h>
#include <math.h>

enum {
    FRACTION_TERMS = 300, /* a few dozen are used below the switch to the mirrored arguments */
    NEWTON_STEPS = 200,   /* mere halving needs 60 or so above 1e-18 */
};

static double away_from_zero(double x)
{
    return fabs(x) < 1e-300 ? 1e-300 : x;
}

/* DLMF 8.17.22 without its factor; converges fast for x < (a + 1) / (a + b + 2). */
static double fraction(double x, double a, double b)
{
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < FRACTION_TERMS; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        value *= c * d;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        value *= c * d;
        if (fabs(c * d - 1) < DBL_EPSILON) break;
    }
    return value;
}

/* Not lgamma, which keeps a sign in a global variable. */
static double beta(double a, double b)
{
    return tgamma(a) * tgamma(b) / tgamma(a + b);
}

/* I_x(a, b), 0 < x < 1. */
static double beta_cdf(double x, double a, double b)
{
    const double factor = exp(a * log(x) + b * log1p(-x)) / beta(a, b);
    if (x < (a + 1) / (a + b + 2)) return factor * fraction(x, a, b) / a;
    return 1 - factor * fraction(1 - x, b, a) / b;
}

double rf_beta_quantile(double p, double a, double b)
{
    if (p <= 0) return 0;
    if (p >= 1) return 1;
    double low = 0, high = 1, x = 0.5;
    for (int i = 0; i < NEWTON_STEPS; i++) {
        const double excess = beta_cdf(x, a, b) - p;
        if (excess > 0)
            high = x;
        else
            low = x;
        const double slope = exp((a - 1) * log(x) + (b - 1) * log1p(-x)) / beta(a, b);
        double       next = x - excess / slope;
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (next == x || fabs(next - x) < DBL_EPSILON * x) return next;
        x = next;
    }
    return x;
}
