/* Courses that rf_explain tells without any model: where A1111's rules for single samplers and
 * schedules decide who makes a call, and what is said about the repairs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"

static rf_engine            *engine;
static const rf_explanation *told;
static rf_job                job;
static rf_stage              stage[2];

static void set_up(void)
{
    rf_error         err = {0};
    const rf_options options = {.dtype = "f32", .threads = 1};
    cr_assert_eq(rf_engine_create(&engine, &options, &err), RF_OK, "%s", err.message);
    stage[0] = (rf_stage){.until = 0.5, .prompt = "a", .negative = "", .cfg_scale = 6};
    stage[1] = (rf_stage){.until = 1, .cfg_scale = -1};
    job = rf_job_default();
    job.stages = stage;
    job.stage_count = 2;
    job.steps = 20;
}

static void tear_down(void)
{
    rf_explanation_free(told);
    rf_engine_destroy(engine);
}

TestSuite(a1111_1_3, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(a1111_1_5, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(a1111_2_1, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(a1111_5_2, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(a1111_5_4, .init = set_up, .fini = tear_down, .timeout = 60);

static void explain(void)
{
    rf_error err = {0};
    rf_explanation_free(told);
    cr_assert_eq(rf_explain(&told, engine, &job, 0, &err), RF_OK, "%s", err.message);
}

/* Of `warnings`, exactly one, which names `what`; "": none. */
static void expect_warning(const char *what)
{
    explain();
    cr_assert_eq(told->warnings, *what != '\0', "%s: %d warnings", what, told->warnings);
    if (*what) cr_expect(strstr(told->warning[0], what), "%s", told->warning[0]);
}

/* UniPC's indices have fractions, 299.7 and 199.8: A1111 drops them. */
Test(a1111_1_3, the_noise_rule_drops_fractions_of_an_index)
{
    const double at[] = {.3, .5, .7, .8, .9};
    const int    want[] = {6, 10, 14, 16, 18};
    job.sampler = "UniPC";
    job.switch_by = "noise";
    for (int compat = 0; compat < 2; compat++)
        for (int i = 0; i < 5; i++) {
            job.compat = compat ? "a1111" : NULL;
            stage[0].until = at[i];
            explain();
            cr_expect_eq(told->handover[0].call, want[i], "%g: call %d", at[i],
                         told->handover[0].call);
        }
}

/* Its indices are 0 to 49, so A1111's ratio is never below 0.95. */
Test(a1111_1_5, lcm_switches_at_once)
{
    job.sampler = "LCM";
    job.switch_by = "noise";
    job.compat = "a1111";
    stage[0].until = 0.95;
    expect_warning("stage 1 would denoise 0 of 20 steps");
    cr_expect_eq(told->handover[0].call, 0);
    stage[0].until = 0.999; /* index 0, the last */
    explain();
    cr_expect_eq(told->handover[0].call, 19, "%d", told->handover[0].call);
    job.compat = NULL;
    stage[0].until = 0.5;
    expect_warning("LCM");
    cr_expect_eq(told->handover[0].call, 10, "%d", told->handover[0].call);
}

Test(a1111_2_1, a_tag_that_is_not_applied_is_told)
{
    stage[0].prompt = "<lora:ink:0.8> a";
    expect_warning("<lora:ink>");
}

/* Of the ends of a sweep nobody is warned; of a hand-over that no stage has, all the same. */
Test(a1111_2_1, ends_that_are_meant_are_silent)
{
    stage[0].prompt = "[a:b:switch]";
    stage[0].until = 1;
    explain();
    cr_assert_eq(told->warnings, 2);
    cr_expect(strstr(told->warning[0], "none does here"), "%s", told->warning[0]);
    cr_expect(strstr(told->warning[1], "stage 2 would denoise 0 of 20 steps"));
    job.idle_stages = 1;
    expect_warning("");
    stage[0].prompt = "[a:b:switch2]";
    expect_warning("there is none here");
}

/* Fifty thousand of them were looked up among each other for minutes. */
Test(a1111_2_1, of_many_tags_some_are_told, .timeout = 60)
{
    enum { TAGS = 40000 };
    char *text = malloc(TAGS * sizeof "<lora:x40000:1>"), *end = text;
    cr_assert_not_null(text);
    for (int i = 0; i < TAGS; i++) end += sprintf(end, "<lora:x%d:1>", i);
    stage[0].prompt = text;
    explain();
    cr_assert_eq(told->warnings, 17, "%d", told->warnings);
    cr_expect(strstr(told->warning[16], "39984 further tags"), "%s", told->warning[16]);
    free(text);
}

/* UniPC too, whose indices have fractions: 949.05 becomes 949. */
Test(a1111_5_2, every_timestep_is_cast_to_f16)
{
    job.sampler = "UniPC";
    explain();
    cr_expect_eq(told->call[1].timestep, 949.0, "%.17g", told->call[1].timestep);
    cr_expect_eq(told->call[14].timestep, 299.75, "%.17g", told->call[14].timestep);
}

Test(a1111_5_4, repaired_schedules_are_told)
{
    job.sampler = "Euler";
    job.schedule = "KL Optimal";
    expect_warning("KL Optimal");
    job.schedule = "beta";
    expect_warning("Beta");
    job.compat = "a1111";
    expect_warning("");
    job.compat = NULL;
    job.schedule = "karras";
    expect_warning("");
    job.schedule = "beta";
    job.sampler = "DDIM"; /* walks no schedule */
    expect_warning("");
}
