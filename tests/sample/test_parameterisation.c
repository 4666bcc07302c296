/* Tables and x0 of what a UNet may predict, against diffusers and the formulas in f64
 * (tools/golden/make_predictions.py). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/schedule.h"

static const rf_parameterisation EPSILON = {.v = 0}, V = {.v = 1},
                                 V_ZTSNR = {.v = 1, .range = RF_RANGE_ZTSNR},
                                 COSXL = {.v = 1,
                                          .range = RF_RANGE_EDM,
                                          .sigma_min = 0.002,
                                          .sigma_max = 120};

static rf_sigma_table sdxl, ztsnr, edm;

static void set_up(void)
{
    rf_sigma_table_init(&sdxl);
    rf_sigma_table_make(&ztsnr, &V_ZTSNR);
    rf_sigma_table_make(&edm, &COSXL);
}

TestSuite(parameterisation, .init = set_up, .timeout = 20);

static void compare_entry(const char *kind, int i, double want)
{
    const double got = strcmp(kind, "edm") == 0 ? edm.sigma[i] : ztsnr.sigma[i];
    /* f64 formulas: our one rounding to f32.  diffusers multiplies 1000 f32 betas again, each half
     * a unit off: 1000 * 2^-24 of a product, and half of it of its root. */
    const double bound = strcmp(kind, "ztsnr") == 0 ? 1000 * 0x1p-25 : 0x1p-23;
    cr_expect(fabs(got - want) <= bound * want, "%s %d: %.9g, not %.9g", kind, i, got, want);
}

static void compare_x0(const char *kind, double sigma, double input, double answer, double want)
{
    const rf_parameterisation *p = strcmp(kind, "epsilon") == 0   ? &EPSILON
                                   : strcmp(kind, "v") == 0       ? &V
                                   : strcmp(kind, "v-ztsnr") == 0 ? &V_ZTSNR
                                                                  : &COSXL;
    const rf_x0_weights        w = rf_x0_weights_at(p, sigma);
    const double               x = input * sqrt(sigma * sigma + 1);
    const double               got = w.skip * x + w.out * answer;
    /* diffusers rounds x, sigma * answer and their difference to f32. */
    const double bound = 4 * 0x1p-24 * (fabs(w.skip * x) + fabs(w.out * answer));
    cr_expect(fabs(got - want) <= bound, "%s at %g: %.9g, not %.9g", kind, sigma, got, want);
}

/* Up to four numbers behind `text`; how many. */
static int read_numbers(const char *text, double *number)
{
    int n = 0;
    for (char *end = NULL; n < 4; text = end, n++) {
        number[n] = strtod(text, &end);
        if (end == text) break;
    }
    return n;
}

Test(parameterisation, agrees_with_diffusers)
{
    char  line[256];
    FILE *f = fopen("tests/golden/predictions.txt", "r");
    int   entries = 0, conversions = 0, timesteps = 0;
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        double number[4];
        char  *rest = NULL, *kind = strtok_r(line, " ", &rest);
        if (*kind == '#') continue;
        if (strcmp(kind, "x0") == 0) {
            kind = strtok_r(NULL, " ", &rest);
            cr_assert_eq(read_numbers(rest, number), 4);
            compare_x0(kind, number[0], number[1], number[2], number[3]);
            conversions++;
            continue;
        }
        cr_assert_eq(read_numbers(rest, number), 2);
        if (strcmp(kind, "timestep") == 0) { /* diffusers takes an f32 logarithm */
            const double got = (double)rf_timestep_for_sigma(&edm, number[0]);
            cr_expect(fabs(got - number[1]) <= 0x1p-22 * fabs(number[1]), "%.9g", got);
            timesteps++;
        } else {
            compare_entry(kind, (int)number[0], number[1]);
            entries++;
        }
    }
    fclose(f);
    cr_expect_eq(entries, 44);
    cr_expect_eq(conversions, 26);
    cr_expect_eq(timesteps, 5);
}

