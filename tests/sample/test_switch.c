/* Switch rules (A1111): the step-fraction rule over every fraction of every number of
 * steps up to 200, the noise rule against A1111's table, and the rest on their edges. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/switch.h"

static rf_sigma_table table;

static rf_sigmas sigmas_of(const char *schedule, int steps)
{
    const rf_schedule        *s = NULL;
    const rf_schedule_options options = {.exact_a1111 = 1};
    rf_sigmas                 made = {0};
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, schedule, "", NULL), RF_OK);
    cr_assert_eq(rf_schedule_sigmas(s, &table, steps, &options, &made, NULL), RF_OK);
    return made;
}

/* A request of two stages. */
static rf_switch_request ask(rf_switch_rule rule, const double *until, int steps, int exact)
{
    return (rf_switch_request){.rule = rule,
                               .until = until,
                               .stages = 2,
                               .table = &table,
                               .steps = steps,
                               .total_calls = steps,
                               .exact_a1111 = exact};
}

/* First call of the second stage, or `calls`; a call per step. */
static int first_call(const rf_switch_request *request, const double *sigma, int calls)
{
    int stage = 0;
    for (int k = 0; k < calls; k++) {
        stage = rf_switch_stage(request, k, k, 1, sigma[k], stage);
        if (stage > 0) return k;
    }
    return calls;
}

static int switch_step(double until, int steps)
{
    static double           sigma[RF_STEPS_MAX]; /* not read */
    const rf_switch_request request = ask(RF_SWITCH_STEPS, &until, steps, 0);
    cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
    return first_call(&request, sigma, steps);
}

/* However the fraction was computed or read, x = i / steps switches at i; a little more, later. */
Test(switch_rule, is_exact_at_every_step, .timeout = 60)
{
    for (int steps = 1; steps <= 200; steps++)
        for (int i = 0; i <= steps; i++) {
            const double x = (double)i / steps, apart = 2e-6 / steps + 5e-7;
            cr_assert_eq(switch_step(x, steps), i, "%d/%d", i, steps);
            if (i > 0) cr_assert_eq(switch_step(nextafter(x, 0), steps), i);
            if (i < steps) {
                cr_assert_eq(switch_step(nextafter(x, 2), steps), i, "above %d/%d", i, steps);
                cr_assert_eq(switch_step(x + apart, steps), i + 1);
                cr_assert_eq(switch_step(x + apart / 4, steps), i);
                /* as told with six decimals */
                cr_assert_eq(switch_step(nearbyint(x * 1e6) / 1e6, steps), i, "%d/%d", i, steps);
            }
            if (i > 0) cr_assert_eq(switch_step(x - apart, steps), i);
        }
}

Test(switch_rule, decimal_fractions, .timeout = 30)
{
    for (int steps = 1; steps <= 200; steps++)
        for (int percent = 0; percent <= 100; percent++) {
            const int want = (percent * steps + 99) / 100; /* ceil in integers */
            cr_assert_eq(switch_step(percent / 100.0, steps), want, "%d%% of %d", percent, steps);
        }
}

Test(switch_rule, one_is_base_only_and_zero_is_refiner_only, .timeout = 10)
{
    cr_assert_eq(switch_step(1, 30), 30);
    cr_assert_eq(switch_step(0, 30), 0);
    cr_assert_eq(switch_step(-0.0, 30), 0);
    cr_assert_eq(switch_step(0.5, 1), 1);
    cr_assert_eq(switch_step(1, 10000), 10000);
}

/* Stages without a step are passed over; none comes back. */
Test(switch_rule, stages_cover_the_steps_once, .timeout = 20)
{
    const double until[] = {0, 0.1, 0.1, 0.35, 0.35001, 0.999, 1};
    for (int steps = 1; steps <= 200; steps++) {
        int               calls[8] = {0}, stage = 0;
        rf_switch_request request = ask(RF_SWITCH_STEPS, until, steps, 0);
        request.stages = 8;
        cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
        for (int k = 0; k < steps; k++) {
            const int next = rf_switch_stage(&request, k, k, 1, 1, stage);
            cr_assert_geq(next, stage);
            calls[stage = next]++;
        }
        int last = 0;
        for (int i = 0; i < 7; i++) {
            const int end = (int)ceil((until[i] - 5e-7) * steps - 1e-6);
            cr_assert_eq(calls[i], end > last ? end - last : 0, "stage %d of %d steps", i, steps);
            last = end;
        }
        cr_assert_eq(calls[7], steps - last);
    }
    const rf_switch_request alone = {.stages = 1, .steps = 7, .total_calls = 7};
    cr_assert_eq(rf_switch_check(&alone, NULL), RF_OK);
    cr_assert_eq(rf_switch_stage(&alone, 6, 6, 1, 0.1, 0), 0);
}

