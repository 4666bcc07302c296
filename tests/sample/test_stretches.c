/* A run planned in stretches: the same calls as in one, and history only where it means the same.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/sample/walk.h"

enum { STEPS = 12 };

static rf_sigma_table TABLE;
static double         LEVELS[STEPS + 1];
static rf_sigmas      SIGMAS = {.sigma = LEVELS, .steps = STEPS};

static void setup(void)
{
    rf_sigma_table_init(&TABLE);
    for (int i = 0; i < STEPS; i++) LEVELS[i] = (float)(14 * pow(0.6, i));
}

TestSuite(stretches, .init = setup);

static rf_sampler_request stretch(const char *name, int first, int end, const rf_calls *before)
{
    rf_sampler_request r = walk_request(name, &TABLE, &SIGMAS);
    r.first = first;
    r.end = end;
    r.settings.s_churn = 1;
    if (before) {
        r.next_draw = before->next_draw;
        memcpy(r.history, before->history, sizeof r.history);
        r.history_count = before->history_count;
    }
    return r;
}

static void same_call(const rf_call *a, const rf_call *b)
{
    cr_assert_eq(a->step, b->step);
    cr_assert_eq(a->last, b->last);
    cr_assert_eq(a->sigma, b->sigma);
    cr_assert_eq(a->before, b->before);
    cr_assert_eq(a->before_noise.draw, b->before_noise.draw);
    cr_assert_eq(a->noise.kind, b->noise.kind);
    cr_assert_eq(a->noise.draw, b->noise.draw);
    cr_assert(a->noise.from == b->noise.from && a->noise.to == b->noise.to);
    cr_assert_eq(a->keeps_anchor, b->keeps_anchor);
    cr_assert_eq(a->remembers, b->remembers);
    cr_assert_arr_eq(a->next, b->next, sizeof a->next);
    cr_assert_arr_eq(a->anchor, b->anchor, sizeof a->anchor);
    cr_assert_arr_eq(a->memory, b->memory, sizeof a->memory);
}

Test(stretches, two_are_as_one, .timeout = 20)
{
    static const char *const names[] = {
        "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
        "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
        "Heun",       "DPM2",         "DPM2 a",       "LCM"};
    for (size_t s = 0; s < sizeof names / sizeof *names; s++) {
        const rf_sampler_request all = stretch(names[s], 0, STEPS, NULL);
        rf_calls                 whole = walk_plan(&all);
        cr_assert_eq(whole.start, LEVELS[0]);
        for (int cut = 1; cut < STEPS; cut++) {
            const rf_sampler_request head = stretch(names[s], 0, cut, NULL);
            rf_calls                 a = walk_plan(&head);
            const rf_sampler_request tail = stretch(names[s], cut, STEPS, &a);
            rf_calls                 b = walk_plan(&tail);
            cr_assert_eq(a.count + b.count, whole.count);
            cr_assert(a.steps == cut && b.steps == STEPS - cut);
            for (int k = 0; k < whole.count; k++)
                same_call(k < a.count ? &a.call[k] : &b.call[k - a.count], &whole.call[k]);
            cr_assert_eq(b.next_draw, whole.next_draw);
            cr_assert_eq(b.history_count, whole.history_count);
            cr_assert_arr_eq(b.history, whole.history, sizeof b.history);
            rf_calls_free(&a);
            rf_calls_free(&b);
        }
        rf_calls_free(&whole);
    }
}

/* From one multistep sampler in x0 to another, H1 goes on being used; else it is not. */
Test(stretches, history_passes_between_samplers_in_x0, .timeout = 10)
{
    static const struct {
        const char *from, *to;
        int         used;
    } rows[] = {{"DPM++ 2M", "DPM++ 2M SDE", 1},
                {"DPM++ 3M SDE", "DPM++ 2M", 1},
                {"DPM++ 2M SDE Heun", "DPM++ 3M SDE", 1},
                {"Euler", "DPM++ 2M", 0},
                {"LMS", "DPM++ 2M", 0},
                {"DPM++ 2M", "LMS", 0},
                {"DPM++ 2M", "Euler", 0},
                {"DPM++ SDE", "DPM++ 3M SDE", 0},
                {"LMS", "LMS", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rf_sampler_request head = stretch(rows[i].from, 0, 6, NULL);
        rf_calls                 a = walk_plan(&head);
        const rf_sampler_request tail = stretch(rows[i].to, 6, STEPS, &a);
        rf_calls                 b = walk_plan(&tail);
        cr_assert_eq(b.call[0].next[RF_SOURCE_H1] != 0, rows[i].used, "%s to %s", rows[i].from,
                     rows[i].to);
        cr_assert_eq(b.call[0].step, 6);
        rf_calls_free(&a);
        rf_calls_free(&b);
    }
}

/* Levels of H1, H2, H3, the latest first. */
Test(stretches, history_is_of_the_last_levels, .timeout = 10)
{
    for (int end = 1; end < STEPS; end++) {
        const rf_sampler_request r = stretch("DPM++ 2M", 0, end, NULL);
        rf_calls                 p = walk_plan(&r);
        cr_assert_eq(p.history_count, end < 3 ? end : 3);
        for (int i = 0; i < p.history_count; i++) cr_assert_eq(p.history[i], LEVELS[end - 1 - i]);
        rf_calls_free(&p);
    }
    const rf_sampler_request r = stretch("Heun", 0, 5, NULL);
    rf_calls                 p = walk_plan(&r);
    cr_assert_eq(p.history_count, 0);
    rf_calls_free(&p);
}

/* A stretch in the middle starts no run, but says where one would. */
Test(stretches, start_is_the_first_level, .timeout = 10)
{
    const rf_sampler_request r = stretch("Euler a", 4, 9, NULL);
    rf_calls                 p = walk_plan(&r);
    cr_assert_eq(p.start, LEVELS[4]);
    cr_assert_eq(p.count, 5);
    cr_assert_eq(p.call[4].step, 8);
    rf_calls_free(&p);
}

static int differ(const rf_calls *a, const rf_calls *b)
{
    int other = a->count != b->count;
    for (int k = 0; !other && k < a->count; k++) {
        const rf_call *x = &a->call[k], *y = &b->call[k];
        other = x->sigma != y->sigma || x->before != y->before;
        for (int s = 0; s < RF_SOURCES; s++)
            other |= x->next[s] != y->next[s] || x->anchor[s] != y->anchor[s] ||
                     x->memory[s] != y->memory[s];
    }
    return other;
}

/* What rf_sampler_same_settings says of two settings, the plans say. */
Test(stretches, settings_are_the_same_where_the_plan_is, .timeout = 20)
{
    static const char *const names[] = {
        "DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
        "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
        "LMS",        "Heun",         "DPM2",         "DPM2 a",
        "DPM fast",   "Restart",      "DDIM",         "DDIM CFG++",
        "PLMS",       "UniPC",        "LCM"};
    enum { MORE = 36 }; /* Restart needs them to begin again */
    double          levels[MORE + 1] = {0};
    const rf_sigmas sigmas = {.sigma = levels, .steps = MORE};
    for (int i = 0; i < MORE; i++) levels[i] = (float)(14 * pow(0.84, i));
    for (size_t s = 0; s < sizeof names / sizeof *names; s++) {
        rf_sampler_request usual = walk_request(names[s], &TABLE, &sigmas);
        usual.settings = (rf_sampler_settings){.eta = 0.5, .s_churn = 2, .s_noise = 1};
        rf_calls whole = walk_plan(&usual);
        for (int i = 0; i < 5; i++) {
            rf_sampler_request other = usual;
            if (i == 0) other.settings.eta = 0.25;
            if (i == 1) other.settings.s_churn = 1;
            if (i == 2) other.settings.s_tmin = 3;
            if (i == 3) other.settings.s_tmax = 8;
            if (i == 4) other.settings.s_noise = 0.5;
            rf_calls  calls = walk_plan(&other);
            const int same =
                rf_sampler_same_settings(usual.sampler, &usual.settings, &other.settings);
            cr_expect_eq(same, !differ(&whole, &calls), "%s: setting %d: %d", names[s], i, same);
            rf_calls_free(&calls);
        }
        rf_calls_free(&whole);
    }
}