/* v is as far from x0 and noise as its definition says, and both ways give the x0 they were made
 * of. */
Test(parameterisation, x0_is_what_it_was_made_of)
{
    const double x0 = 0.7, noise = -1.3;
    double       sigma = 0.002;
    for (int i = 0; i < 14; i++) { /* up to 3,188 */
        const double        x = x0 + sigma * noise, scale = sqrt(sigma * sigma + 1);
        const double        v = (noise - sigma * x0) / scale;
        const rf_x0_weights of_eps = rf_x0_weights_at(&EPSILON, sigma);
        const rf_x0_weights of_v = rf_x0_weights_at(&V, sigma);
        cr_expect(fabs(of_eps.skip * x + of_eps.out * noise - x0) <= 1e-15 * sigma + 1e-15);
        cr_expect(fabs(of_v.skip * x + of_v.out * v - x0) <= 1e-15, "%g", sigma);
        cr_expect(of_eps.skip == 1 && of_eps.out == -sigma, "no bit of epsilon may change");
        sigma *= 3;
    }
}

Test(parameterisation, tables_rise_and_know_each_other)
{
    const rf_sigma_table *all[] = {&sdxl, &ztsnr, &edm};
    rf_sigma_table        again;
    for (int k = 0; k < 3; k++) {
        for (int i = 1; i < RF_TRAIN_STEPS; i++)
            cr_assert_lt(all[k]->sigma[i - 1], all[k]->sigma[i], "%d of %d", i, k);
        for (int j = 0; j < 3; j++) cr_expect_eq(rf_sigma_tables_equal(all[k], all[j]), k == j);
        for (int i = 0; i < RF_TRAIN_STEPS; i++)
            cr_expect(fabs(rf_t_from_sigma(all[k], all[k]->sigma[i]) - i) < 1e-9);
    }
    rf_sigma_table_make(&again, &V); /* v on SDXL's own levels */
    cr_expect(rf_sigma_tables_equal(&again, &sdxl));
    cr_expect_eq(sdxl.continuous + ztsnr.continuous, 0);
    cr_expect_eq(edm.continuous, 1);
}

/* One level is another timestep for each: entries of its own table, or ln(sigma) / 4. */
Test(parameterisation, a_level_has_a_timestep_in_every_table)
{
    cr_expect_eq(rf_timestep_for_sigma(&sdxl, sdxl.sigma[500]), 500);
    cr_expect_eq(rf_timestep_for_sigma(&ztsnr, ztsnr.sigma[500]), 500);
    cr_expect_lt(rf_timestep_for_sigma(&ztsnr, sdxl.sigma[500]), 490);
    cr_expect_eq(rf_timestep_for_sigma(&edm, 1), 0);
    cr_expect_eq(rf_timestep_for_sigma(&edm, 14.6), (float)(log(14.6) / 4));
    cr_expect_eq(rf_timestep_for_sigma(&sdxl, 4000), 999, "beyond the table: its end");
}

Test(parameterisation, schedules_reach_the_end_of_the_table)
{
    static const char *const  names[] = {"Uniform", "Karras", "Exponential", "Normal", "Simple"};
    const rf_sigma_table     *all[] = {&ztsnr, &edm};
    const rf_schedule_options none = {0};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (int k = 0; k < 2; k++) {
            const rf_schedule *schedule = NULL;
            rf_sigmas          made = {0};
            cr_assert_eq(rf_schedule_find(&schedule, names[n], "", NULL), RF_OK);
            cr_assert_eq(rf_schedule_sigmas(schedule, all[k], 20, &none, &made, NULL), RF_OK);
            cr_expect_float_eq(made.sigma[0], all[k]->sigma[RF_TRAIN_STEPS - 1],
                               1e-6 * made.sigma[0], "%s", names[n]);
            cr_expect_eq(made.steps, 20);
            free(made.sigma);
        }
}
