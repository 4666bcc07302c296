/* DPM adaptive where the answer is known, and what it does when its model fails. */
#include "engine/sample/adaptive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/sample/walk.h"

static const walk_data GAUSS = {
    .centers = 1, .center = {{0.7, -0.7, 0.1}}, .weight = {1}, .uncond = {1}, .std = 0.5};

typedef struct bench {
    int      calls, fail_at;
    uint32_t draws;
    double   lowest;
    float    break_with; /* x0 from call 5 on, with either sign, if not 0 */
} bench;

static rf_status denoise(void *user, const float *x, double sigma, int call, float *d,
                         rf_error *err)
{
    bench *b = user;
    float  u[WALK_ELEMS];
    cr_assert_eq(call, b->calls++);
    if (b->fail_at && call == b->fail_at) return rf_fail(err, RF_E_CANCELLED, "enough");
    walk_denoise(&GAUSS, x, sigma, d, u);
    if (b->break_with != 0 && call >= 5)
        for (int e = 0; e < WALK_ELEMS; e++) d[e] = call % 2 ? b->break_with : -b->break_with;
    b->lowest = sigma;
    return RF_OK;
}

static void noise(void *user, uint32_t draw, float *out)
{
    bench *b = user;
    for (int e = 0; e < WALK_ELEMS; e++) out[e] = (float)sin(draw * 37.0 + e);
    cr_assert_gt(draw, b->draws);
    b->draws = draw;
}

static rf_status run(bench *b, double high, double low, double eta, double s_noise, float *x)
{
    const rf_adaptive_model model = {denoise, noise, b};
    float                   scratch[8 * WALK_ELEMS];
    rf_error                err = {0};
    cr_assert_leq(rf_adaptive_scratch(WALK_ELEMS), 8 * WALK_ELEMS);
    for (int e = 0; e < WALK_ELEMS; e++) x[e] = (float)(high * cos(e * 2.0));
    const rf_status st =
        rf_adaptive_run(&model, high, low, eta, s_noise, WALK_ELEMS, scratch, x, &err);
    if (st != RF_OK) cr_assert_neq(err.message[0], '\0');
    return st;
}

Test(adaptive, follows_the_flow_of_a_gaussian, .timeout = 10)
{
    bench  b = {0};
    float  x[WALK_ELEMS];
    double want[WALK_ELEMS];
    cr_assert_eq(run(&b, 14, 0.03, 0, 1, x), RF_OK);
    for (int e = 0; e < WALK_ELEMS; e++) {
        const double m = GAUSS.center[0][e], from = (float)(14 * cos(e * 2.0));
        want[e] = m + (from - m) * hypot(0.5, 0.03) / hypot(0.5, 14);
    }
    cr_assert_leq(walk_distance(x, want), 0.03); /* its tolerance is 0.05 a step */
    cr_assert(b.calls % 3 == 0 && b.calls >= 15 && b.calls < 90, "%d calls", b.calls);
    cr_assert_eq(b.draws, 0); /* eta 0 adds nothing */
    cr_assert(b.lowest > 0.03 && b.lowest < 0.2);
}

Test(adaptive, the_same_run_gives_the_same_bits, .timeout = 10)
{
    bench a = {0}, b = {0};
    float x[WALK_ELEMS], y[WALK_ELEMS];
    cr_assert_eq(run(&a, 14, 0.03, 1, 1, x), RF_OK);
    cr_assert_eq(run(&b, 14, 0.03, 1, 1, y), RF_OK);
    cr_assert_arr_eq(x, y, sizeof x);
    cr_assert_gt(a.draws, 5);
}

Test(adaptive, a_failing_model_ends_the_run, .timeout = 10)
{
    for (int call = 1; call < 12; call++) {
        bench b = {.fail_at = call};
        float x[WALK_ELEMS];
        cr_assert_eq(run(&b, 14, 0.03, 0, 1, x), RF_E_CANCELLED);
        cr_assert_eq(b.calls, call + 1);
    }
}

/* Neither a model that answers NaN nor one too wild for any step keeps it running for ever. */
Test(adaptive, gives_up, .timeout = 10)
{
    const float answers[] = {NAN, INFINITY, 1e30f};
    for (int i = 0; i < 3; i++) {
        bench b = {.break_with = answers[i]};
        float x[WALK_ELEMS];
        cr_assert_eq(run(&b, 14, 0.03, 0, 1, x), RF_E_NAN, "%g", (double)answers[i]);
        cr_assert_lt(b.calls, 1000);
    }
}

Test(adaptive, refuses_bad_requests, .timeout = 10)
{
    const double bad[][4] = {{0.03, 14, 0, 1},  {14, 14, 0, 1},    {INFINITY, 1, 0, 1},
                             {NAN, 1, 0, 1},    {14, 0, 0, 1},     {14, -1, 0, 1},
                             {14, NAN, 0, 1},   {14, 0.03, -1, 1}, {14, 0.03, NAN, 1},
                             {14, 0.03, 0, -1}, {14, 0.03, 0, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bench b = {0};
        float x[WALK_ELEMS];
        cr_assert_eq(run(&b, bad[i][0], bad[i][1], bad[i][2], bad[i][3], x), RF_E_ARG, "%zu", i);
        cr_assert_eq(b.calls, 0);
    }
}
