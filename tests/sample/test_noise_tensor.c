/* Variation, seed resize and ENSD: A1111, against the formulas in plain loops. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/sample/noise.h"

enum { VALUES = 4096 };

static const rf_noise_source *source(int cpu)
{
    const rf_noise_source *found = NULL;
    cr_assert_eq(rf_noise_source_find(&found, cpu ? "CPU" : "NV", NULL), RF_OK);
    return found;
}

static int same(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static int count_of(rf_noise_shape s)
{
    return s.channels * s.h * s.w;
}

static int place(rf_noise_shape s, int c, int y, int x)
{
    return (y * s.w + x) * s.channels + c;
}

static double dot(rf_noise_shape s, int c, int x, const float *a, const float *b)
{
    double sum = 0;
    for (int y = 0; y < s.h; y++) sum += (double)a[place(s, c, y, x)] * b[place(s, c, y, x)];
    return sum;
}

/* Section 4.3's formula with the norms over the height of each channel and column. */
static void expect_slerp(rf_noise_shape s, double t, const float *a, const float *b,
                         const float *got)
{
    for (int c = 0; c < s.channels; c++)
        for (int x = 0; x < s.w; x++) {
            const double cosine =
                dot(s, c, x, a, b) / sqrt(dot(s, c, x, a, a) * dot(s, c, x, b, b));
            const double angle = acos(cosine);
            for (int y = 0; y < s.h; y++) {
                const int    i = place(s, c, y, x);
                const double want =
                    sin((1 - t) * angle) / sin(angle) * a[i] + sin(t * angle) / sin(angle) * b[i];
                cr_assert_leq(fabs(got[i] - want), 1e-6, "%d %d %d: %g", c, y, x, got[i] - want);
            }
        }
}

Test(a1111_4_3, variation_is_a_slerp_along_the_height, .timeout = 10)
{
    const rf_noise_shape shapes[] = {{4, 8, 8}, {4, 16, 3}, {1, 5, 7}};
    const double         strengths[] = {0.1, 0.5, 1.0};
    for (int i = 0; i < 18; i++) {
        const rf_noise_shape s = shapes[i % 3];
        float                a[VALUES], b[VALUES], got[VALUES], scratch[2 * VALUES];
        const rf_noise_spec  spec = {.source = source(i % 2),
                                     .seed = 1,
                                     .variation_seed = 2,
                                     .variation = strengths[i / 3 % 3],
                                     .exact_a1111 = i >= 9};
        rf_noise_draw(spec.source, 1, 0, s, NULL, a);
        rf_noise_draw(spec.source, 2, 0, s, NULL, b);
        rf_noise_tensor(&spec, 0, s, NULL, scratch, got);
        expect_slerp(s, spec.variation, a, b, got);
        rf_noise_tensor(&spec, 3, s, NULL, NULL, got); /* samplers' draws have no variation */
        rf_noise_draw(spec.source, 1, 3, s, NULL, a);
        cr_assert(same(got, a, (size_t)count_of(s) * sizeof *a));
    }
}

Test(a1111_4_3, strength_zero_is_no_variation, .timeout = 10)
{
    const rf_noise_shape s = {4, 8, 8};
    float                a[256], got[256];
    const rf_noise_spec  spec = {.source = source(0), .seed = 1, .variation_seed = 2};
    rf_noise_draw(spec.source, 1, 0, s, NULL, a);
    rf_noise_tensor(&spec, 0, s, NULL, NULL, got);
    cr_assert(same(got, a, sizeof a));
}

/* seed = variation seed: harmless in both modes, up to the rounding of two products. */
Test(a1111_4_3, fallback_of_equal_seeds_is_harmless, .timeout = 10)
{
    const rf_noise_shape s = {4, 8, 8};
    float                a[256], got[256], scratch[512];
    for (int exact = 0; exact < 2; exact++) {
        const rf_noise_spec spec = {.source = source(0),
                                    .seed = 5,
                                    .variation_seed = 5,
                                    .variation = 0.3,
                                    .exact_a1111 = exact};
        rf_noise_draw(spec.source, 5, 0, s, NULL, a);
        rf_noise_tensor(&spec, 0, s, NULL, scratch, got);
        for (int i = 0; i < 256; i++) cr_assert_leq(fabs((double)got[i] - a[i]), 1e-6);
    }
}

/* At height 1 a column is a number, and two numbers of the same sign have the angle 0: with one
 * column the mean cosine is 1, and the fallback shows. */
