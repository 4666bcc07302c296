/* The source CPU against torch, and its memo. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/mt19937.h"
#include "engine/sample/noise.h"

static const rf_noise_source *cpu(void)
{
    const rf_noise_source *source = NULL;
    cr_assert_eq(rf_noise_source_find(&source, "cpu", NULL), RF_OK);
    cr_assert_str_eq(rf_noise_source_name(source), "CPU");
    return source;
}

static int same(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

/* The generator's published output for seed 5489: the 10,000th word. */
Test(a1111_4_2, mt19937_gives_the_published_word, .timeout = 10)
{
    rf_mt19937 mt, skipped;
    uint32_t   word = 0;
    rf_mt19937_seed(&mt, 5489);
    for (int i = 0; i < 10000; i++) word = rf_mt19937_next(&mt);
    cr_assert_eq(word, 4123659995u);
    const uint64_t steps[] = {0, 1, 623, 624, 625, 1248, 9999};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        rf_mt19937_seed(&mt, 1);
        rf_mt19937_seed(&skipped, 1);
        for (uint64_t k = 0; k < steps[i]; k++) rf_mt19937_next(&mt);
        rf_mt19937_skip(&skipped, steps[i]);
        cr_assert_eq(rf_mt19937_next(&mt), rf_mt19937_next(&skipped), "%d", (int)steps[i]);
    }
}

Test(a1111_4_2, cpu_seed_42, .timeout = 10)
{
    const double want[] = {1.9269153, 1.4872841, 0.9007172, -2.1055210};
    float        got[16];
    rf_noise_draw(cpu(), 42, 0, (rf_noise_shape){1, 1, 16}, NULL, got);
    for (int i = 0; i < 4; i++) cr_assert_leq(fabs((double)got[i] - want[i]), 0.51e-7 + 2.4e-7);
}

enum { LATENT = 65536 };

/* tools/golden/make_noise_cpu.py.  torch's vector code has its own logarithm, sine and cosine, good
 * to a few units in the last place of an f32: 5e-7 at the size of the largest values, about 4. */
Test(a1111_4_2, cpu_matches_torch, .timeout = 30)
{
    static float channels_last[LATENT];
    static char  line[8192];
    int          lines = 0;
    double       worst = 0;
    FILE        *f = fopen("tests/golden/noise_cpu.txt", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f)) {
        char          *at = line;
        const uint64_t seed = strtoull(at, &at, 10);
        const int      c = (int)strtol(at, &at, 10), h = (int)strtol(at, &at, 10);
        const int      w = (int)strtol(at, &at, 10);
        const uint32_t draw = (uint32_t)strtoul(at, &at, 10);
        const long     first = strtol(at, &at, 10);
        cr_assert_leq(c * h * w, LATENT);
        rf_noise_draw(cpu(), seed, draw, (rf_noise_shape){c, h, w}, NULL, channels_last);
        for (long e = first; *at != '\n'; e++) {
            const double want = strtod(at, &at), got = channels_last[e % (h * w) * c + e / (h * w)];
            cr_assert_leq(fabs(got - want), 5e-7, "line %d element %ld: %.9g, not %.9g", lines + 1,
                          e, got, want);
            worst = fmax(worst, fabs(got - want));
        }
        lines++;
    }
    fclose(f);
    cr_assert_eq(lines, 145);
    cr_log_info("largest difference %g", worst);
}

/* In any order, from any memo: the same values.  Two pictures of any two sizes share it. */
Test(noise, cpu_memo_never_changes_values, .timeout = 30)
{
    const int     sizes[] = {1, 15, 16, 17, 40, 624, 1000};
    rf_noise_memo memo = {0};
    uint32_t      random = 1;
    for (int i = 0; i < 5000; i++) {
        float got[1000], want[1000];
        random = random * 1664525u + 1013904223u;
        const uint32_t       draw = random >> 8 & 7, seed = random >> 12 & 1;
        const rf_noise_shape shape = {1, 1, sizes[(random >> 16) % 7]};
        rf_noise_draw(cpu(), seed, draw, shape, &memo, got);
        rf_noise_draw(cpu(), seed, draw, shape, NULL, want);
        cr_assert(same(got, want, (size_t)shape.w * sizeof *got));
    }
}

Test(a1111_4_2, cpu_seed_is_its_low_32_bits, .timeout = 10)
{
    float a[32], b[32];
    rf_noise_draw(cpu(), 77, 1, (rf_noise_shape){2, 4, 4}, NULL, a);
    rf_noise_draw(cpu(), 77 + (5ull << 32), 1, (rf_noise_shape){2, 4, 4}, NULL, b);
    cr_assert(same(a, b, sizeof a));
}
