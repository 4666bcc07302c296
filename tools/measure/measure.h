/* The measurement: renders held-out prompts at every switch point and has the judge read them.
 *
 * One prompt at one switch point is one job, with the recipe's own prompts and the same seeds at
 * every point, so that two points differ in nothing but the point, and differences can be taken
 * prompt by prompt. */
#ifndef RF_MEASURE_H
#define RF_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"
#include "tools/judge/judge.h"

enum { RF_POINTS_MAX = 41 };

typedef struct rf_measure_options {
    const char     *base, *refiner; /* checkpoints */
    const char     *judge;          /* weights */
    const rf_asked *asked;          /* [prompts] */
    size_t          prompts;
    double          point[RF_POINTS_MAX]; /* share of the steps that the base makes, 0..1 */
    int             points;
    int             seeds; /* pictures per prompt and point, denoised together; 1..64 */
    int             steps; /* 0: the recipe's */
    int             shown; /* first prompts whose first pictures are kept */
    int             threads;
    const char     *dtype; /* NULL: the device's */
    const char     *level; /* NULL: the device's; "ref": the reference kernels */
    /* Called often, with jobs finished and all; non-zero stops the work. */
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} rf_measure_options;

/* Means over a prompt's pictures; NaN: the prompt does not ask for it. */
typedef struct rf_outcome {
    double content; /* share of what was asked (without the accessory) that is as asked */
    double exact;   /* everything asked is as asked, the accessory too */
    double style;
    double right[RF_ATTRIBUTES];
} rf_outcome;

typedef struct rf_measurement {
    rf_outcome *outcome;  /* [points, prompts] */
    uint8_t    *pictures; /* [shown, points, RF_SIDE, RF_SIDE, 3] */
    double      seconds;
    const char *recipe, *sampler;
    int         steps;
    double      cfg_scale;
    char        name[2][128], sha256[2][65]; /* of base and refiner */
    char        device[160], dtype[8];
} rf_measurement;

/* rf_measurement_release *out, whatever is returned.  The errors of rf_plan_run and friends. */
rf_status rf_measure(rf_measurement *out, const rf_measure_options *options, rf_error *err);
void      rf_measurement_release(rf_measurement *m);

#endif
