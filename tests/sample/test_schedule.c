/* Noise table, its two maps, and schedules: against A1111's values, against a recomputation with
 * numpy, and against what must hold for every number of steps. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/schedule.h"

static rf_sigma_table table;
static double         sigma[RF_STEPS_MAX + 2];

static void make(const char *name, int steps)
{
    const rf_schedule *s = NULL;
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, name, "", NULL), RF_OK);
    sigma[steps + 1] = -77;
    cr_assert_eq(rf_schedule_sigmas(s, &table, steps, sigma, NULL), RF_OK);
    cr_assert_eq(sigma[steps + 1], -77);
}

static const char *const NAMES[] = {"Karras", "Uniform", "Normal"};
enum { NAME_COUNT = 3 };

Test(schedule, twenty_steps_of_a1111, .timeout = 10)
{
    const struct {
        const char *name;
        double      want[21];
    } golden[] = {
        {"karras",
         {14.6146, 11.7254, 9.3402, 7.3836, 5.7894, 4.4998, 3.4648, 2.6408, 1.9909, 1.4832, 1.0908,
          .7909,   .5647,   .3964,  .2730,  .1842,  .1213,  .0779,  .0485,  .0292,  0}},
        {"uniform",
         {14.6146, 10.7468, 8.0815, 6.2049, 4.8557, 3.8654, 3.1238, 2.5572, 2.1157, 1.7648, 1.4806,
          1.2458,  1.0481,  .8784,  .7297,  .5964,  .4736,  .3555,  .2322,  .0292,  0}},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        make(golden[i].name, 20);
        for (int k = 0; k <= 20; k++)
            cr_assert_leq(fabs(sigma[k] - golden[i].want[k]), 0.51e-4, "%s %d: %.6f",
                          golden[i].name, k, sigma[k]);
    }
    cr_assert_eq((float)table.sigma[0], 0.029167533f);
    cr_assert_eq((float)table.sigma[RF_TRAIN_STEPS - 1], 14.614642f);
}

/* Two units in the last place of an f32: pow and exp of two libraries, each rounded once. */
static void expect_near(double got, double want, const char *what, int steps, int at)
{
    cr_assert_leq(fabs(got - want), want * 0x1p-22, "%s %d [%d]: %.9g, not %.9g", what, steps, at,
                  got, want);
}

/* tools/golden/make_schedules.py */
Test(schedule, matches_recomputation, .timeout = 10)
{
    FILE *f = fopen("tests/golden/schedules.txt", "r");
    cr_assert_not_null(f);
    static char line[32768];
    int         lines = 0, timesteps_off = 0;
    rf_sigma_table_init(&table);
    while (fgets(line, sizeof line, f)) {
        char *at = strchr(line, ' ');
        *at++ = '\0';
        const long  number = strtol(at, &at, 10);
        const int   is_table = strcmp(line, "table") == 0;
        const char *dash = strchr(line, '-');
        if (is_table) cr_assert_eq(number, RF_TRAIN_STEPS);
        if (!is_table && !dash) make(line, (int)number); /* its "-timesteps" line follows */
        for (int k = 0; k < number; k++) {
            const double want = strtod(at, &at);
            if (is_table)
                cr_assert_eq(table.sigma[k], (double)(float)want, "table %d", k);
            else if (!dash)
                expect_near(sigma[k], want, line, (int)number, k);
            else
                timesteps_off += rf_timestep_for_sigma(&table, sigma[k]) != (float)want;
        }
        cr_assert_str_eq(at, "\n");
        lines++;
    }
    fclose(f);
    cr_assert_eq(lines, 37);
    cr_assert_eq(timesteps_off, 0, "%d timesteps differ", timesteps_off);
}

