/* Switch rules: which calls of a run belong to which stage.
 *
 * Every stage but the last says `until` where it lasts, in the unit of the rule:
 *
 *   steps      fraction of the steps, good to six decimals: the next stage begins with step
 *              ceil((until - 5e-7) * steps - 1e-6), so that 0.066667 of 30 steps are 2, as meant
 *   noise      fraction of the noise, as A1111 since 1.9: at the first call with
 *              (999 - t) / 1000 >= until, t the table entry nearest to the call's sigma
 *   step       number of steps (an integer)
 *   sigma      noise level: at the first call with sigma <= until
 *   timesteps  diffusers' denoising_end: the stage makes the calls with t >= round(1000 - 1000
 *              until), t the nearest table entry
 *
 * A switch comes before the first call of a step.  `exact_a1111` follows A1111 instead: steps
 * counts calls (k / total >= until, total = nominal steps, twice that for second-order samplers),
 * and both steps and noise may switch between the calls of a step.
 *
 * The noise rule compares in f32, which for every multiple of 0.01 is 999 - t >= round(1000 until).
 * It reads the table that is passed: a model's 1000 entries also under the sampler LCM.  A1111
 * takes LCM's 50 indices for those 1000 and switches at its first call for any until up to 0.95. */
#ifndef RF_SWITCH_H
#define RF_SWITCH_H

#include "engine/sample/sampler.h"
#include "kernels/status.h"

typedef enum rf_switch_rule {
    RF_SWITCH_STEPS = 0,
    RF_SWITCH_NOISE,
    RF_SWITCH_STEP,
    RF_SWITCH_SIGMA,
    RF_SWITCH_TIMESTEPS,
} rf_switch_rule;

/* By name, case ignored.  RF_E_ARG with a suggestion and the names. */
rf_status   rf_switch_rule_find(rf_switch_rule *out, const char *name, rf_error *err);
const char *rf_switch_rule_name(rf_switch_rule rule);

typedef struct rf_switch_request {
    rf_switch_rule rule;
    const double  *until; /* [stages]; the last one is not read.  Each lasts at least as long
                             as the one before: ascending, for sigma descending */
    int                   stages;
    const rf_sigma_table *table;
    int                   steps;       /* that the run makes */
    int                   total_calls; /* nominal: steps asked for, twice that if second order */
    int                   exact_a1111;
} rf_switch_request;

/* RF_E_ARG names the stage, from 1, whose `until` is out of the rule's range or order: 0 .. 1 for
 * steps, noise and timesteps (with exact_a1111 any finite number for the first two: at 0 and below
 * the next stage makes every call, above 1 hardly any); an integer from 0 for step; from 0 for
 * sigma.  Also unless stages, steps and total_calls are positive. */
rf_status rf_switch_check(const rf_switch_request *request, rf_error *err);

/* The stage of call number `k`, given its step, its noise level (A1111's churned one) and the stage
 * of the call before (0 for the first): never goes back.  `first_of_step`: the call may switch in
 * the default mode.  For the noise rule, `sigma` of a timestep sampler is that of its index without
 * the fraction. */
int rf_switch_stage(const rf_switch_request *request, int k, int step, int first_of_step,
                    double sigma, int previous);

/* (999 - t) / 1000 of a noise level: A1111's ratio, f32 as there. */
float rf_switch_ratio(const rf_sigma_table *table, double sigma);

#endif
