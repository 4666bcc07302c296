/* Each rule says only whether a stage is over at a call; that a stage never comes back, and that
 * stages may be skipped, follows in one place. */
#include "engine/sample/switch.h"

#include <math.h>

static const rf_name RULES[] = {
    [RF_SWITCH_STEPS] = {.name = "steps"},         [RF_SWITCH_NOISE] = {.name = "noise"},
    [RF_SWITCH_STEP] = {.name = "step"},           [RF_SWITCH_SIGMA] = {.name = "sigma"},
    [RF_SWITCH_TIMESTEPS] = {.name = "timesteps"},
};

rf_status rf_switch_rule_find(rf_switch_rule *out, const char *name, rf_error *err)
{
    const rf_name_table table = {"switch rule", RULES, sizeof *RULES,
                                 (int)(sizeof RULES / sizeof *RULES)};
    const void         *row = NULL;
    const rf_status     st = rf_name_find(&row, &table, name, err);
    if (st == RF_OK) *out = (rf_switch_rule)((const rf_name *)row - RULES);
    return st;
}

const char *rf_switch_rule_name(rf_switch_rule rule)
{
    return RULES[rule].name;
}

/* What is wrong with `until` itself; NULL: nothing. */
static const char *range_fault(const rf_switch_request *request, double until)
{
    if (!isfinite(until)) return "a finite number";
    switch (request->rule) {
    case RF_SWITCH_STEPS:
    case RF_SWITCH_NOISE:
        if (request->exact_a1111) return NULL;
        return until >= 0 && until <= 1 ? NULL : "a fraction from 0 to 1";
    case RF_SWITCH_TIMESTEPS: return until >= 0 && until <= 1 ? NULL : "a fraction from 0 to 1";
    case RF_SWITCH_STEP:
        return until >= 0 && until == floor(until) ? NULL : "a number of steps, whole and from 0";
    case RF_SWITCH_SIGMA: return until >= 0 ? NULL : "a noise level, from 0";
    }
    return NULL;
}

rf_status rf_switch_check(const rf_switch_request *request, rf_error *err)
{
    const double *until = request->until;
    const int     falls = request->rule == RF_SWITCH_SIGMA;
    if (request->stages < 1 || request->steps < 1 || request->total_calls < 1)
        return rf_fail(err, RF_E_ARG, "%d stages for %d steps, %d calls", request->stages,
                       request->steps, request->total_calls);
    for (int i = 0; i + 1 < request->stages; i++) {
        const char *wanted = range_fault(request, until[i]);
        if (wanted)
            return rf_fail(err, RF_E_ARG, "stage %d of %d lasts until %g: by %s, it must be %s",
                           i + 1, request->stages, until[i], rf_switch_rule_name(request->rule),
                           wanted);
        if (i > 0 && (falls ? until[i] > until[i - 1] : until[i] < until[i - 1]))
            return rf_fail(err, RF_E_ARG,
                           "stage %d of %d lasts until %g, but the stage before it until %g", i + 1,
                           request->stages, until[i], until[i - 1]);
    }
    return RF_OK;
}

float rf_switch_ratio(const rf_sigma_table *table, double sigma)
{
    return (float)(RF_TRAIN_STEPS - 1 - rf_nearest_entry(table, sigma)) / (float)RF_TRAIN_STEPS;
}

/* First timestep that diffusers' denoising_end gives to the next stage, plus one; its round() sends
 * ties to the even number, as nearbyint does. */
static double timestep_cutoff(double until)
{
    return nearbyint(RF_TRAIN_STEPS - until * RF_TRAIN_STEPS);
}

/* Of the next stage, by RF_SWITCH_STEPS. */
static double first_step(double until, int steps)
{
    return ceil((until - 5e-7) * steps - 1e-6);
}

/* Does a stage that lasts until `until` make this call no more? */
static int is_over(const rf_switch_request *request, double until, int k, int step, double sigma)
{
    switch (request->rule) {
    case RF_SWITCH_STEPS:
        if (request->exact_a1111) return (double)k / request->total_calls >= until;
        return step >= first_step(until, request->steps);
    case RF_SWITCH_NOISE: return rf_switch_ratio(request->table, sigma) >= (float)until;
    case RF_SWITCH_STEP: return step >= until;
    case RF_SWITCH_SIGMA: return sigma <= until;
    case RF_SWITCH_TIMESTEPS:
        return rf_nearest_entry(request->table, sigma) < timestep_cutoff(until);
    }
    return 0;
}

int rf_switch_stage(const rf_switch_request *request, int k, int step, int first_of_step,
                    double sigma, int previous)
{
    const int by_call = request->exact_a1111 &&
                        (request->rule == RF_SWITCH_STEPS || request->rule == RF_SWITCH_NOISE);
    int stage = previous;
    if (!first_of_step && !by_call) return stage;
    while (stage + 1 < request->stages && is_over(request, request->until[stage], k, step, sigma))
        stage++;
    return stage;
}
