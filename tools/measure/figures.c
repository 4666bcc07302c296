/* Means and intervals; see figures.h. */
#include "tools/measure/figures.h"

#include <math.h>

static const double Z95 = 1.959964; /* of the normal distribution */

const char *const rf_figure_names[RF_FIGURES] = {
    "creature", "colour", "place", "count", "background", "accessory", "content", "exact", "style"};

static double value_of(const rf_outcome *o, int figure)
{
    switch (figure) {
    case RF_CONTENT: return o->content;
    case RF_EXACT: return o->exact;
    case RF_STYLE: return o->style;
    default: return o->right[figure];
    }
}

static int is_share(int figure)
{
    return figure != RF_CONTENT && figure != RF_STYLE;
}

/* Wilson 1927; n prompts count once each, however many pictures each of them has. */
static void wilson(rf_figure *f)
{
    const double n = f->prompts, z2 = Z95 * Z95, p = f->mean;
    const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    const double reach = Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    f->low = fmax(centre - reach, 0), f->high = fmin(centre + reach, 1);
}

rf_figure rf_figure_of(const rf_outcome *outcome, const rf_outcome *less, size_t prompts,
                       int figure)
{
    rf_figure f = {.mean = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    double    sum = 0, squares = 0;
    for (size_t i = 0; i < prompts; i++) {
        const double x = value_of(&outcome[i], figure) - (less ? value_of(&less[i], figure) : 0);
        if (isnan(x)) continue;
        f.prompts++;
        sum += x;
        squares += x * x;
    }
    if (!f.prompts) return f;
    const double n = f.prompts;
    f.mean = sum / n;
    if (is_share(figure) && !less) {
        wilson(&f);
        return f;
    }
    const double variance = n > 1 ? fmax(squares - n * f.mean * f.mean, 0) / (n - 1) : 0;
    const double reach = Z95 * sqrt(variance / n);
    f.low = f.mean - reach, f.high = f.mean + reach;
    return f;
}
