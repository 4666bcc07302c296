/* The two experts that ship: what they draw stays as good as it was, on every level and in every
 * type.  Scores are bounded, not pixels: those may change in their last bits with a library.  Under
 * sanitizers one prompt is drawn, in minutes else, and only the style is looked at. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tools/measure/figures.h"

TestSuite(demo_experts, .timeout = 560);

enum { POINTS = 4, BASE_ALONE = POINTS - 1 };

#ifdef RF_SANITIZE
enum { TYPES = 1, SOME = 1, SANITIZED = 1 };
#else
enum { TYPES = 2, SOME = 12, SANITIZED = 0 };
#endif

static void open_prompts(rf_asked **asked, size_t *count)
{
    rf_error err = {0};
    cr_assert_eq(rf_asked_read(asked, count, "docs/demo/prompts.txt", &err), RF_OK, "%s",
                 err.message);
}

static double mean(const rf_measurement *m, const rf_measure_options *o, int point, int what)
{
    return rf_figure_of(m->outcome + (size_t)point * o->prompts, NULL, o->prompts, what).mean;
}

static void measure(rf_measurement *m, rf_measure_options *o)
{
    rf_error err = {0};
    o->base = RF_DEMO "/base.safetensors";
    o->refiner = RF_DEMO "/refiner.safetensors";
    o->judge = "tools/judge/judge.safetensors";
    o->threads = 2;
    cr_assert_eq(rf_measure(m, o, &err), RF_OK, "%s", err.message);
    for (int i = 0; i < o->points; i++)
        printf("%s %s: switch at %.2f: content %.3f, style %.3f\n", o->level ? o->level : "cpu",
               m->dtype, o->point[i], mean(m, o, i, RF_CONTENT), mean(m, o, i, RF_STYLE));
}

/* The recipe's claim on twelve prompts: with the switch in between, the base's content in the
 * refiner's style. */
Test(demo_experts, recipe_holds)
{
    static const char *const dtypes[] = {"f32", "bf16"};
    rf_asked                *asked;
    size_t                   count;
    open_prompts(&asked, &count);
    for (int i = 0; i < TYPES; i++) {
        rf_measurement     m;
        rf_measure_options o = {.asked = asked,
                                .prompts = SOME,
                                .point = {0, 0.4, 0.6, 1},
                                .points = POINTS,
                                .seeds = 1,
                                .dtype = dtypes[i]};
        measure(&m, &o);
        cr_expect_leq(mean(&m, &o, BASE_ALONE, RF_STYLE), 0.1);
        cr_expect(SANITIZED || mean(&m, &o, BASE_ALONE, RF_CONTENT) >= 0.88);
        cr_expect(SANITIZED || mean(&m, &o, 0, RF_CONTENT) <= 0.82);
        for (int k = 0; k < BASE_ALONE; k++) {
            cr_expect_geq(mean(&m, &o, k, RF_STYLE), 0.9);
            cr_expect(SANITIZED || k == 0 || mean(&m, &o, k, RF_CONTENT) >= 0.88);
        }
        rf_measurement_release(&m);
    }
    rf_asked_free(asked, count);
}

#ifndef RF_SANITIZE
/* The reference kernels take seconds for a step: few steps, one prompt, base alone. */
Test(demo_experts, reference_level_draws_it_too)
{
    rf_asked *asked;
    size_t    count;
    open_prompts(&asked, &count);
    rf_measurement     m;
    rf_measure_options o = {.asked = asked,
                            .prompts = 1,
                            .point = {1},
                            .points = 1,
                            .seeds = 1,
                            .steps = 8,
                            .dtype = "f32",
                            .level = "ref"};
    measure(&m, &o);
    cr_expect_geq(mean(&m, &o, 0, RF_CONTENT), 0.9);
    cr_expect_leq(mean(&m, &o, 0, RF_STYLE), 0.2);
    rf_measurement_release(&m);
    rf_asked_free(asked, count);
}
#endif
