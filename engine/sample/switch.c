/* The rule is evaluated once per boundary, never per step, so that two neighbours cannot disagree
 * about where they meet. */
#include "engine/sample/switch.h"

#include <math.h>

static rf_status check_until(const double *until, int count, rf_error *err)
{
    for (int i = 0; i < count; i++) {
        if (!(until[i] >= 0 && until[i] <= 1)) /* also refuses NaN */
            return rf_fail(err, RF_E_ARG,
                           "stage %d of %d lasts until %g: it must be a fraction from 0 to 1",
                           i + 1, count, until[i]);
        if (i > 0 && until[i] < until[i - 1])
            return rf_fail(err, RF_E_ARG,
                           "stage %d of %d lasts until %g, but the stage before it until %g", i + 1,
                           count, until[i], until[i - 1]);
    }
    if (until[count - 1] < 1)
        return rf_fail(err, RF_E_ARG, "stage %d of %d is the last, but lasts until %g and not 1",
                       count, count, until[count - 1]);
    return RF_OK;
}

/* First step after the fraction `until`. */
static int boundary(double until, int steps)
{
    const double at = ceil(until * steps - 1e-6);
    return at > 0 ? (int)at : 0; /* until <= 1 keeps it at most `steps` */
}

rf_status rf_switch_by_steps(const double *until, int count, int steps, rf_stage_steps *out,
                             rf_error *err)
{
    rf_status st = RF_OK;
    if (count < 1 || steps < 1) {
        st = rf_fail(err, RF_E_ARG, "%d stages for %d steps", count, steps);
        goto done;
    }
    RF_TRY(check_until(until, count, err));
    int first = 0;
    for (int i = 0; i < count; i++) {
        const int next = boundary(until[i], steps);
        out[i] = (rf_stage_steps){.first_step = first, .steps = next - first};
        first = next;
    }
done:
    return st;
}