Test(a1111_4_3, fallback_swaps_weights_only_when_exact, .timeout = 10)
{
    const rf_noise_shape s = {1, 1, 1};
    const double         t = 0.25;
    int                  tried = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        float         a = 0, b = 0, repaired = 0, exact = 0, scratch[2];
        rf_noise_spec spec = {
            .source = source(0), .seed = seed, .variation_seed = seed + 100, .variation = t};
        rf_noise_draw(spec.source, seed, 0, s, NULL, &a);
        rf_noise_draw(spec.source, seed + 100, 0, s, NULL, &b);
        rf_noise_tensor(&spec, 0, s, NULL, scratch, &repaired);
        spec.exact_a1111 = 1;
        rf_noise_tensor(&spec, 0, s, NULL, scratch, &exact);
        cr_assert_leq(fabs(repaired - ((1 - t) * a + t * b)), 1e-6); /* opposite signs too */
        if (a * b < 0) continue;
        cr_assert_leq(fabs(exact - (t * a + (1 - t) * b)), 1e-6);
        tried++;
    }
    cr_assert_gt(tried, 3);
}

static int floor_half(int x)
{
    return (int)floor(x / 2.0);
}

/* Old noise centred in new noise; where the old is larger, its middle. */
Test(a1111_4_4, seed_resize_pastes_into_the_middle, .timeout = 10)
{
    const rf_noise_shape to = {4, 8, 8};
    const int            old[][2] = {{6, 6}, {5, 8}, {12, 12}, {11, 4}, {8, 3}, {4, 13}, {1, 1}};
    for (size_t i = 0; i < 2 * sizeof old / sizeof *old; i++) {
        const rf_noise_shape from = {4, old[i / 2][0], old[i / 2][1]};
        const int            top = floor_half(to.h - from.h), left = floor_half(to.w - from.w);
        static float         fresh[VALUES], small[VALUES], got[VALUES + 1], scratch[2 * VALUES];
        rf_noise_spec        spec = {.source = source((int)i % 2),
                                     .seed = 3,
                                     .variation_seed = 4,
                                     .variation = i % 4 < 2 ? 0 : 0.4};
        rf_noise_draw(spec.source, 3, 0, to, NULL, fresh);
        rf_noise_tensor(&spec, 0, from, NULL, scratch, small); /* variation is applied there */
        spec.resize_h = from.h;
        spec.resize_w = from.w;
        got[count_of(to)] = 77;
        rf_noise_tensor(&spec, 0, to, NULL, scratch, got);
        for (int c = 0; c < 4; c++)
            for (int y = 0; y < to.h; y++)
                for (int x = 0; x < to.w; x++) {
                    const int    sy = y - top, sx = x - left;
                    const int    in = sy >= 0 && sy < from.h && sx >= 0 && sx < from.w;
                    const double want =
                        in ? small[place(from, c, sy, sx)] : fresh[place(to, c, y, x)];
                    cr_assert_eq(got[place(to, c, y, x)], want, "case %d at %d %d %d", (int)i, c, y,
                                 x);
                }
        cr_assert_eq(got[count_of(to)], 77);
        rf_noise_tensor(&spec, 1, to, NULL, NULL, got); /* later draws: the new size's generator */
        rf_noise_draw(spec.source, 3, 1, to, NULL, fresh);
        cr_assert(same(got, fresh, (size_t)count_of(to) * sizeof *got));
    }
}

Test(a1111_4_4, needs_both_sizes, .timeout = 10)
{
    const rf_noise_shape s = {4, 8, 8};
    float                want[256], got[256];
    for (int i = 0; i < 3; i++) {
        const rf_noise_spec spec = {.source = source(0),
                                    .seed = 3,
                                    .resize_h = i == 1   ? 6
                                                : i == 2 ? 8
                                                         : 0,
                                    .resize_w = i == 0   ? 6
                                                : i == 2 ? 8
                                                         : 0};
        rf_noise_draw(spec.source, 3, 0, s, NULL, want);
        rf_noise_tensor(&spec, 0, s, NULL, NULL, got);
        cr_assert(same(got, want, sizeof want));
    }
}

Test(a1111_4_5, ensd_replaces_the_generator_after_the_first_draw, .timeout = 10)
{
    const rf_noise_shape s = {4, 8, 8};
    float                want[256], got[256];
    for (int i = 0; i < 4; i++) {
        const int64_t       ensd = i < 2 ? 31337 : -50;
        rf_noise_memo       memo = {0};
        const rf_noise_spec spec = {.source = source(i % 2), .seed = 20, .ensd = ensd};
        for (uint32_t draw = 0; draw < 4; draw++) {
            rf_noise_tensor(&spec, draw, s, &memo, NULL, got);
            rf_noise_draw(spec.source, draw == 0 ? 20 : 20 + (uint64_t)ensd,
                          draw == 0 ? 0 : draw - 1, s, NULL, want);
            cr_assert(same(got, want, sizeof want));
        }
    }
}
