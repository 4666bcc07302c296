/* The look at an expert's first answer, on answers whose kind is known: perfect ones, made of a
 * smooth picture and noise, each taken for either kind. */
#include <criterion/criterion.h>
#include <math.h>

#include "engine/relay/x0_check.h"

enum { SIDE = 16, ELEMS = SIDE * SIDE * 4 };

static const rf_parameterisation EPSILON = {.v = 0}, V = {.v = 1};

static float input[ELEMS], answer[ELEMS];

/* Nearly normal: the sum of twelve evenly spread ones. */
static double normal(unsigned *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (*state >> 8) * 0x1p-24;
    }
    return sum;
}

static double picture(int e)
{
    const int pixel = e / 4, row = pixel / SIDE;
    return 1.2 * sin(pixel % SIDE * 0.4 + e % 4) * cos(row * 0.3);
}

/* What a perfect expert of that kind answers, who sees `seen` of the picture. */
static void answer_as(const rf_parameterisation *is, double sigma, double seen, unsigned seed)
{
    for (int e = 0; e < ELEMS; e++) {
        const double        x = picture(e) + sigma * normal(&seed);
        const rf_x0_weights w = rf_x0_weights_at(is, sigma);
        input[e] = (float)(x / sqrt(sigma * sigma + 1));
        answer[e] = (float)((seen * picture(e) - w.skip * x) / w.out);
    }
}

static rf_x0_look look_as(const rf_parameterisation *is, double sigma)
{
    return rf_x0_look_at(is, sigma, input, answer, SIDE, SIDE);
}

TestSuite(x0_check, .timeout = 30);

Test(x0_check, right_ones_pass_and_wrong_ones_are_told)
{
    const double sigma[] = {5, 14.6, 120, 4518}, seen[] = {0.3, 1};
    for (int s = 0; s < 4; s++)
        for (unsigned seed = 1; seed <= 20; seed++) {
            const double part = seen[seed % 2];
            answer_as(&EPSILON, sigma[s], part, seed);
            rf_x0_look look = look_as(&EPSILON, sigma[s]);
            /* an answer is f32: sigma times its last bit is left of it */
            cr_expect_float_eq(look.std, part * 0.6, 0.1 + sigma[s] * 0x1p-22);
            cr_expect_eq(look.looks_like_v + look.looks_like_epsilon, 0, "sigma %g", sigma[s]);
            look = look_as(&V, sigma[s]);
            cr_expect_eq(look.looks_like_epsilon, 1, "sigma %g: part %g", sigma[s],
                         look.input_part);

            answer_as(&V, sigma[s], part, seed);
            look = look_as(&V, sigma[s]);
            cr_expect_float_eq(look.std, part * 0.6, 0.1);
            cr_expect_eq(look.looks_like_v + look.looks_like_epsilon, 0, "sigma %g", sigma[s]);
            look = look_as(&EPSILON, sigma[s]);
            if (part == 1 && sigma[s] > 10)
                cr_expect_eq(look.looks_like_v, 1, "sigma %g: std %g, smooth %g", sigma[s],
                             look.std, look.smoothness);
            cr_expect_eq(look.looks_like_epsilon, 0);
        }
}

/* Untrained, silent or broken networks are nobody's parameterisation. */
Test(x0_check, what_is_no_answer_is_not_judged)
{
    const rf_parameterisation *kinds[] = {&EPSILON, &V};
    unsigned                   seed = 7;
    for (int way = 0; way < 4; way++) {
        for (int e = 0; e < ELEMS; e++) {
            const double random = normal(&seed);
            input[e] = (float)normal(&seed);
            answer[e] = way == 0   ? (float)random
                        : way == 1 ? 0
                        : way == 2 ? (float)NAN
                                   : (float)(100 * picture(e));
        }
        for (int k = 0; k < 2; k++) {
            const rf_x0_look look = look_as(kinds[k], 14.6);
            cr_expect_eq(look.looks_like_v + look.looks_like_epsilon, 0, "%d as %d", way, k);
        }
    }
}
