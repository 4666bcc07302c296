/* Noise table, its two maps, and schedules (A1111): against A1111's values, against a
 * recomputation with numpy, and against what must hold for every number of steps. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/beta.h"
#include "engine/sample/schedule.h"

static rf_sigma_table table;
static double         sigma[RF_STEPS_MAX + 2];

/* Fills sigma and returns the number of steps. */
static int make_with(const char *name, int steps, rf_schedule_options options)
{
    const rf_schedule *s = NULL;
    rf_sigmas          made = {0};
    rf_error           err = {0};
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, name, "", &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_schedule_sigmas(s, &table, steps, &options, &made, &err), RF_OK, "%s",
                 err.message);
    memcpy(sigma, made.sigma, ((size_t)made.steps + 1) * sizeof *sigma);
    free(made.sigma);
    return made.steps;
}

static void make(const char *name, int steps)
{
    cr_assert_eq(make_with(name, steps, (rf_schedule_options){0}), steps);
}

static const char *const NAMES[] = {"Uniform",     "Karras", "Exponential", "Polyexponential",
                                    "SGM Uniform", "Normal", "KL Optimal",  "Align Your Steps",
                                    "Beta",        "Simple"};
enum { NAME_COUNT = 10 };

Test(a1111_5_4, twenty_steps, .timeout = 10)
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
        {"sgm_uniform",
         {14.6146, 10.9073, 8.3072, 6.4477, 5.0924, 4.0861, 3.3251, 2.7391, 2.2797, 1.9132, 1.6156,
          1.3696,  1.1629,  .9860,  .8319,  .6951,  .5712,  .4557,  .3437,  .2255,  0}},
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
Test(a1111_5_2, matches_recomputation, .timeout = 10)
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
    cr_assert_eq(lines, 45);
    cr_assert_eq(timesteps_off, 0, "%d timesteps differ", timesteps_off);
}

/* Every schedule, in both modes: f32 values that fall, to 0 or (KL Optimal, exact) to s_min. */
Test(a1111_5_3, n_values_then_zero, .timeout = 60)
{
    for (int i = 0; i < 2 * NAME_COUNT; i++) {
        const char *name = NAMES[i / 2];
        const int   exact = i % 2, most = strcmp(name, "Simple") == 0 ? 1000 : RF_STEPS_MAX;
        const int   keeps_noise = exact && strcmp(name, "KL Optimal") == 0;
        for (int steps = 1; steps <= most; steps += steps < 60 ? 1 : 470) {
            const rf_schedule_options options = {.exact_a1111 = exact};
            cr_assert_eq(make_with(name, steps, options), steps);
            if (!exact || steps > 1)
                cr_assert_leq(fabs(sigma[0] / table.sigma[RF_TRAIN_STEPS - 1] - 1), 3e-5);
            if (keeps_noise)
                cr_assert_leq(fabs(sigma[steps] / table.sigma[0] - 1), 1e-6);
            else
                cr_assert_eq(sigma[steps], 0);
            for (int k = 0; k < steps; k++) {
                cr_assert_gt(sigma[k], sigma[k + 1], "%s %d [%d]", name, steps, k);
                cr_assert_eq(sigma[k], (double)(float)sigma[k]);
            }
        }
    }
}

/* Names the schedule of a golden row and its options; 0 if the row is something else. */
static int read_label(char *label, char **name, rf_schedule_options *options)
{
    char *option = strstr(label, " -");
    *options = (rf_schedule_options){.exact_a1111 = 1, .lcm_table = strncmp(label, "LCM ", 4) == 0};
    *name = label + (options->lcm_table ? 4 : 0);
    if (strstr(label, "timesteps") || strcmp(label, "LCM table") == 0) return 0;
    if (!option) return 1;
    *option++ = '\0';
    if (strcmp(option, "-discard") == 0) options->discard_penultimate = 1;
    if (strcmp(option, "-rho5") == 0) options->rho = 5;
    if (strcmp(option, "-ends") == 0) {
        options->sigma_min = 0.1;
        options->sigma_max = 10;
    }
    return 1;
}

/* tools/golden/make_sigmas.py computes in f32 like A1111, where tan near pi/2 and sums of
 * logarithms lose a few units; ours are rounded once. */