/* First refiner call for switch_at .3 .5 .7 .8 .9 at 20, 25 and 30 steps, and the number of calls
 * where it is not the number of steps. */
Test(a1111_1_3, noise_rule_table, .timeout = 20)
{
    const struct {
        const char *schedule;
        int         want[3][5];
    } rows[] = {
        {"Uniform", {{6, 10, 14, 16, 18}, {8, 12, 17, 20, 22}, {9, 15, 21, 24, 27}}},
        {"Normal", {{6, 10, 14, 16, 18}, {8, 12, 17, 20, 22}, {9, 15, 21, 24, 27}}},
        {"Karras", {{7, 9, 11, 12, 14}, {8, 12, 14, 16, 17}, {10, 14, 17, 19, 21}}},
        {"Exponential", {{5, 7, 9, 10, 12}, {6, 9, 12, 13, 15}, {7, 11, 14, 16, 18}}},
        {"SGM Uniform", {{6, 10, 15, 17, 19}, {8, 13, 18, 21, 23}, {9, 15, 22, 25, 28}}},
        {"Simple", {{6, 10, 14, 16, 18}, {8, 13, 18, 20, 23}, {9, 15, 21, 24, 27}}},
        {"DDIM", {{6, 10, 14, 16, 18}, {7, 12, 17, 20, 22}, {9, 15, 21, 24, 28}}},
        {"Beta", {{14, 16, 17, 18, 18}, {17, 20, 22, 22, 23}, {21, 24, 26, 27, 27}}},
        {"KL Optimal", {{4, 7, 11, 14, 16}, {4, 9, 14, 17, 20}, {5, 10, 17, 21, 24}}},
        {"Align Your Steps", {{5, 7, 10, 12, 14}, {6, 9, 13, 15, 18}, {7, 11, 15, 18, 21}}},
    };
    const double until[] = {.3, .5, .7, .8, .9};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int s = 0; s < 3; s++) {
            const int steps = 20 + 5 * s, is_ddim = strcmp(rows[r].schedule, "DDIM") == 0;
            rf_sigmas sigmas = sigmas_of(rows[r].schedule, steps);
            cr_assert_eq(sigmas.steps, is_ddim && steps == 30 ? 31 : steps);
            for (int i = 0; i < 10; i++) { /* in both modes */
                const rf_switch_request request = ask(RF_SWITCH_NOISE, &until[i / 2], steps, i % 2);
                cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
                const int got = first_call(&request, sigmas.sigma, sigmas.steps);
                cr_assert_eq(got, rows[r].want[s][i / 2], "%s, %d steps, %g: call %d",
                             rows[r].schedule, steps, until[i / 2], got);
            }
            free(sigmas.sigma);
        }
}

/* The samplers that walk table indices (5.5): index 0 of their list is never evaluated. */
Test(a1111_1_3, noise_rule_of_timestep_samplers, .timeout = 10)
{
    const int    want[3][5] = {{6, 10, 14, 16, 18}, {7, 12, 17, 20, 22}, {9, 15, 21, 24, 28}};
    const int    calls[] = {19, 24, 30};
    const double until[] = {.3, .5, .7, .8, .9};
    rf_sigma_table_init(&table);
    for (int s = 0; s < 3; s++) {
        const int steps = 20 + 5 * s, apart = 1000 / steps;
        double    sigma[32];
        for (int k = 0; k < calls[s]; k++) {
            const int t = (calls[s] - k) * apart + 1;
            sigma[k] = table.sigma[t < 999 ? t : 999];
        }
        for (int i = 0; i < 5; i++) {
            const rf_switch_request request = ask(RF_SWITCH_NOISE, &until[i], steps, 1);
            cr_assert_eq(first_call(&request, sigma, calls[s]), want[s][i], "%d steps, %g", steps,
                         until[i]);
        }
    }
}

