/* Figures out of a measurement: means over prompts with their 95 % intervals. */
#ifndef RF_FIGURES_H
#define RF_FIGURES_H

#include "tools/measure/measure.h"

typedef struct rf_figure {
    double mean, low, high;
    int    prompts; /* that it is a mean over; 0: the others are NaN */
} rf_figure;

/* Which figure of an outcome: an attribute, or one of these. */
enum { RF_CONTENT = RF_ATTRIBUTES, RF_EXACT, RF_STYLE, RF_FIGURES };

extern const char *const rf_figure_names[RF_FIGURES];

/* Of the outcomes [prompts] of one point; of the differences to those of another if `less` is not
 * NULL.  Interval: Wilson's (1927) for shares of right pictures, which may be 0 or 1; the
 * normal one, mean +- 1.96 deviations / sqrt n, for scores and differences. */
rf_figure rf_figure_of(const rf_outcome *outcome, const rf_outcome *less, size_t prompts,
                       int figure);

#endif