static void expect_a1111(const char *name, int steps, int made, const char *values)
{
    char *at = NULL;
    for (int k = 0; k <= made; k++) {
        const double want = strtod(values, &at);
        cr_assert_neq(at, values, "%s %d: too many values", name, steps);
        cr_assert_leq(fabs(sigma[k] - want), want * 1e-6, "%s %d [%d]: %.9g, not %.9g", name, steps,
                      k, sigma[k], want);
        values = at;
    }
    cr_assert_str_eq(values, "\n", "%s %d: too few values", name, steps);
}

Test(a1111_5_4, every_schedule_matches_a1111s_arithmetic, .timeout = 20)
{
    static char line[32768];
    int         rows = 0;
    FILE       *f = fopen("tests/golden/sigmas.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#') continue;
        rf_schedule_options options;
        char               *name = NULL, *tab = strchr(line, '\t'), *values = NULL;
        *tab = '\0';
        const int steps = (int)strtol(tab + 1, &values, 10);
        if (!read_label(line, &name, &options)) continue;
        expect_a1111(name, steps, make_with(name, steps, options), values + 1);
        rows++;
        const int is_kl = strcmp(name, "KL Optimal") == 0, is_beta = strcmp(name, "Beta") == 0;
        if (is_kl || is_beta || (steps == 1 && strcmp(name, "Align Your Steps") == 0)) continue;
        options.exact_a1111 = 0; /* nothing to repair: the same in both modes */
        expect_a1111(name, steps, make_with(name, steps, options), values + 1);
    }
    fclose(f);
    cr_assert_eq(rows, 129);
}

/* The repair of KL Optimal: A1111's noise levels, but the last is 0. */
Test(a1111_5_4, kl_optimal_gets_its_zero, .timeout = 10)
{
    const int number[] = {1, 2, 10, 20, 30, 50};
    for (int i = 0; i < 6; i++) {
        static double exact[RF_STEPS_MAX + 2];
        const int     n = number[i];
        cr_assert_eq(make_with("KL Optimal", n, (rf_schedule_options){.exact_a1111 = 1}), n);
        memcpy(exact, sigma, sizeof exact);
        make("KL Optimal", n);
        for (int k = 0; k < n; k++) cr_assert_eq(sigma[k], exact[k]);
        cr_assert_eq(sigma[n], 0);
        cr_assert_gt(exact[n], 0);
    }
}

/* The repair of Beta: crowded at both ends of the timesteps, not of sigma. */
Test(a1111_5_4, beta_spreads_over_timesteps, .timeout = 10)
{
    make("Beta", 21);
    cr_assert_leq(fabs(rf_t_from_sigma(&table, sigma[10]) - 499.5), 1e-3);
    for (int k = 0; k <= 20; k++)
        cr_assert_leq(
            fabs(rf_t_from_sigma(&table, sigma[k]) + rf_t_from_sigma(&table, sigma[20 - k]) - 999),
            2e-3);
    cr_assert_eq(make_with("Beta", 20, (rf_schedule_options){.exact_a1111 = 1}), 20);
    const double want[] = {14.61, 14.42, 13.99};
    for (int k = 0; k < 3; k++) cr_assert_leq(fabs(sigma[k] - want[k]), 0.0051);
    const double last[] = {0.66, 0.23, 0.029};
    for (int k = 0; k < 3; k++) cr_assert_leq(fabs(sigma[17 + k] - last[k]), 0.0051);
}

/* tools/golden/make_beta.py */
Test(a1111_5_4, beta_quantiles_match_scipy, .timeout = 10)
{
    char  line[200];
    int   rows = 0;
    FILE *f = fopen("tests/golden/beta.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        char        *at = line;
        const double a = strtod(at, &at), b = strtod(at, &at);
        const double p = strtod(at, &at), want = strtod(at, &at);
        const double got = rf_beta_quantile(p, a, b);
        cr_assert_leq(fabs(got - want), 1e-12, "%g %g %g: %.17g, not %.17g", a, b, p, got, want);
        rows++;
    }
    fclose(f);
    cr_assert_eq(rows, 78);
}

/* The number of steps, where it is not the number asked for. */
Test(a1111_5_4, ddim_may_make_more_steps, .timeout = 10)
{
    const int want[][2] = {{15, 16}, {28, 29},   {30, 31},    {35, 36},           {20, 20},
                           {50, 50}, {600, 999}, {1000, 999}, {RF_STEPS_MAX, 999}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const int made = make_with("DDIM", want[i][0], (rf_schedule_options){0});
        cr_assert_eq(made, want[i][1], "%d: %d", want[i][0], made);
        cr_assert_eq(sigma[made], 0);
        cr_assert_eq(sigma[made - 1], table.sigma[1]);
    }
}

