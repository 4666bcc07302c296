/* A look at the first answer of an expert: does it predict what it is taken to? */
#ifndef RF_X0_CHECK_H
#define RF_X0_CHECK_H

#include "engine/relay/plan.h"

typedef struct rf_x0_look {
    double std;        /* of x0 as computed: near 1 where the parameterisation is right */
    double input_part; /* of the input in the answer, by regression: near 1 of epsilon */
    double answer;     /* root mean square */
    double smoothness; /* what its neighbours have in common: noise nothing, a picture much */
    int    looks_like_v, looks_like_epsilon; /* though it is taken for the other */
} rf_x0_look;

/* `input`: what the UNet was given, x / sqrt(sigma^2 + 1); `answer`: what it said; [h, w, 4]
 * each. */
rf_x0_look rf_x0_look_at(const rf_parameterisation *is, double sigma, const float *input,
                         const float *answer, int h, int w);

/* After the UNet of a launch was queued, before the next launch is written: warns, once per expert,
 * if its answer at a high noise level does not look like its parameterisation.  Waits for the
 * device then, and uses the scratch. */
rf_status rf_x0_check(rf_plan *plan, const rf_pass *pass, rf_error *err);

#endif