Test(schedule, falls_from_largest_sigma_to_zero, .timeout = 30)
{
    for (int i = 0; i < NAME_COUNT; i++)
        for (int steps = 1; steps <= RF_STEPS_MAX; steps += steps < 200 ? 1 : 700) {
            make(NAMES[i], steps);
            cr_assert_eq(sigma[0], table.sigma[RF_TRAIN_STEPS - 1]);
            cr_assert_eq(sigma[steps], 0);
            if (steps > 1) cr_assert_eq(sigma[steps - 1], table.sigma[0]);
            for (int k = 0; k < steps; k++) {
                cr_assert_gt(sigma[k], sigma[k + 1], "%s %d [%d]", NAMES[i], steps, k);
                cr_assert_eq(sigma[k], (double)(float)sigma[k]);
            }
        }
}

Test(schedule, refuses_impossible_steps, .timeout = 10)
{
    const int          wrong[] = {0, -1, RF_STEPS_MAX + 1};
    const rf_schedule *s = NULL;
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, "Karras", "", NULL), RF_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rf_error err = {0};
        sigma[0] = 77;
        cr_assert_eq(rf_schedule_sigmas(s, &table, wrong[i], sigma, &err), RF_E_ARG);
        cr_assert_not_null(strstr(err.message, "steps"));
        cr_assert_eq(sigma[0], 77);
    }
}

Test(schedule, maps_are_inverse_and_hit_the_table, .timeout = 10)
{
    rf_sigma_table_init(&table);
    for (int i = 0; i < RF_TRAIN_STEPS; i++) {
        if (i > 0) cr_assert_gt(table.sigma[i], table.sigma[i - 1]);
        cr_assert_leq(fabs(rf_t_from_sigma(&table, table.sigma[i]) - i), 1e-9);
        cr_assert_leq(fabs(rf_sigma_from_t(&table, i) / table.sigma[i] - 1), 1e-14);
    }
    for (int i = 0; i < 2700; i++) {
        const double t = i * 0.37; /* 0 .. 998.63 */
        cr_assert_leq(fabs(rf_t_from_sigma(&table, rf_sigma_from_t(&table, t)) - t), 1e-9);
    }

    /* halfway in t is halfway in ln sigma */
    cr_assert_leq(fabs(rf_sigma_from_t(&table, 500.5) - sqrt(table.sigma[500] * table.sigma[501])),
                  1e-12);

    const double low = table.sigma[0], high = table.sigma[RF_TRAIN_STEPS - 1];
    cr_assert_eq(rf_t_from_sigma(&table, low / 2), 0);
    cr_assert_eq(rf_t_from_sigma(&table, high * 2), RF_TRAIN_STEPS - 1);
    cr_assert_leq(fabs(rf_sigma_from_t(&table, -3) - low), 1e-15);
    cr_assert_leq(fabs(rf_sigma_from_t(&table, 2000) - high), 1e-13);
}

/* The grid of f16: eleven significant bits. */
Test(schedule, timesteps_lie_on_the_f16_grid, .timeout = 10)
{
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_timestep_for_sigma(&table, rf_sigma_from_t(&table, 700.26)), 700.5f);
    cr_assert_eq(rf_timestep_for_sigma(&table, rf_sigma_from_t(&table, 700.24)), 700.0f);
    cr_assert_eq(rf_timestep_for_sigma(&table, rf_sigma_from_t(&table, 300.13)), 300.25f);
    cr_assert_eq(rf_timestep_for_sigma(&table, rf_sigma_from_t(&table, 300.12)), 300.0f);
    for (int i = 0; i < 5835; i++) {
        const double t = 0.5 + i * 0.171; /* .. 998.114 */
        int          exponent = 0;
        frexp(t, &exponent);
        const double unit = ldexp(1, exponent - 11);
        const double got = rf_timestep_for_sigma(&table, rf_sigma_from_t(&table, t));
        cr_assert_eq(got, nearbyint(got / unit) * unit);
        cr_assert_leq(fabs(got - t), unit * 0.5 + 1e-9);
    }
    for (int i = 0; i < RF_TRAIN_STEPS; i++) /* integers are kept */
        cr_assert_eq(rf_timestep_for_sigma(&table, table.sigma[i]), (float)i);
}