/* Ends for the schedules that take them, and for the others nothing changes. */
Test(a1111_5_3, sigma_ends, .timeout = 10)
{
    const rf_schedule_options ends = {.sigma_min = 0.1, .sigma_max = 10};
    const char *const         fixed[] = {"Uniform", "Simple", "DDIM", "Align Your Steps"};
    for (int i = 0; i < 4; i++) {
        double plain[21];
        make(fixed[i], 20);
        memcpy(plain, sigma, sizeof plain);
        cr_assert_eq(make_with(fixed[i], 20, ends), 20);
        for (int j = 0; j <= 20; j++) cr_assert_eq(plain[j], sigma[j]);
    }
    const char *const bound[] = {"Karras", "Exponential", "Polyexponential", "Normal", "Beta"};
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(make_with(bound[i], 20, ends), 20);
        cr_assert_leq(fabs(sigma[0] - 10), 1e-5);
        cr_assert_leq(fabs(sigma[19] - 0.1), 1e-7);
    }
}

Test(schedule, refuses_what_makes_no_sense, .timeout = 10)
{
    const struct {
        const char         *name;
        int                 steps;
        rf_schedule_options options;
        const char         *part;
    } wrong[] = {
        {"Karras", 0, {.rho = 0}, "steps is 0"},
        {"Karras", -1, {.rho = 0}, "steps is -1"},
        {"Karras", RF_STEPS_MAX + 1, {.rho = 0}, "steps is 10001"},
        {"Karras", 20, {.rho = -7}, "rho is -7"},
        {"Karras", 20, {.rho = NAN}, "rho is nan"},
        {"Karras", 20, {.rho = 1e-6}, "noise level"}, /* 14.6^(10^6) is no number */
        {"Karras", 20, {.sigma_min = 15}, "range from 15 to 14.6146"},
        {"Karras", 20, {.sigma_min = -1}, "range from -1 to"},
        {"Karras", 20, {.sigma_max = NAN}, "to nan"},
        {"Karras", 20, {.sigma_max = INFINITY}, "to inf"},
        {"Karras", 20, {.sigma_min = 1, .sigma_max = 1.0000002}, "noise level"},
        {"Simple", 1001, {.rho = 0}, "noise level"},
    };
    rf_sigma_table_init(&table);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const rf_schedule *s = NULL;
        rf_sigmas          made = {sigma, 7};
        rf_error           err = {0};
        cr_assert_eq(rf_schedule_find(&s, wrong[i].name, "", NULL), RF_OK);
        cr_assert_eq(rf_schedule_sigmas(s, &table, wrong[i].steps, &wrong[i].options, &made, &err),
                     RF_E_ARG, "case %d", (int)i);
        cr_assert_not_null(strstr(err.message, wrong[i].part), "%s", err.message);
        cr_assert_null(made.sigma);
        cr_assert_eq(made.steps, 0);
    }
}

Test(a1111_5_2, maps_are_inverse_and_hit_the_table, .timeout = 10)
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
Test(a1111_5_2, timesteps_lie_on_the_f16_grid, .timeout = 10)
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

/* By distance in sigma, ties down; against the plain search. */
Test(a1111_1_3, nearest_entry, .timeout = 20)
{
    rf_sigma_table_init(&table);
    for (int i = 0; i < RF_TRAIN_STEPS; i++)
        cr_assert_eq(rf_nearest_entry(&table, table.sigma[i]), i);
    for (int i = 0; i < 4000; i++) {
        const double s = i < 2000 ? i * 0.00081 : i * 0.004;
        int          best = 0;
        for (int k = 1; k < RF_TRAIN_STEPS; k++)
            if (fabs(table.sigma[k] - s) < fabs(table.sigma[best] - s)) best = k;
        cr_assert_eq(rf_nearest_entry(&table, s), best, "%g", s);
    }
    for (int i = 0; i < RF_TRAIN_STEPS; i++) table.sigma[i] = i;
    cr_assert_eq(rf_nearest_entry(&table, 7.5), 7);
}
