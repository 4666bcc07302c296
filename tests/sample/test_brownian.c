/* Brownian paths (A1111) against torchsde, numpy's SeedSequence and Python's round. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/brownian.h"

static const rf_noise_shape SMALL = {4, 2, 2};
enum { VALUES = 16 };

static const rf_noise_source *source(const char *name)
{
    const rf_noise_source *found = NULL;
    cr_assert_eq(rf_noise_source_find(&found, name, NULL), RF_OK);
    return found;
}

static int same(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static float element(const float *latent, int e)
{
    return latent[e % 4 * 4 + e / 4];
}

static void check_words(char *at)
{
    uint64_t       keys[2] = {0};
    uint32_t       got[4];
    const uint64_t entropy = strtoull(at, &at, 10);
    const int      spawned = strncmp(at, " -", 2) != 0;
    if (spawned) {
        keys[0] = strtoull(at, &at, 10);
        keys[1] = strtoull(at + 1, &at, 10);
    } else {
        at += 2;
    }
    rf_seed_sequence(entropy, keys, spawned ? 2 : 0, got, 4);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(got[i], (uint32_t)strtoul(at, &at, 10), "entropy %llu",
                     (unsigned long long)entropy);
}

static void check_round(char *at)
{
    const double x = strtod(at, &at), want = strtod(at, &at);
    cr_assert_eq(rf_round6(x), want, "%.17g: %.17g, not %.17g", x, rf_round6(x), want);
}

/* Rounding errors of torchsde's f32 sums, divided by the root of a small time. */
static void check_path(char *at)
{
    const int      is_cpu = strncmp(at, "CPU", 3) == 0;
    const uint64_t seed = strtoull(at + (is_cpu ? 3 : 2), &at, 10);
    const double   t0 = strtod(at, &at), t1 = strtod(at, &at);
    const double   from = strtod(at, &at), to = strtod(at, &at);
    const double   bound = 2e-6 / fmin(1, sqrt(from - to));
    float          got[VALUES], scratch[3 * VALUES];
    rf_brownian    path = {source(is_cpu ? "CPU" : "NV"), seed, t0, t1};
    rf_brownian_noise(&path, from, to, SMALL, scratch, got);
    for (int e = 0; e < VALUES; e++) {
        const double want = strtod(at, &at);
        cr_assert_leq(fabs(element(got, e) - want), bound, "%g to %g [%d]: %.9g, not %.9g", from,
                      to, e, (double)element(got, e), want);
    }
}

/* tools/golden/make_brownian.py */
Test(a1111_4_7, matches_torchsde_numpy_and_python, .timeout = 20)
{
    static char line[4096];
    int         words = 0, rounded = 0, paths = 0;
    FILE       *f = fopen("tests/golden/brownian.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        char *at = strchr(line, ' ') + 1;
        if (strncmp(line, "words", 5) == 0) {
            check_words(at);
            words++;
        } else if (strncmp(line, "round", 5) == 0) {
            check_round(at);
            rounded++;
        } else {
            check_path(at);
            paths++;
        }
    }
    fclose(f);
    cr_assert_eq(words, 25);
    cr_assert_eq(rounded, 114);
    cr_assert_eq(paths, 52);
}

Test(a1111_4_7, golden_first_step_of_karras_5, .timeout = 10)
{
    const struct {
        const char *source;
        double      want[4];
    } golden[] = {{"NV", {0.4510644, -1.4611655, 0.2006650, -0.3372288}},
                  {"CPU", {-0.7593435, -0.8909367, -0.1016994, -0.4728589}}};
    for (int i = 0; i < 2; i++) {
        float             got[VALUES], scratch[3 * VALUES];
        const rf_brownian path = {source(golden[i].source), 1234, 0.029167533, 14.614643};
        rf_brownian_noise(&path, 14.614643, 4.796544, SMALL, scratch, got);
        for (int e = 0; e < 4; e++)
            cr_assert_leq(fabs(element(got, e) - golden[i].want[e]), 6e-7, "%s %d: %.8g",
                          golden[i].source, e, (double)element(got, e));
    }
}

