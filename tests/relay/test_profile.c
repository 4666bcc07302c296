/* The profiler runs during the steps that were asked for and at no other time: a device whose
 * profiler writes down when it is told, between the steps that the progress reports. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/device_kind.h"
#include "tests/relay/relays.h"

/* "1[23]4d": steps by their numbers, decodings, and the profiler's start and stop. */
static char log_text[200];

static void note(char c)
{
    const size_t n = strlen(log_text);
    cr_assert_lt(n + 1, sizeof log_text);
    log_text[n] = c;
    log_text[n + 1] = '\0';
}

static rf_status profile(rf_device *device, int on, rf_error *err)
{
    (void)device, (void)err;
    note(on ? '[' : ']');
    return RF_OK;
}

static int stop_at; /* step; 0: none */

static int progress(void *user, const rf_progress *p)
{
    (void)user;
    if (p->phase == RF_PHASE_DENOISE) note((char)('1' + p->step));
    if (p->phase == RF_PHASE_DECODE) note('d');
    return p->phase == RF_PHASE_DENOISE && p->step + 1 == stop_at;
}

static rf_device_kind kind;

static void open_profiled(relays *r, int first, int last)
{
    const rf_options options = {
        .dtype = "f32", .threads = 1, .profile_first = first, .profile_last = last};
    relays_open(r, &options);
    relays_hash(r);
    kind = *r->engine->device.kind;
    kind.profile = profile;
    r->engine->device.kind = &kind;
}

/* `count` pictures of six steps, three by each expert. */
static rf_status render(relays *r, const char *sampler, int count)
{
    const rf_stage stages[] = {
        {.expert = r->expert[0], .until = 0.5, .prompt = "a", .cfg_scale = 6},
        {.expert = r->expert[1], .until = 1, .prompt = "b", .cfg_scale = 6}};
    rf_job job = relays_job(stages, 2, 6);
    job.sampler = sampler;
    job.count = count;
    rf_plan *plan = relays_plan(r, &job);
    log_text[0] = '\0';
    const rf_status st = rf_plan_run(plan, &(rf_callbacks){.progress = progress}, NULL);
    rf_plan_destroy(plan);
    return st;
}

static void expect_log(relays *r, int first, int last, const char *sampler, int count,
                       const char *expected)
{
    r->engine->profile_first = first;
    r->engine->profile_last = last;
    cr_expect_eq(render(r, sampler, count), RF_OK);
    cr_expect_str_eq(log_text, expected, "steps %d to %d: %s", first, last, log_text);
}

/* The start comes before a step is reported and after the one before it. */
Test(profile, brackets_its_steps, .timeout = 60)
{
    relays r;
    open_profiled(&r, 1, 1);
    expect_log(&r, 0, 0, "Euler", 1, "123456d");
    expect_log(&r, 1, 1, "Euler", 1, "[1]23456d");
    expect_log(&r, 3, 4, "Euler", 1, "12[34]56d"); /* the switch */
    expect_log(&r, 5, 6, "Euler", 1, "1234[56]d"); /* decoding is no step */
    expect_log(&r, 6, 9, "Euler", 1, "12345[6]d");
    expect_log(&r, 7, 9, "Euler", 1, "123456d");
    expect_log(&r, 2, 3, "Euler", 2, "1[23]456d1[23]456d");
    expect_log(&r, 1, 6, "Euler", 2, "[123456]d[123456]d");
    expect_log(&r, 2, 2, "Heun", 1, "11[22]3344556d"); /* both calls of a step */
    relays_close(&r);
}

Test(profile, has_no_steps_in_dpm_adaptive, .timeout = 60)
{
    relays r;
    open_profiled(&r, 1, 9);
    cr_expect_eq(render(&r, "DPM adaptive", 1), RF_OK);
    cr_expect_null(strchr(log_text, '['));
    relays_close(&r);
}

Test(profile, stops_with_a_run_that_is_stopped, .timeout = 60)
{
    relays r;
    open_profiled(&r, 2, 5);
    stop_at = 3;
    cr_expect_eq(render(&r, "Euler", 1), RF_E_CANCELLED);
    cr_expect_str_eq(log_text, "1[23]");
    stop_at = 0;
    cr_expect_eq(render(&r, "Euler", 1), RF_OK);
    cr_expect_str_eq(log_text, "1[2345]6d");
    relays_close(&r);
}

Test(profile, says_what_is_wrong_or_in_vain)
{
    static const int wrong[][2] = {{0, 3}, {-1, 3}, {3, 2}, {3, 0}};
    rf_engine       *engine = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rf_error         err = {0};
        const rf_options options = {
            .threads = 1, .profile_first = wrong[i][0], .profile_last = wrong[i][1]};
        cr_expect_eq(rf_engine_create(&engine, &options, &err), RF_E_ARG);
        cr_expect(strstr(err.message, "count from 1"), "%s", err.message);
        cr_expect_null(engine);
    }
    relays r;
    open_profiled(&r, 1, 2);
    cr_expect_eq(r.warnings, 1);
    cr_expect(strstr(r.warning[0], "no effect on a CPU without a trace"), "%s", r.warning[0]);
    relays_close(&r);
}
