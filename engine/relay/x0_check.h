/* A look at the first answer of an expert: does it predict what it is taken to? */
#ifndef RF_X0_CHECK_H
#define RF_X0_CHECK_H

#include <stddef.h>

#include "engine/core/parameterisation.h"
#include "engine/relay/kv_pool.h"
#include "engine/relay/launch_ring.h"

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

/* Input and answer of one call, on their way from the device. */
typedef struct rf_x0_glance {
    void  *raw; /* on the desk, rf_x0_glance_bytes; none on a host device */
    int    pending, side, expert, h, w;
    double sigma;
} rf_x0_glance;

size_t rf_x0_glance_bytes(const rf_plan *plan);

/* Behind the sums of a launch: warns, once per expert, if its answer at a high noise level does not
 * look like its parameterisation.  On a GPU that is copied down, and judged by rf_x0_check_end once
 * the ring's side is known to be done: nothing waits for it. */
rf_status rf_x0_check(rf_plan *plan, const rf_pass *pass, rf_error *err);
void      rf_x0_check_end(rf_plan *plan, int side);

#endif
