/* The measurement: a finished sweep of the demo's experts over the switch point and prompts, whose
 * pictures the judge reads.
 *
 * It renders nothing: the figures are those of the very pictures that `refinery sweep` has left,
 * and each of them is compared with the SHA-256 that the sweep has of it.  Seeds are the same at
 * every point, as they are on any axis of a sweep, so that two points differ in nothing else and
 * differences can be taken prompt by prompt. */
#ifndef RF_MEASURE_H
#define RF_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"
#include "tools/judge/judge.h"

enum { RF_POINTS_MAX = 41 };

typedef struct rf_measure_options {
    const char     *folder; /* of the sweep */
    const char     *judge;  /* weights */
    const rf_asked *asked;  /* [asked_count]: what the prompts ask for */
    size_t          asked_count;
    int shown; /* first prompts whose first pictures are kept; fewer if there are fewer */
} rf_measure_options;

/* Means over a prompt's pictures (one for each seed); NaN: the prompt does not ask for it. */
typedef struct rf_outcome {
    double content; /* share of what was asked (without the accessory) that is as asked */
    double exact;   /* everything asked is as asked, the accessory too */
    double style;
    double right[RF_ATTRIBUTES];
} rf_outcome;

typedef struct rf_measurement {
    double           point[RF_POINTS_MAX]; /* share of the steps that the base makes, ascending */
    int              points;
    const rf_asked **asked; /* [prompts], of the options, in the sweep's order */
    size_t           prompts;
    int              seeds;    /* pictures of each prompt at each point */
    rf_outcome      *outcome;  /* [points, prompts] */
    uint8_t         *pictures; /* [shown, points, RF_SIDE, RF_SIDE, 3] */
    int              shown;
    /* as the pictures tell it */
    char   sampler[64], dtype[8];
    int    steps;
    double cfg_scale;
    char   name[2][128], sha256[2][65]; /* of base and refiner; empty: it has no part in any */
} rf_measurement;

/* rf_measurement_release *out, whatever is returned.  The errors of rf_cell_lines_read,
 * rf_judge_open and rf_png_read; RF_E_ARG: a prompt that `asked` does not know, pictures of another
 * size than the judge reads, too many points; RF_E_FORMAT: a picture is not the one that the sweep
 * made, or tells nothing of its making, or cells are missing. */
rf_status rf_measure(rf_measurement *out, const rf_measure_options *options, rf_error *err);
void      rf_measurement_release(rf_measurement *m);

#endif
