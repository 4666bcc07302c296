/* The step-fraction switch rule: which steps of a run belong to which stage.
 *
 * A stage says until which fraction of the steps it lasts; the next stage's first step is
 *   ceil(until * steps - 1e-6), always before the first call of that step.
 * The small number forgives fractions such as 0.3 * 10 = 3.0000000000000004; it moves a switch only
 * if that lies within 1e-6 steps after a step's beginning. */
#ifndef RF_SWITCH_H
#define RF_SWITCH_H

#include "kernels/status.h"

typedef struct rf_stage_steps {
    int first_step; /* 0-based; equals the next stage's (or `steps`) if the stage has no step */
    int steps;      /* 0: the stage gets no call */
} rf_stage_steps;

/* out[i] for stages 0 .. count-1, whose steps add up to `steps`.  until[i] is in 0 .. 1, never
 * smaller than the one before, and 1 for the last stage.  With two stages: until[0] = 1 is the
 * first alone, 0 the second alone.  RF_E_ARG names the stage that breaks a rule, counted from 1
 * (out untouched).  count and steps are at least 1. */
rf_status rf_switch_by_steps(const double *until, int count, int steps, rf_stage_steps *out,
                             rf_error *err);

#endif