/* Exact for every multiple of 0.01 and every table entry. */
Test(a1111_1_3, integer_rule_of_hundredths, .timeout = 20)
{
    rf_sigma_table_init(&table);
    for (int percent = 0; percent <= 100; percent++)
        for (int t = 0; t < RF_TRAIN_STEPS; t++) {
            const double            until = percent / 100.0;
            const rf_switch_request request = ask(RF_SWITCH_NOISE, &until, 20, t % 2);
            cr_assert_eq(rf_switch_stage(&request, 0, 0, 1, table.sigma[t], 0),
                         999 - t >= 10 * percent, "%d%% at %d", percent, t);
        }
    cr_assert_eq(rf_switch_ratio(&table, table.sigma[199]), 0.8f);
    cr_assert_eq(rf_switch_ratio(&table, table.sigma[0]), 0.999f);
    cr_assert_eq(rf_switch_ratio(&table, 100), 0);
}

/* Between multiples of 0.01 the comparison is in f32: 0.8 and a little more is the same number. */
Test(a1111_1_3, other_values_compare_in_f32, .timeout = 10)
{
    rf_sigma_table_init(&table);
    const struct {
        double until;
        int    stage;
    } cases[] = {{0.8f, 1}, {0.8 + 1e-8, 1}, {0.8 + 1e-7, 0}, {0.7995, 1}, {0.8005, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rf_switch_request request = ask(RF_SWITCH_NOISE, &cases[i].until, 20, 1);
        cr_assert_eq(rf_switch_stage(&request, 0, 0, 1, table.sigma[199], 0), cases[i].stage);
    }
}

/* Two calls a step, the second at a lower noise level: mid-step switches are A1111's alone. */
Test(a1111_1_3, noise_rule_between_the_calls_of_a_step, .timeout = 10)
{
    rf_sigma_table_init(&table);
    const double sigma[] = {14, 5, 5, 3, 3, 1, 1, 0.5}; /* Heun's: sigma, sigma' */
    const double until = rf_switch_ratio(&table, 3);
    const struct {
        int exact, want;
    } cases[] = {{1, 3}, {0, 4}};
    for (int i = 0; i < 2; i++) {
        const rf_switch_request request = ask(RF_SWITCH_NOISE, &until, 4, cases[i].exact);
        int                     stage = 0, first = 8;
        for (int k = 0; k < 8; k++) {
            stage = rf_switch_stage(&request, k, k / 2, k % 2 == 0, sigma[k], stage);
            if (stage && first == 8) first = k;
        }
        cr_assert_eq(first, cases[i].want);
    }
}

/* k / total in f64: the smallest k with k / total >= switch_at. */
Test(a1111_1_4, compatibility_mode_counts_calls, .timeout = 20)
{
    static double sigma[200]; /* not read */
    for (int total = 1; total <= 100; total++)
        for (int percent = 0; percent <= 100; percent++) {
            const double            until = percent / 100.0;
            const rf_switch_request request = ask(RF_SWITCH_STEPS, &until, total, 1);
            int                     want = 0;
            while (want < total && (double)want / total < until) want++;
            cr_assert_eq(first_call(&request, sigma, total), want);
        }
    const double until = 0.55;
    cr_assert_eq(first_call(&(rf_switch_request){.rule = RF_SWITCH_STEPS,
                                                 .until = &until,
                                                 .stages = 2,
                                                 .steps = 20,
                                                 .total_calls = 20,
                                                 .exact_a1111 = 1},
                            sigma, 20),
                 11);
}

/* A second-order sampler: total is twice the steps, and an odd k is a step's second call. */
Test(a1111_1_4, second_order_samplers_switch_inside_a_step, .timeout = 10)
{
    const double      until = 0.525; /* 21 of 40 */
    rf_switch_request request = ask(RF_SWITCH_STEPS, &until, 20, 1);
    request.total_calls = 40;
    for (int k = 0; k < 39; k++)
        cr_assert_eq(rf_switch_stage(&request, k, k / 2, k % 2 == 0, 1, 0), k >= 21);
    request.exact_a1111 = 0; /* by whole steps: 11 */
    for (int k = 0, stage = 0; k < 39; k++) {
        stage = rf_switch_stage(&request, k, k / 2, k % 2 == 0, 1, stage);
        cr_assert_eq(stage, k >= 22);
    }
}

Test(a1111_1_5, edge_values, .timeout = 20)
{
    const struct {
        rf_switch_rule rule;
        double         until;
        int            want; /* first refiner call of 100 */
        int            legal_by_default;
    } cases[] = {
        {RF_SWITCH_NOISE, 0, 0, 1},     {RF_SWITCH_STEPS, 0, 0, 1},
        {RF_SWITCH_NOISE, -3, 0, 0},    {RF_SWITCH_STEPS, -3, 0, 0},
        {RF_SWITCH_NOISE, 0.01, 1, 1},  {RF_SWITCH_STEPS, 0.01, 1, 1},
        {RF_SWITCH_NOISE, 1.0, 100, 1}, {RF_SWITCH_STEPS, 1.0, 100, 1},
        {RF_SWITCH_NOISE, 1.5, 100, 0}, {RF_SWITCH_STEPS, 1.5, 100, 0},
    };
    rf_sigmas sigmas = sigmas_of("Uniform", 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_switch_request request = ask(cases[i].rule, &cases[i].until, 100, 1);
        cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
        cr_assert_eq(first_call(&request, sigmas.sigma, 100), cases[i].want, "case %d", (int)i);
        request.exact_a1111 = 0;
        cr_assert_eq(rf_switch_check(&request, NULL) == RF_OK, cases[i].legal_by_default);
        if (cases[i].legal_by_default)
            cr_assert_eq(first_call(&request, sigmas.sigma, 100), cases[i].want);
    }
    free(sigmas.sigma);

    /* 1.0 in step mode, where a sampler makes more calls than `total`: PLMS at 30 makes 31 */
    const double            one = 1;
    const rf_switch_request request = ask(RF_SWITCH_STEPS, &one, 30, 1);
    cr_assert_eq(rf_switch_stage(&request, 29, 29, 1, 1, 0), 0);
    cr_assert_eq(rf_switch_stage(&request, 30, 30, 1, 1, 0), 1);
}

/* 0.01 is the first call with t <= 989; call 1 of most schedules at 20 steps. */
Test(a1111_1_5, one_hundredth, .timeout = 10)
{
    const double      until = 0.01;
    const char *const schedules[] = {"Uniform", "Karras", "SGM Uniform", "Simple", "Exponential"};
    rf_sigma_table_init(&table);
    const rf_switch_request request = ask(RF_SWITCH_NOISE, &until, 20, 0);
    cr_assert_eq(rf_switch_stage(&request, 0, 0, 1, table.sigma[990], 0), 0);
    cr_assert_eq(rf_switch_stage(&request, 0, 0, 1, table.sigma[989], 0), 1);
    for (int i = 0; i < 5; i++) {
        rf_sigmas sigmas = sigmas_of(schedules[i], 20);
        cr_assert_eq(first_call(&request, sigmas.sigma, 20), 1);
        free(sigmas.sigma);
    }
}

/* Ratio of the first call of img2img (sigmas[steps - t_enc - 1], t_enc = trunc(d steps)) and of the
 * hires pass (steps = trunc(20 / d), t_enc = 19) at 20 steps. */
Test(a1111_1_5, first_ratio_of_later_passes, .timeout = 20)
{
    const struct {
        const char *schedule;
        double      img2img[5], hires[5];
    } rows[] = {
        {"Karras", {.876, .714, .525, .359, .227}, {.902, .771, .594, .415, .266}},
        {"Uniform", {.684, .578, .473, .368, .263}, {.707, .612, .512, .406, .296}},
    };
    for (int r = 0; r < 2; r++)
        for (int i = 0; i < 5; i++) {
            const double denoise[] = {.3, .4, .5, .6, .7};
            const int    nominal = (int)(20 / denoise[i]);
            rf_sigmas    whole = sigmas_of(rows[r].schedule, 20);
            rf_sigmas    longer = sigmas_of(rows[r].schedule, nominal);
            const float  a = rf_switch_ratio(&table, whole.sigma[20 - (int)(denoise[i] * 20) - 1]);
            const float  b = rf_switch_ratio(&table, longer.sigma[nominal - 20]);
            cr_assert_leq(fabs(a - rows[r].img2img[i]), 1e-6, "%s %g: %g", rows[r].schedule,
                          denoise[i], a);
            cr_assert_leq(fabs(b - rows[r].hires[i]), 1e-6, "%s %g: %g", rows[r].schedule,
                          denoise[i], b);
            free(whole.sigma);
            free(longer.sigma);
        }
}

/* The sampler LCM's 50 noise levels against the model's 1000-entry table: no trap. */
Test(a1111_1_5, lcm_switches_where_it_says, .timeout = 10)
{
    const rf_schedule        *s = NULL;
    const rf_schedule_options options = {.lcm_table = 1};
    const double              until = 0.5;
    rf_sigmas                 sigmas = {0};
    rf_sigma_table_init(&table);
    cr_assert_eq(rf_schedule_find(&s, "Uniform", "", NULL), RF_OK);
    cr_assert_eq(rf_schedule_sigmas(s, &table, 8, &options, &sigmas, NULL), RF_OK);
    const rf_switch_request request = ask(RF_SWITCH_NOISE, &until, 8, 0);
    cr_assert_eq(first_call(&request, sigmas.sigma, 8), 4); /* t = 999 859 719 579 439 */
    free(sigmas.sigma);
}

Test(switch_rule, step, .timeout = 10)
{
    const double sigma[10] = {0};
    for (int at = 0; at <= 12; at++) {
        const double            until = at;
        const rf_switch_request request = ask(RF_SWITCH_STEP, &until, 10, at % 2);
        cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
        cr_assert_eq(first_call(&request, sigma, 10), at < 10 ? at : 10);
    }
}

Test(switch_rule, sigma, .timeout = 10)
{
    const double sigma[] = {14, 7, 3, 1.5, 0.5};
    const double until[] = {15, 14, 13.9, 3, 0.4, 0};
    const int    want[] = {0, 0, 1, 2, 5, 5};
    for (int i = 0; i < 6; i++) {
        const rf_switch_request request = ask(RF_SWITCH_SIGMA, &until[i], 5, 0);
        cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
        cr_assert_eq(first_call(&request, sigma, 5), want[i]);
    }
}

/* diffusers 0.39, pipeline_stable_diffusion_xl.py: the base keeps the timesteps t >= round(1000 -
 * denoising_end 1000), Python's round. */
Test(switch_rule, timesteps, .timeout = 10)
{
    rf_sigma_table_init(&table);
    const struct {
        double until;
        int    cutoff;
    } cases[] = {{0.8, 200},    {0.7, 300},    {0.35, 650},   {0, 1000},   {1, 0},
                 {0.7995, 200}, {0.8005, 200}, {0.7985, 202}, {0.333, 667}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rf_switch_request request = ask(RF_SWITCH_TIMESTEPS, &cases[i].until, 20, 0);
        cr_assert_eq(rf_switch_check(&request, NULL), RF_OK);
        for (int t = 0; t < RF_TRAIN_STEPS; t++)
            cr_assert_eq(rf_switch_stage(&request, 0, 0, 1, table.sigma[t], 0), t < cases[i].cutoff,
                         "%g at %d", cases[i].until, t);
    }
}

/* Rules other than A1111's never switch inside a step, whatever the mode. */
Test(switch_rule, whole_steps, .timeout = 10)
{
    rf_sigma_table_init(&table);
    const double until[] = {0, 0, 0, 14, 0};
    for (int rule = 0; rule < 5; rule++)
        for (int exact = 0; exact < 2; exact++) {
            const rf_switch_request request = ask((rf_switch_rule)rule, &until[rule], 10, exact);
            const int by_call = exact && (rule == RF_SWITCH_STEPS || rule == RF_SWITCH_NOISE);
            cr_assert_eq(rf_switch_stage(&request, 3, 1, 0, 5, 0), by_call);
            cr_assert_eq(rf_switch_stage(&request, 4, 2, 1, 5, 0), 1);
        }
}

Test(switch_rule, refuses_and_names_the_stage, .timeout = 10)
{
    const struct {
        rf_switch_rule rule;
        int            exact;
        double         until[2];
        const char    *part; /* NULL: fine */
    } cases[] = {
        {RF_SWITCH_STEPS, 0, {NAN, 0.5}, "stage 1 of 3 lasts until nan"},
        {RF_SWITCH_STEPS, 0, {0.2, -0.01}, "stage 2 of 3 lasts until -0.01"},
        {RF_SWITCH_STEPS,
         0,
         {0.2, 1.5},
         "stage 2 of 3 lasts until 1.5: by steps, it must be a fra"},
        {RF_SWITCH_NOISE, 0, {0.2, 1.5}, "stage 2 of 3 lasts until 1.5: by noise"},
        {RF_SWITCH_STEPS, 0, {0.2, INFINITY}, "stage 2 of 3 lasts until inf"},
        {RF_SWITCH_STEPS, 1, {0.2, INFINITY}, "stage 2 of 3 lasts until inf"},
        {RF_SWITCH_STEPS, 1, {-2, 7}, NULL},
        {RF_SWITCH_NOISE, 1, {-2, 7}, NULL},
        {RF_SWITCH_STEPS, 0, {0.6, 0.5}, "until 0.5, but the stage before it until 0.6"},
        {RF_SWITCH_STEPS, 1, {0.6, 0.5}, "until 0.5, but the stage before it until 0.6"},
        {RF_SWITCH_STEP, 0, {5, 5}, NULL},
        {RF_SWITCH_STEP, 0, {5, 5.5}, "until 5.5: by step, it must be a number of steps"},
        {RF_SWITCH_STEP, 0, {-1, 5}, "stage 1 of 3 lasts until -1"},
        {RF_SWITCH_STEP, 0, {6, 5}, "until 5, but the stage before it until 6"},
        {RF_SWITCH_SIGMA, 0, {5, 1}, NULL},
        {RF_SWITCH_SIGMA, 0, {1, 5}, "until 5, but the stage before it until 1"},
        {RF_SWITCH_SIGMA, 0, {5, -1}, "stage 2 of 3 lasts until -1"},
        {RF_SWITCH_TIMESTEPS, 1, {0.5, 1.01}, "stage 2 of 3 lasts until 1.01: by timesteps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_switch_request request = ask(cases[i].rule, cases[i].until, 10, cases[i].exact);
        rf_error          err = {0};
        request.stages = 3;
        const rf_status st = rf_switch_check(&request, &err);
        cr_assert_eq(st, cases[i].part ? RF_E_ARG : RF_OK, "case %d", (int)i);
        if (cases[i].part)
            cr_assert_not_null(strstr(err.message, cases[i].part), "%s", err.message);
    }
    const double until = 0.5;
    for (int i = 0; i < 3; i++) {
        rf_switch_request request = ask(RF_SWITCH_STEPS, &until, 10, 0);
        if (i == 0) request.stages = 0;
        if (i == 1) request.steps = 0;
        if (i == 2) request.total_calls = 0;
        cr_assert_eq(rf_switch_check(&request, NULL), RF_E_ARG);
    }
}

Test(switch_rule, names, .timeout = 10)
{
    const char *const names[] = {"steps", "noise", "step", "sigma", "timesteps"};
    rf_switch_rule    rule = RF_SWITCH_STEPS;
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(rf_switch_rule_find(&rule, names[i], NULL), RF_OK);
        cr_assert_eq((int)rule, i);
        cr_assert_str_eq(rf_switch_rule_name(rule), names[i]);
    }
    rf_error err = {0};
    cr_assert_eq(rf_switch_rule_find(&rule, "NOISE", NULL), RF_OK);
    cr_assert_eq(rf_switch_rule_find(&rule, "timestep", &err), RF_E_ARG);
    cr_assert_eq(rule, RF_SWITCH_NOISE);
    cr_assert_str_eq(err.message, "unknown switch rule \"timestep\": did you mean \"timesteps\"? "
                                  "Known: steps, noise, step, sigma, timesteps");
}
