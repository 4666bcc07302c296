/* The source NV: Philox's published vectors, A1111's values, recomputed values, and its layout. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/noise.h"
#include "kernels/half.h"

/* `count` values of a draw. */
static void draw_nv(uint64_t seed, uint32_t draw, uint32_t count, float *out)
{
    const rf_noise_source *nv = NULL;
    cr_assert_eq(rf_noise_source_find(&nv, "NV", NULL), RF_OK);
    rf_noise_draw(nv, seed, draw, (rf_noise_shape){1, 1, (int)count}, NULL, out);
}

/* Known answers of Random123 (kat_vectors, philox4x32, 10 rounds). */
Test(noise, philox_gives_the_published_words, .timeout = 10)
{
    const struct {
        uint32_t counter[4], key[2], want[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t c[4];
        memcpy(c, vectors[i].counter, sizeof c);
        rf_philox4x32(c, vectors[i].key[0], vectors[i].key[1]);
        cr_assert_eq(memcmp(c, vectors[i].want, sizeof c), 0, "vector %zu", i);
    }
}

/* Values of A1111 1.10.1, printed with seven decimals. */
Test(a1111_4_2, nv_values, .timeout = 10)
{
    const struct {
        uint64_t seed;
        uint32_t draw;
        double   want[4];
    } golden[] = {
        {0, 0, {-0.9246624, -0.4253440, -2.6438458, 0.1451839}},
        {0, 1, {0.1808259, -0.5522627, 0.9238134, -0.7349703}},
        {42, 0, {0.1940189, 2.1613739, -0.1720510, 0.8490600}},
        {42, 1, {0.1391375, -0.1082162, -0.7174222, 0.7566487}},
        {1234567890123, 0, {0.4745931, 0.8396766, -0.7642830, -1.0388208}},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        float got[4];
        draw_nv(golden[i].seed, golden[i].draw, 4, got);
        for (int e = 0; e < 4; e++)
            cr_assert_leq(fabs(got[e] - golden[i].want[e]), 0.51e-7 + 1.2e-7,
                          "row %zu element %d: %.8f", i, e, (double)got[e]);
    }
}

enum { GOLDEN_COUNT = 64, GOLDEN_LINES = 24, LATENT = 65536 };

/* tools/golden/make_noise.py; bit for bit, up to one unit where a C library's log or sin rounds
 * otherwise (none does here). */
Test(a1111_4_2, nv_matches_recomputation, .timeout = 10)
{
    static float got[LATENT];
    static char  line[4096];
    int          lines = 0, off_by_one = 0;
    FILE        *f = fopen("tests/golden/noise.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        char          *at = line;
        const uint64_t seed = strtoull(at, &at, 10);
        const uint32_t draw = (uint32_t)strtoul(at, &at, 10);
        const uint32_t first = (uint32_t)strtoul(at, &at, 10);
        draw_nv(seed, draw, first + GOLDEN_COUNT, got);
        for (uint32_t e = 0; e < GOLDEN_COUNT; e++) {
            const uint32_t mine = rf_bits_from_f32(got[first + e]);
            const uint32_t bits = (uint32_t)strtoul(at, &at, 16);
            const uint32_t apart = mine > bits ? mine - bits : bits - mine;
            cr_assert_leq(apart, 1u, "line %d element %u", lines, e);
            off_by_one += apart != 0;
        }
        cr_assert_str_eq(at, "\n");
        lines++;
    }
    fclose(f);
    cr_assert_eq(lines, GOLDEN_LINES);
    cr_assert_leq(off_by_one, 1, "%d values are off by one unit", off_by_one);
}

Test(noise, latent_is_the_same_tensor_channels_last, .timeout = 10)
{
    const rf_noise_shape shapes[] = {{4, 16, 16}, {4, 3, 5}, {4, 1, 7}, {1, 2, 2},
                                     {3, 8, 1},   {3, 1, 1}, {2, 2, 2}};
    for (size_t i = 0; i < 2 * sizeof shapes / sizeof *shapes; i++) {
        const rf_noise_shape   s = shapes[i / 2];
        const rf_noise_source *source = NULL;
        cr_assert_eq(rf_noise_source_find(&source, i % 2 ? "CPU" : "NV", NULL), RF_OK);
        const int count = s.channels * s.h * s.w;
        float     plain[1024], latent[1024 + 1];
        latent[count] = 77;
        rf_noise_draw(source, 9, 3, (rf_noise_shape){1, 1, count}, NULL, plain);
        rf_noise_draw(source, 9, 3, s, NULL, latent);
        for (int c = 0; c < s.channels; c++)
            for (int y = 0; y < s.h; y++)
                for (int x = 0; x < s.w; x++)
                    cr_assert_eq(latent[(y * s.w + x) * s.channels + c],
                                 plain[(c * s.h + y) * s.w + x]);
        cr_assert_eq(latent[count], 77);
    }
}

static double mean_product(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum / n;
}

/* Moments of one 1024x1024 latent, and no correlation between draws or seeds; bounds are five
 * standard errors of 65,536 values. */
Test(noise, is_standard_normal_and_independent, .timeout = 30)
{
    static float a[LATENT], other[LATENT], one[LATENT], square[LATENT];
    const double error = 5 / sqrt(LATENT);
    const struct {
        uint64_t seed;
        uint32_t draw;
    } others[] = {{7, 1}, {7, 2}, {8, 0}, {7 + (1ull << 32), 0}};
    draw_nv(7, 0, LATENT, a);
    for (int i = 0; i < LATENT; i++) {
        one[i] = 1;
        square[i] = a[i] * a[i];
        cr_assert(isfinite(a[i]));
    }
    cr_assert_leq(fabs(mean_product(a, one, LATENT)), error);
    cr_assert_leq(fabs(mean_product(a, a, LATENT) - 1), error * sqrt(2));
    cr_assert_leq(fabs(mean_product(a, square, LATENT)), error * sqrt(15));
    cr_assert_leq(fabs(mean_product(square, square, LATENT) - 3), error * sqrt(96));
    cr_assert_leq(fabs(mean_product(a, a + 1, LATENT - 1)), error * 1.01);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        draw_nv(others[i].seed, others[i].draw, LATENT, other);
        cr_assert_leq(fabs(mean_product(a, other, LATENT)), error, "case %zu", i);
    }
}
