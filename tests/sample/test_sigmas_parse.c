/* Explicit lists of noise levels. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sample/schedule.h"

Test(sigmas_parse, lists, .timeout = 10)
{
    const struct {
        const char *text;
        int         steps;
        double      want[4];
    } cases[] = {
        {"14.6, 8 3.1", 3, {14.6, 8, 3.1}}, {" 14.6 ,8,3.1,0", 3, {14.6, 8, 3.1}}, {"1", 1, {1}},
        {"1e1\t+2.5E-1\n", 2, {10, 0.25}},  {".5  0.25,   0.0 ", 2, {0.5, 0.25}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_sigmas got = {0};
        rf_error  err = {0};
        cr_assert_eq(rf_sigmas_parse(&got, cases[i].text, &err), RF_OK, "%s", err.message);
        cr_assert_eq(got.steps, cases[i].steps);
        for (int k = 0; k < got.steps; k++)
            cr_assert_eq(got.sigma[k], (double)(float)cases[i].want[k]);
        cr_assert_eq(got.sigma[got.steps], 0);
        free(got.sigma);
    }
}

Test(sigmas_parse, names_the_wrong_entry, .timeout = 10)
{
    const struct {
        const char *text, *part;
    } cases[] = {
        {"", "entry 1 is empty"},
        {"  ", "entry 1 is empty"},
        {"3,,2", "entry 2 is empty"},
        {"3, 2,", "entry 3 is empty"},
        {"3 two 1", "entry 2, \"two\", is no number"},
        {"3 0x1p1", "entry 2, \"0x1p1\", is no number"},
        {"nan", "entry 1, \"nan\", is no number"},
        {"3;2", "entry 1, \"3;2\", is no number"},
        {"3 1-2", "entry 2, \"1-2\", is no number"},
        {"3 -1", "entry 2, \"-1\", is out of range"},
        {"1e39 1", "entry 1, \"1e39\", is out of range"},
        {"1e999", "entry 1, \"1e999\", is out of range"},
        {"3 3", "entry 2, 3, is not below the one before it, 3"},
        {"3 4", "entry 2, 4, is not below"},
        {"1.00000001 1", "entry 2, 1, is not below"}, /* one f32 */
        {"3 0 1", "entry 2 is 0, but not the last"},
        {"0", "0 noise levels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_sigmas got = {NULL, 7};
        rf_error  err = {0};
        cr_assert_eq(rf_sigmas_parse(&got, cases[i].text, &err), RF_E_ARG, "%s", cases[i].text);
        cr_assert_not_null(strstr(err.message, cases[i].part), "%s", err.message);
        cr_assert_null(got.sigma);
        cr_assert_eq(got.steps, 0);
    }
}

/* The longest list, with and without its 0, and one entry more. */
Test(sigmas_parse, length, .timeout = 10)
{
    static char text[(RF_STEPS_MAX + 2) * 8];
    for (int i = 0; i < 3; i++) {
        const int count = RF_STEPS_MAX + (i == 2 ? 1 : 0);
        int       used = 0;
        rf_sigmas got = {0};
        for (int k = count; k > 0; k--) used += sprintf(text + used, "%d ", k);
        if (i == 1) strcpy(text + used, "0");
        const rf_status st = rf_sigmas_parse(&got, text, NULL);
        cr_assert_eq(st, i == 2 ? RF_E_ARG : RF_OK);
        if (st == RF_OK) cr_assert_eq(got.steps, RF_STEPS_MAX);
        free(got.sigma);
    }
}