/* Asked again, or in another order: the same bits. */
Test(a1111_4_7, is_a_pure_function, .timeout = 10)
{
    const double      times[] = {14.6146, 9.34, 7.3836, 3.4648, 1.0908, 0.3964, 0.0485, 0.0292};
    const rf_brownian path = {source("CPU"), 99, 0.0292, 14.6146};
    float             first[7][VALUES], again[VALUES], scratch[3 * VALUES];
    for (int i = 0; i < 7; i++)
        rf_brownian_noise(&path, times[i], times[i + 1], SMALL, scratch, first[i]);
    for (int round = 0; round < 3; round++)
        for (int i = 6; i >= 0; i--) {
            for (int k = 0; k < 3 * VALUES; k++) scratch[k] = NAN;
            rf_brownian_noise(&path, times[i], times[i + 1], SMALL, scratch, again);
            cr_assert(same(again, first[i], sizeof again));
        }
}

/* Increments of neighbouring intervals add up: W is one path. */
Test(a1111_4_7, increments_add_up, .timeout = 10)
{
    const rf_brownian path = {source("NV"), 7, 0.029167533, 14.614643};
    const double      low = 0.4, high = 12.25;
    for (int i = 1; i < 40; i++) {
        const double middle = low + (high - low) * i / 40;
        float        all[VALUES], upper[VALUES], lower[VALUES], scratch[3 * VALUES];
        rf_brownian_noise(&path, high, low, SMALL, scratch, all);
        rf_brownian_noise(&path, high, middle, SMALL, scratch, upper);
        rf_brownian_noise(&path, middle, low, SMALL, scratch, lower);
        for (int e = 0; e < VALUES; e++)
            cr_assert_leq(fabs(all[e] * sqrt(high - low) - upper[e] * sqrt(high - middle) -
                               lower[e] * sqrt(middle - low)),
                          1e-5);
    }
}

Test(a1111_4_7, times_outside_are_clamped, .timeout = 10)
{
    const rf_brownian path = {source("NV"), 7, 0.5, 10};
    float             got[VALUES], want[VALUES], scratch[3 * VALUES];
    rf_brownian_noise(&path, 12, 0.25, SMALL, scratch, got);
    rf_brownian_noise(&path, 10, 0.5, SMALL, scratch, want);
    for (int e = 0; e < VALUES; e++) /* the division is by the times as given */
        cr_assert_leq(fabs(got[e] * sqrt(11.75) - want[e] * sqrt(9.5)), 1e-5);
    rf_brownian_noise(&path, 0.5, 0.25, SMALL, scratch, got);
    for (int e = 0; e < VALUES; e++) cr_assert_eq(got[e], 0);
    rf_brownian_noise(&path, 30, 10, SMALL, scratch, got);
    for (int e = 0; e < VALUES; e++) cr_assert_eq(got[e], 0);
}

/* Standard normal, steps independent of each other; bounds are five standard errors. */
Test(brownian, is_standard_normal_and_independent, .timeout = 30)
{
    enum { COUNT = 4096 };
    static float         a[COUNT], b[COUNT], scratch[3 * COUNT];
    const rf_noise_shape shape = {4, 32, 32};
    const double         error = 5 / sqrt(COUNT);
    const rf_brownian    path = {source("NV"), 1, 0.0292, 14.6146};
    double               aa = 0, ab = 0, mean = 0;
    rf_brownian_noise(&path, 5.7894, 4.4998, shape, scratch, a);
    rf_brownian_noise(&path, 4.4998, 3.4648, shape, scratch, b);
    for (int i = 0; i < COUNT; i++) {
        mean += a[i] / (double)COUNT;
        aa += (double)a[i] * a[i] / COUNT;
        ab += (double)a[i] * b[i] / COUNT;
    }
    cr_assert_leq(fabs(mean), error);
    cr_assert_leq(fabs(aa - 1), error * sqrt(2));
    cr_assert_leq(fabs(ab), error);
}
