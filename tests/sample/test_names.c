/* Names are found in any case and by alias; an unknown one is answered with help. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/sample/noise.h"
#include "engine/sample/sampler.h"
#include "engine/sample/schedule.h"

static const char *sampler_name(const char *given)
{
    const rf_sampler *s = NULL;
    return rf_sampler_find(&s, given, NULL) == RF_OK ? s->id.name : NULL;
}

static const char *schedule_name(const char *given, const char *automatic)
{
    const rf_schedule *s = NULL;
    return rf_schedule_find(&s, given, automatic, NULL) == RF_OK ? s->id.name : NULL;
}

Test(names, samplers_by_name_and_alias, .timeout = 10)
{
    const char *ancestral[] = {"Euler a", "euler a", "EULER A", "k_euler_a", "K_Euler_Ancestral"};
    for (size_t i = 0; i < sizeof ancestral / sizeof *ancestral; i++)
        cr_assert_str_eq(sampler_name(ancestral[i]), "Euler a", "%s", ancestral[i]);
    cr_assert_str_eq(sampler_name("euler"), "Euler");
    cr_assert_str_eq(sampler_name("k_euler"), "Euler");
}

Test(names, automatic_schedule_is_the_samplers, .timeout = 10)
{
    for (int i = 0; i < 2; i++) {
        const rf_sampler *s = NULL;
        cr_assert_eq(rf_sampler_find(&s, i ? "Euler a" : "Euler", NULL), RF_OK);
        cr_assert_str_eq(schedule_name("automatic", s->automatic), "Uniform");
        cr_assert_str_eq(schedule_name("karras", s->automatic), "Karras");
    }
    cr_assert_str_eq(schedule_name("Automatic", "Karras"), "Karras");
    cr_assert_str_eq(schedule_name("NORMAL", "Karras"), "Normal");
    cr_assert_str_eq(schedule_name("uniform", "Karras"), "Uniform");

    const rf_schedule *s = NULL;
    cr_assert_eq(rf_schedule_find(&s, "automatic", "Automatic", NULL), RF_E_BUG);
    cr_assert_null(s);
}

Test(names, noise_source, .timeout = 10)
{
    const rf_noise_source *s = NULL;
    cr_assert_eq(rf_noise_source_find(&s, "nv", NULL), RF_OK);
    cr_assert_str_eq(s->id.name, "NV");
    cr_assert_eq(s->latent, rf_noise_nv_latent);
    rf_error err = {0};
    cr_assert_eq(rf_noise_source_find(&s, "dice", &err), RF_E_ARG);
    cr_assert_null(s);
    cr_assert_str_eq(err.message, "unknown noise source \"dice\". Known: NV");
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
        rf_error          err = {0};
        const rf_sampler *s = (const rf_sampler *)cases;
        cr_assert_eq(rf_sampler_find(&s, cases[i].given, &err), RF_E_ARG);
        cr_assert_null(s);
        cr_assert_eq(err.status, RF_E_ARG);
        cr_assert_str_eq(err.message, cases[i].message, "%s", err.message);
    }
    rf_error           err = {0};
    const rf_schedule *s = NULL;
    cr_assert_eq(rf_schedule_find(&s, "karas", "Uniform", &err), RF_E_ARG);
    cr_assert_str_eq(err.message, "unknown schedule \"karas\": did you mean \"Karras\"? Known: "
                                  "Automatic, Karras, Uniform, Normal");
}

/* Whatever its length, and cut between characters. */
Test(names, long_input_is_shown_in_part, .timeout = 10)
{
    char given[400];
    for (size_t n = 50; n < sizeof given; n++) {
        for (size_t i = 0; i < n; i++) given[i] = "\xE2\x82\xAC"[i % 3];
        given[n] = '\0';
        rf_error          err = {0};
        const rf_sampler *s = NULL;
        cr_assert_eq(rf_sampler_find(&s, given, &err), RF_E_ARG);
        const char  *quoted = strchr(err.message, '"') + 1;
        const char  *end = strchr(quoted, '"');
        const size_t length = (size_t)(end - quoted);
        cr_assert_leq(length, 100u);
        if (n > 100) cr_assert_eq(length, 99u);
        cr_assert_eq(strcmp(end, "\". Known: Euler a, Euler"), 0);
    }
}
