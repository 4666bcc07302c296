/* The step-fraction rule, over every fraction of every number of steps up to 200. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/sample/switch.h"

/* First step of the second of two stages. */
static int switch_step(double until, int steps)
{
    const double   fractions[] = {until, 1};
    rf_stage_steps out[2];
    cr_assert_eq(rf_switch_by_steps(fractions, 2, steps, out, NULL), RF_OK);
    cr_assert_eq(out[0].first_step, 0);
    cr_assert_eq(out[0].steps, out[1].first_step);
    cr_assert_eq(out[0].steps + out[1].steps, steps);
    return out[1].first_step;
}

/* However the fraction was computed or read, x = i / steps switches at i; a little more, later. */
Test(switch_rule, is_exact_at_every_step, .timeout = 20)
{
    for (int steps = 1; steps <= 200; steps++)
        for (int i = 0; i <= steps; i++) {
            const double x = (double)i / steps, apart = 2e-6 / steps;
            cr_assert_eq(switch_step(x, steps), i, "%d/%d", i, steps);
            cr_assert_eq(switch_step(nextafter(x, 0), steps), i, "below %d/%d", i, steps);
            if (i < steps) {
                cr_assert_eq(switch_step(nextafter(x, 2), steps), i, "above %d/%d", i, steps);
                cr_assert_eq(switch_step(x + apart, steps), i + 1);
                cr_assert_eq(switch_step(x + apart / 4, steps), i);
            }
            if (i > 0) cr_assert_eq(switch_step(x - apart, steps), i);
        }
}

Test(switch_rule, decimal_fractions, .timeout = 10)
{
    for (int steps = 1; steps <= 200; steps++)
        for (int percent = 0; percent <= 100; percent++) {
            const int want = (percent * steps + 99) / 100; /* ceil in integers */
            cr_assert_eq(switch_step(percent / 100.0, steps), want, "%d%% of %d", percent, steps);
        }
}

Test(switch_rule, one_is_base_only_and_zero_is_refiner_only, .timeout = 10)
{
    cr_assert_eq(switch_step(1, 30), 30);
    cr_assert_eq(switch_step(0, 30), 0);
    cr_assert_eq(switch_step(-0.0, 30), 0);
    cr_assert_eq(switch_step(0.5, 1), 1);
    cr_assert_eq(switch_step(1, 10000), 10000);
}

Test(switch_rule, stages_cover_the_steps_once, .timeout = 20)
{
    const double until[] = {0, 0.1, 0.1, 0.35, 0.35001, 0.999, 1, 1};
    for (int steps = 1; steps <= 200; steps++) {
        rf_stage_steps out[8];
        cr_assert_eq(rf_switch_by_steps(until, 8, steps, out, NULL), RF_OK);
        int first = 0;
        for (int i = 0; i < 8; i++) {
            cr_assert_eq(out[i].first_step, first);
            cr_assert_geq(out[i].steps, 0);
            first += out[i].steps;
        }
        cr_assert_eq(first, steps);
        cr_assert_eq(out[0].steps + out[2].steps + out[7].steps, 0);
    }
    const double   alone[] = {1};
    rf_stage_steps out[1];
    cr_assert_eq(rf_switch_by_steps(alone, 1, 7, out, NULL), RF_OK);
    cr_assert_eq(out[0].steps, 7);
}

Test(switch_rule, refuses_and_names_the_stage, .timeout = 10)
{
    const struct {
        double      until[3];
        const char *part;
    } cases[] = {
        {{NAN, 0.5, 1}, "stage 1 of 3 lasts until nan"},
        {{0.2, -0.01, 1}, "stage 2 of 3 lasts until -0.01"},
        {{0.2, 1.5, 1}, "stage 2 of 3 lasts until 1.5"},
        {{0.2, INFINITY, 1}, "stage 2 of 3 lasts until inf"},
        {{0.6, 0.5, 1}, "stage 2 of 3 lasts until 0.5, but the stage before it until 0.6"},
        {{0.2, 0.5, 0.9}, "stage 3 of 3 is the last, but lasts until 0.9"},
        {{0.2, 0.5, NAN}, "stage 3 of 3 lasts until nan"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_stage_steps out[3], before[3];
        memset(before, 0x5A, sizeof before);
        memcpy(out, before, sizeof out);
        rf_error err = {0};
        cr_assert_eq(rf_switch_by_steps(cases[i].until, 3, 10, out, &err), RF_E_ARG);
        cr_assert_not_null(strstr(err.message, cases[i].part), "%s", err.message);
        cr_assert_eq(memcmp(out, before, sizeof out), 0);
    }
    const double   until[] = {1};
    rf_stage_steps out[1];
    cr_assert_eq(rf_switch_by_steps(until, 0, 10, out, NULL), RF_E_ARG);
    cr_assert_eq(rf_switch_by_steps(until, 1, 0, out, NULL), RF_E_ARG);
}
