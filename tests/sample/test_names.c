/* Names are found in any case and by alias; an unknown one is answered with help. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/sample/noise.h"
#include "engine/sample/schedule.h"

static const struct row {
    rf_name id;
} ROWS[] = {{{"Euler a", {"k_euler_a", "k_euler_ancestral"}}}, {{"Euler", {"k_euler"}}}};
static const rf_name_table SAMPLERS = {"sampler", ROWS, sizeof *ROWS, 2};

static const char *row_name(const char *given)
{
    const void *found = NULL;
    return rf_name_find(&found, &SAMPLERS, given, NULL) == RF_OK ? ((const rf_name *)found)->name
                                                                 : NULL;
}

static const char *schedule_name(const char *given, const char *automatic)
{
    const rf_schedule *s = NULL;
    return rf_schedule_find(&s, given, automatic, NULL) == RF_OK ? rf_schedule_name(s) : NULL;
}

Test(names, by_name_and_alias, .timeout = 10)
{
    const char *ancestral[] = {"Euler a", "euler a", "EULER A", "k_euler_a", "K_Euler_Ancestral"};
    for (size_t i = 0; i < sizeof ancestral / sizeof *ancestral; i++)
        cr_assert_str_eq(row_name(ancestral[i]), "Euler a", "%s", ancestral[i]);
    cr_assert_str_eq(row_name("euler"), "Euler");
    cr_assert_str_eq(row_name("k_euler"), "Euler");
}

/* Labels, internal names and aliases, in any case. */
Test(a1111_5_4, schedules_by_label_and_name, .timeout = 10)
{
    const char *const names[][4] = {
        {"Uniform", "uniform", "UNIFORM", "Uniform"},
        {"Karras", "karras", "KARRAS", "Karras"},
        {"Exponential", "exponential", "exponential", "EXPONENTIAL"},
        {"Polyexponential", "polyexponential", "PolyExponential", "polyexponential"},
        {"SGM Uniform", "sgm_uniform", "SGMUniform", "sgm uniform"},
        {"KL Optimal", "kl_optimal", "kl optimal", "KL OPTIMAL"},
        {"Align Your Steps", "align_your_steps", "align your steps", "ALIGN_YOUR_STEPS"},
        {"Simple", "simple", "SIMPLE", "Simple"},
        {"Normal", "normal", "NORMAL", "Normal"},
        {"DDIM", "ddim", "Ddim", "DDIM"},
        {"Beta", "beta", "BETA", "Beta"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int k = 0; k < 4; k++)
            cr_assert_str_eq(schedule_name(names[i][k], "Karras"), names[i][0], "%s", names[i][k]);
}

Test(a1111_5_4, automatic_schedule_is_the_samplers, .timeout = 10)
{
    cr_assert_str_eq(schedule_name("Automatic", "Karras"), "Karras");
    cr_assert_str_eq(schedule_name("automatic", "Exponential"), "Exponential");
    cr_assert_str_eq(schedule_name("karras", "Uniform"), "Karras");

    const rf_schedule *s = NULL;
    cr_assert_eq(rf_schedule_find(&s, "automatic", "Automatic", NULL), RF_E_BUG);
    cr_assert_null(s);
}

Test(names, noise_source, .timeout = 10)
{
    const rf_noise_source *s = NULL;
    cr_assert_eq(rf_noise_source_find(&s, "nv", NULL), RF_OK);
    cr_assert_str_eq(rf_noise_source_name(s), "NV");
    cr_assert_eq(rf_noise_source_find(&s, "cpu", NULL), RF_OK);
    cr_assert_str_eq(rf_noise_source_name(s), "CPU");
    rf_error err = {0};
    cr_assert_eq(rf_noise_source_find(&s, "dice", &err), RF_E_ARG);
    cr_assert_null(s);
    cr_assert_str_eq(err.message, "unknown noise source \"dice\". Known: NV, CPU");
}

Test(names, unknown_ones_are_answered_with_help, .timeout = 10)
{
    const struct {
        const char *given, *message;
    } cases[] = {
        {"eulr a", "unknown sampler \"eulr a\": did you mean \"Euler a\"? Known: Euler a, Euler"},
        {"Eular", "unknown sampler \"Eular\": did you mean \"Euler\"? Known: Euler a, Euler"},
        {"k_eular_ancestal",
         "unknown sampler \"k_eular_ancestal\": did you mean \"Euler a\"? Known: Euler a, Euler"},
        {"DPM++ 2M", "unknown sampler \"DPM++ 2M\". Known: Euler a, Euler"},
        {"", "unknown sampler \"\". Known: Euler a, Euler"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_error    err = {0};
        const void *found = cases;
        cr_assert_eq(rf_name_find(&found, &SAMPLERS, cases[i].given, &err), RF_E_ARG);
        cr_assert_null(found);
        cr_assert_eq(err.status, RF_E_ARG);
        cr_assert_str_eq(err.message, cases[i].message, "%s", err.message);
    }
    rf_error           err = {0};
    const rf_schedule *s = NULL;
    cr_assert_eq(rf_schedule_find(&s, "karas", "Uniform", &err), RF_E_ARG);
    cr_assert_str_eq(err.message,
                     "unknown schedule \"karas\": did you mean \"Karras\"? Known: Automatic, "
                     "Uniform, Karras, Exponential, Polyexponential, SGM Uniform, KL Optimal, "
                     "Align Your Steps, Simple, Normal, DDIM, Beta");
}

/* Whatever its length, and cut between characters. */
Test(names, long_input_is_shown_in_part, .timeout = 10)
{
    char given[400];
    for (size_t n = 50; n < sizeof given; n++) {
        for (size_t i = 0; i < n; i++) given[i] = "\xE2\x82\xAC"[i % 3];
        given[n] = '\0';
        rf_error    err = {0};
        const void *found = NULL;
        cr_assert_eq(rf_name_find(&found, &SAMPLERS, given, &err), RF_E_ARG);
        const char  *quoted = strchr(err.message, '"') + 1;
        const char  *end = strchr(quoted, '"');
        const size_t length = (size_t)(end - quoted);
        cr_assert_leq(length, 100u);
        if (n > 100) cr_assert_eq(length, 99u);
        cr_assert_eq(strcmp(end, "\". Known: Euler a, Euler"), 0);
    }
}
