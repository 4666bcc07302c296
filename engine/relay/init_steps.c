/* How many steps a run from a picture makes: A1111's rule.
 *
 * With d = min(denoise, 0.999) and n steps asked for, t = trunc(d n), and of the schedule of n
 * steps the last t + 1 are made.  exact_steps: the last n of a schedule of trunc(n / d).  Either
 * way at least one step, at the lowest level, is made: with a strength of 0 the picture comes back
 * nearly as it was. */
#include <math.h>
#include <string.h>

#include "engine/relay/course_parts.h"

rf_status rf_init_steps(const rf_init *init, int *steps, int *skipped, rf_error *err)
{
    const double d = fmin(init->denoise, 0.999);
    const int    asked = *steps;
    int          t = (int)(d * asked);
    if (init->exact_steps && d > 0) {
        const double wanted = asked / d;
        if (wanted >= RF_STEPS_MAX + 1)
            return rf_fail(err, RF_E_ARG,
                           "init: %d exact steps of strength %g need a schedule of %.0f steps; %d "
                           "is the most",
                           asked, init->denoise, floor(wanted), RF_STEPS_MAX);
        *steps = (int)wanted;
        t = asked - 1;
    }
    *skipped = *steps - t - 1;
    return RF_OK;
}

void rf_course_cut(rf_course *c, int skipped)
{
    if (c->stage[0].sampler->flags & RF_SAMPLER_TIMESTEPS) {
        const int t = c->sigmas.steps - skipped - 1;
        c->enter = t > 0 ? t : 1;
        return;
    }
    c->sigmas.steps -= skipped;
    memmove(c->sigmas.sigma, c->sigmas.sigma + skipped,
            ((size_t)c->sigmas.steps + 1) * sizeof *c->sigmas.sigma);
}
