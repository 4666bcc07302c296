/* Axes of sweeps: A1111's X/Y/Z syntax, what it may not be, and JSON plans. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/sweep/cells.h"

static rf_trouble trouble;

/* The values' texts, joined by '|'. */
static const char *joined(const rf_axis *axis)
{
    static char text[4000];
    size_t      used = 0;
    text[0] = '\0';
    for (int i = 0; i < axis->count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "|" : "",
                                 axis->value[i].text);
    return text;
}

typedef struct good {
    const char *text, *values;
} good;

static void expect_values(const good *row, int rows)
{
    for (int i = 0; i < rows; i++) {
        rf_axis         axis;
        const rf_status st = rf_axis_parse(&axis, "--x", row[i].text, &trouble);
        cr_expect_eq(st, RF_OK, "%s: %s", row[i].text, trouble.error.message);
        if (st != RF_OK) continue;
        cr_expect_str_eq(joined(&axis), row[i].values, "%s", row[i].text);
        rf_axis_release(&axis);
    }
}

typedef struct bad {
    const char *text, *message;
} bad;

static void expect_refusals(const bad *row, int rows)
{
    for (int i = 0; i < rows; i++) {
        rf_axis axis = {.count = 7};
        trouble = (rf_trouble){0};
        cr_expect_eq(rf_axis_parse(&axis, "--x", row[i].text, &trouble), RF_E_ARG, "'%s' was taken",
                     row[i].text);
        cr_expect(strstr(trouble.error.message, row[i].message), "'%s': %s", row[i].text,
                  trouble.error.message);
        cr_expect(axis.count == 0 && !axis.value && !axis.block, "'%s' left an axis", row[i].text);
    }
}

#define ROWS(table) (table), (int)(sizeof(table) / sizeof *(table))

/* ---- numbers ------------------------------------------------------------------------------ */

Test(sweep_axes, whole_numbers_come_one_by_one_and_in_ranges)
{
    static const good ROW[] = {
        {"Seed: 5", "5"},
        {"Seed: 1-5", "1|2|3|4|5"},
        {"Seed: 1-10 (+3)", "1|4|7|10"},
        {"Seed: 1-10 (3)", "1|4|7|10"},
        {"Seed: 1-9 (+3)", "1|4|7"},
        {"Seed: 1-5 (+2)", "1|3|5"},
        {"Seed: 10-5 (-3)", "10|7"},
        {"Seed: 10-1 (-3)", "10|7|4|1"},
        {"Seed: 1-10 [5]", "1|3|5|7|10"}, /* numpy.linspace, then int: A1111's wiki */
        {"Seed: 10-1 [4]", "10|7|4|1"},
        {"Seed: 10-0 [4]", "10|6|3|0"},
        {"Seed: 0-10 [4]", "0|3|6|10"},
        {"Seed: 0-198 [47]",
         "0|4|8|12|17|21|25|30|34|38|43|47|51|55|60|64|68|73|77|81|86|90|94|99|103|107|111|116|120|"
         "124|129|133|137|142|146|150|154|159|163|167|172|176|180|185|189|193|198"},
        {"Seed: 3-9 [1]", "3"},
        {"Seed: 4-4", "4"},
        {"Seed: 4-4 (-1)", "4"},
        {"Seed: 4-4 [3]", "4|4|4"},
        {"Seed: 1-3, 7, 20-10 (-5)", "1|2|3|7|20|15|10"},
        {"Seed: 9223372036854775807", "9223372036854775807"},
        {"Seed: 9007199254740993", "9007199254740993"}, /* 2^53 + 1: no double */
        {"Seed: 0-9223372036854775807 [3]", "0|4611686018427387903|9223372036854775807"},
        {"Seed: 0-9223372036854775807 (+9223372036854775806)", "0|9223372036854775806"},
        {"Seed: 007", "7"},
        {"Steps: 10, 20,30", "10|20|30"},
        {"Clip skip: 1-2", "1|2"},
    };
    expect_values(ROWS(ROW));
}

Test(sweep_axes, real_numbers_have_six_decimals_and_their_shortest_form)
{
    static const good ROW[] = {
        {"Refiner switch at: 0-1 [11]", "0|0.1|0.2|0.3|0.4|0.5|0.6|0.7|0.8|0.9|1"},
        {"Refiner switch at: 0.1-0.9 [9]", "0.1|0.2|0.3|0.4|0.5|0.6|0.7|0.8|0.9"},
        {"Refiner switch at: 0-1 (+0.1)", "0|0.1|0.2|0.3|0.4|0.5|0.6|0.7|0.8|0.9|1"},
        {"Refiner switch at: 0-1 (+0.3)", "0|0.3|0.6|0.9"},
        {"Refiner switch at: 1-0 (-0.25)", "1|0.75|0.5|0.25|0"},
        {"Refiner switch at: 1-0 [3]", "1|0.5|0"},
        {"Refiner switch at: -5--1", "-5|-4|-3|-2|-1"},
        {"Refiner switch at: -1-1 [5]", "-1|-0.5|0|0.5|1"},
        {"Refiner switch at: -1--2 (-.5)", "-1|-1.5|-2"},
        {"Refiner switch at: 0-1 [4]", "0|0.333333|0.666667|1"},
        {"Refiner switch at: 1-3 (+0.5)", "1|1.5|2|2.5|3"},
        {"CFG: 5-8", "5|6|7|8"},
        {"CFG: 1.0, 2.50, .5, 3., +4", "1|2.5|0.5|3|4"},
        {"CFG: 0.30000000000000004", "0.3"},
        {"CFG: 0.1234567", "0.123457"},
        {"CFG: 1e-1, 1E2, 2e+0-4e0", "0.1|100|2|3|4"},
        {"Refiner switch at: -0", "0"},
        {"Refiner switch at: -0.0000001, -0.000001", "0|-0.000001"},
        {"Schedule max sigma: 1000000", "1000000"},
    };
    rf_axis axis;
    expect_values(ROWS(ROW));
    cr_assert_eq(rf_axis_parse(&axis, "--x", "switch: 0-1 (+0.1)", &trouble), RF_OK);
    cr_expect(axis.value[3].number == 0.3 && axis.value[7].number == 0.7, "not the nearest double");
    cr_expect_eq(axis.kind, RF_VARY_SWITCH);
    cr_expect_str_eq(axis.name, "Refiner switch at");
    rf_axis_release(&axis);
}

Test(sweep_axes, blanks_stand_anywhere_but_inside_a_number)
{
    static const good ROW[] = {
        {" Seed :1 , 2\t,\n 3 ", "1|2|3"},
        {"Seed:1-3", "1|2|3"},
        {"Seed: 1 - 10 ( + 3 )", "1|4|7|10"},
        {"Seed: 1 -10[ 4 ]", "1|4|7|10"},
        {"Refiner switch at: - 5 - - 1 ( + 2 ) ", "-5|-3|-1"},
        {"Size: 1024 x 768, 64X64", "1024x768|64x64"},
        {"Sampler: Euler a ,  DPM++ 2M Karras", "Euler a|DPM++ 2M Karras"},
    };
    static const bad BAD[] = {
        {"Seed: 1 0", "'1 0' is neither"},
        {"Seed: 1-3 (+1 0)", "is neither"},
        {"CFG: 1 .5", "is neither"},
    };
    expect_values(ROWS(ROW));
    expect_refusals(ROWS(BAD));
}

Test(sweep_axes, what_is_no_number_is_refused)
{
    static const bad BAD[] = {
        {"Seed: 1.5", "--x Seed, value 1: '1.5' is neither a whole number nor a range"},
        {"Seed: 1, 2, 3-4.5", "--x Seed, value 3: '3-4.5' is neither a whole number"},
        {"Seed: 1.0", "'1.0' is neither"},
        {"Seed: 1e3", "'1e3' is neither"},
        {"Seed: 0x10", "'0x10' is neither"},
        {"Seed: nan", "'nan' is neither"},
        {"Seed: randomly", "'randomly' is neither"},
        {"Seed: 1-random", "'1-random' is neither"},
        {"Seed: 1-", "'1-' is neither"},
        {"Seed: -", "'-' is neither"},
        {"Seed: 1--", "'1--' is neither"},
        {"Seed: 1-2-3", "'1-2-3' is neither"},
        {"Seed: 1-2 (", "is neither"},
        {"Seed: 1-2 (+1", "is neither"},
        {"Seed: 1-2 ()", "is neither"},
        {"Seed: 1-2 (+1]", "is neither"},
        {"Seed: 1-2 [3", "is neither"},
        {"Seed: 1-2 []", "is neither"},
        {"Seed: 1-2 [3)", "is neither"},
        {"Seed: 1-2 [3] 4", "is neither"},
        {"Seed: 1-2 [+3]", "is neither"},
        {"Seed: 5 [3]", "is neither"},
        {"Seed: 1;2", "is neither"},
        {"CFG: nan", "'nan' is neither a number nor a range such as 0-1 [11]"},
        {"CFG: inf", "'inf' is neither"},
        {"CFG: 0x1p3", "'0x1p3' is neither"},
        {"CFG: .", "'.' is neither"},
        {"CFG: 1.2.3", "is neither"},
        {"CFG: 1e", "is neither"},
        {"CFG: e5", "is neither"},
        {"CFG: 7,", "value 2 is empty"},
        {"CFG: 0.00000000000000000000000000000000000000000000000000000000000000000000001",
         "is neit"},
    };
    expect_refusals(ROWS(BAD));
}

Test(sweep_axes, what_is_out_of_range_is_refused)
{
    static const bad BAD[] = {
        {"Steps: 0", "--x Steps, value 1: '0' is out of range: Steps goes from 1 to 10000"},
        {"Steps: 10, 10001", "--x Steps, value 2: '10001' is out of range"},
        {"Steps: 5-0 (-1)", "out of range"},
        {"Seed: -2", "'-2' is out of range: Seed goes from 0 to 9223372036854775807"},
        {"Seed: -1-3", "out of range"},
        {"Seed: 9223372036854775808", "out of range"},
        {"Seed: 1-99999999999999999999", "out of range"},
        {"Seed: 0-1 (+99999999999999999999)", "out of range"},
        {"CFG: -1", "out of range"},
        {"CFG: 1000.000001", "out of range: CFG Scale goes from 0 to 1000"},
        {"CFG: 1e999", "out of range"},
        {"CFG: 1e300-2", "out of range"},
        {"Var. strength: 1.1", "out of range"},
        {"Clip skip: 13", "out of range"},
        {"Eta: 101", "out of range"},
        {"rho: 1001", "out of range"},
        {"Schedule min sigma: 1000001", "out of range"},
        {"Refiner switch at: 99999999999", "out of range"},
    };
    expect_refusals(ROWS(BAD));
}

Test(sweep_axes, ranges_that_go_nowhere_are_refused)
{
    static const bad BAD[] = {
        {"Seed: 5-1", "'5-1' steps away from its end"},
        {"Seed: 1-5 (-1)", "steps away"},
        {"Seed: 5-1 (+1)", "steps away"},
        {"CFG: 2-1 (0.1)", "steps away"},
        {"Seed: 1-5 (+0)", "has a step of 0"},
        {"CFG: 0-1 (+0.0000001)", "has a step of 0"},
        {"Seed: 1-5 [0]", "in [ ] stands a count from 1 to 10000"},
        {"Seed: 1-5 [10001]", "in [ ] stands a count"},
        {"Seed: 1-5 [99999999999999999999]", "in [ ] stands a count"},
        {"Seed: 1-10001", "an axis has at most 10000 values"},
        {"Seed: 0-9223372036854775807", "at most 10000 values"},
        {"CFG: 0-1000 (+0.000001)", "at most 10000 values"},
        {"Seed: 1-10000, 5", "--x Seed, value 2: an axis has at most 10000 values"},
    };
    rf_axis axis;
    expect_refusals(ROWS(BAD));
    cr_expect_eq(rf_axis_parse(&axis, "--x", "Seed: 5-1", &trouble), RF_E_ARG);
    cr_expect(strstr(trouble.hint, "negative step"), "%s", trouble.hint);
    cr_assert_eq(rf_axis_parse(&axis, "--x", "Seed: 1-10000", &trouble), RF_OK);
    cr_expect_eq(axis.count, 10000);
    rf_axis_release(&axis);
}

Test(sweep_axes, random_seeds_are_drawn_once_and_told)
{
    rf_axis axis;
    cr_assert_eq(rf_axis_parse(&axis, "--y", "Seed: -1, random, Random, 7, -1", &trouble), RF_OK);
    cr_assert_eq(axis.count, 5);
    int same = 0;
    for (int i = 0; i < 5; i++) {
        char *end = NULL;
        cr_expect_eq((double)strtoull(axis.value[i].text, &end, 10), axis.value[i].number);
        cr_expect(*end == '\0' && axis.value[i].number >= 0 && axis.value[i].number <= UINT32_MAX);
        for (int j = 0; j < i; j++) same += axis.value[i].number == axis.value[j].number;
    }
    cr_expect_eq(axis.value[3].number, 7);
    cr_expect_leq(same, 1, "draws repeat"); /* two equal ones happen once in 500 million runs */
    rf_axis_release(&axis);
    cr_assert_eq(rf_axis_parse(&axis, "--y", "Var. seed: random", &trouble), RF_OK);
    rf_axis_release(&axis);
}

/* ---- lists -------------------------------------------------------------------------------- */

Test(sweep_axes, lists_are_csv)
{
    static const good ROW[] = {
        {"Prompt S/R: cat, dog", "cat|dog"},
        {"Prompt S/R: \"red, green\", blue", "red, green|blue"},
        {"Prompt S/R: \"say \"\"hi\"\"\",\"a\"", "say \"hi\"|a"},
        {"Prompt S/R: 5\" heels, \"\"\"\"", "5\" heels|\""},
        {"Prompt S/R: cat, \"\"", "cat|"},
        {"Prompt S/R: \" cat \" , \" dog\"", " cat | dog"},
        {"Prompt S/R: a:b, c:1.2", "a:b|c:1.2"},
        {"Prompt S/R: cat", "cat"},
        {"Prompt S/R: 1-5, 2", "1-5|2"},
        {"Seed: \"1-3\", \"4\"", "1|2|3|4"},
        {"Refiner checkpoint: None, a b.safetensors, \"c,d.safetensors\"",
         "None|a b.safetensors|c,d.safetensors"},
    };
    static const bad BAD[] = {
        {"Prompt S/R: cat,", "--x Prompt S/R: value 2 is empty"},
        {"Prompt S/R: ,cat", "--x Prompt S/R: value 1 is empty"},
        {"Prompt S/R: cat,,dog", "value 2 is empty"},
        {"Prompt S/R: cat, \"dog", "the quote that begins value 2 is not closed"},
        {"Prompt S/R: \"", "the quote that begins value 1 is not closed"},
        {"Prompt S/R: \"\"\"", "the quote that begins value 1 is not closed"},
        {"Prompt S/R: \"cat\" dog", "after the closing quote of value 1 a comma is missing"},
        {"Prompt S/R: \"\", dog", "value 1 is what is searched for in the prompt"},
        {"Sampler: Euler, \"\"", "value 2 is empty"},
        {"Seed: \"\"", "value 1: '' is neither"},
        {"Seed:", "--x Seed: there are no values after the ':'"},
        {"Seed:  \n", "there are no values"},
        {"Size: 1024", "--x Size, value 1: '1024' is not a size such as 1024x1024"},
        {"Size: 1024x768, 100x100", "--x Size, value 2 100x100: the width 100 is not a multiple"},
        {"Size: 8x8", "must be from 64 to 8192"},
        {"Size: 1024x", "is not a size"},
        {"Size: \"\"", "value 1 is empty"},
    };
    expect_values(ROWS(ROW));
    expect_refusals(ROWS(BAD));
}

Test(sweep_axes, a_list_has_ten_thousand_items_at_most)
{
    enum { MOST = 10000 };
    static char text[2 * MOST + 40];
    rf_axis     axis;
    strcpy(text, "Sampler: a");
    for (int i = 1; i < MOST; i++) strcat(text + 9 + 2 * (i - 1), ",a");
    cr_assert_eq(rf_axis_parse(&axis, "--x", text, &trouble), RF_OK);
    cr_expect_eq(axis.count, MOST);
    rf_axis_release(&axis);
    strcat(text, ",a");
    cr_expect_eq(rf_axis_parse(&axis, "--x", text, &trouble), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "has 10001 values; it can have 1 to 10000"));
}

Test(sweep_axes, text_that_is_not_utf8_is_refused)
{
    static const bad BAD[] = {
        {"Prompt S/R: cat, d\xFFg", "byte 19 (0xFF) is not UTF-8"},
        {"S\xC0: 1", "is not UTF-8"},
    };
    expect_refusals(ROWS(BAD));
}

/* ---- names -------------------------------------------------------------------------------- */

Test(sweep_axes, names_are_found_however_they_are_written)
{
    static const struct {
        const char  *name;
        rf_axis_kind kind;
    } ROW[] = {
        {"Refiner switch at", RF_VARY_SWITCH},
        {"switch", RF_VARY_SWITCH},
        {"Switch at", RF_VARY_SWITCH},
        {" rEFINER_switch-AT ", RF_VARY_SWITCH},
        {"Checkpoint name", RF_VARY_BASE},
        {"Base", RF_VARY_BASE},
        {"Refiner checkpoint", RF_VARY_REFINER},
        {"Refiner", RF_VARY_REFINER},
        {"VAE", RF_VARY_VAE},
        {"seed", RF_VARY_SEED},
        {"Var. seed", RF_VARY_VARIATION_SEED},
        {"Var. strength", RF_VARY_VARIATION},
        {"STEPS", RF_VARY_STEPS},
        {"CFG Scale", RF_VARY_CFG},
        {"cfg", RF_VARY_CFG},
        {"Base CFG", RF_VARY_BASE_CFG},
        {"Refiner CFG", RF_VARY_REFINER_CFG},
        {"Sampler", RF_VARY_SAMPLER},
        {"Refiner sampler", RF_VARY_REFINER_SAMPLER},
        {"Schedule type", RF_VARY_SCHEDULE},
        {"scheduler", RF_VARY_SCHEDULE},
        {"Prompt S/R", RF_VARY_PROMPT},
        {"Base prompt S/R", RF_VARY_BASE_PROMPT},
        {"refiner prompt s/r", RF_VARY_REFINER_PROMPT},
        {"Size", RF_VARY_SIZE},
        {"Clip skip", RF_VARY_CLIP_SKIP},
        {"Eta", RF_VARY_ETA},
        {"Schedule min sigma", RF_VARY_SIGMA_MIN},
        {"Schedule max sigma", RF_VARY_SIGMA_MAX},
        {"Schedule rho", RF_VARY_RHO},
        {"CFG end", RF_VARY_CFG_END},
        {"Sigma churn", RF_VARY_S_CHURN},
        {"s_tmin", RF_VARY_S_TMIN},
        {"Sigma tmax", RF_VARY_S_TMAX},
        {"s noise", RF_VARY_S_NOISE},
        {"Denoising", RF_VARY_DENOISE},
        {"denoising strength", RF_VARY_DENOISE},
        {"LoRA x", RF_VARY_LORA},
    };
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        rf_axis           axis;
        const char *const one[] = {ROW[i].kind == RF_VARY_SIZE ? "64x64" : "1"};
        cr_expect_eq(rf_axis_make(&axis, "--x", ROW[i].name, one, 1, &trouble), RF_OK, "%s",
                     ROW[i].name);
        cr_expect_eq(axis.kind, ROW[i].kind, "%s", ROW[i].name);
        seen |= 1u << axis.kind;
        rf_axis_release(&axis);
    }
    cr_expect_eq(seen, (1u << RF_VARY_KINDS) - 2, "a kind has no name here");
}

Test(sweep_axes, the_list_of_names_is_the_table_s)
{
    unsigned seen = 0;
    for (int i = 0; rf_axis_names[i]; i++) {
        rf_axis           axis;
        const char *const one[] = {strcmp(rf_axis_names[i], "Size") == 0 ? "64x64" : "1"};
        const int         lora = strcmp(rf_axis_names[i], "LoRA") == 0; /* of some name */
        const char       *name = lora ? "LoRA x" : rf_axis_names[i];
        cr_assert_eq(rf_axis_make(&axis, "--x", name, one, 1, &trouble), RF_OK);
        cr_expect_str_eq(axis.name, name);
        seen |= 1u << axis.kind;
        rf_axis_release(&axis);
    }
    cr_expect_eq(seen, (1u << RF_VARY_KINDS) - 2, "an axis is not listed");
}

Test(sweep_axes, unknown_names_are_refused_with_the_nearest)
{
    static const struct {
        const char *text, *hint;
    } ROW[] = {
        {"Sede: 1", "did you mean 'Seed'?"},
        {"Refiner swich at: 1", "did you mean 'Refiner switch at'?"},
        {"CGF scale: 1", "did you mean 'CFG Scale'?"},
        {"Samplr: Euler", "did you mean 'Sampler'?"},
        {"Always discard: 1", "axes are Refiner switch at, "},
        {": 1", "axes are "},
    };
    static const bad BAD[] = {
        {"Sede: 1", "--x: there is no axis called 'Sede'"},
        {"Seed 1-4", "--x: 'Seed 1-4' has no ':' between the axis and its values"},
        {"", "has no ':'"},
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        rf_axis axis;
        trouble = (rf_trouble){0};
        cr_expect_eq(rf_axis_parse(&axis, "--x", ROW[i].text, &trouble), RF_E_ARG);
        cr_expect(strstr(trouble.hint, ROW[i].hint), "%s: %s", ROW[i].text, trouble.hint);
    }
    expect_refusals(ROWS(BAD));
}

Test(sweep_axes, an_axis_that_is_not_given_has_one_value)
{
    rf_axis axis;
    cr_assert_eq(rf_axis_parse(&axis, "--z", NULL, &trouble), RF_OK);
    cr_expect(axis.kind == RF_VARY_NOTHING && axis.count == 1 && isnan(axis.value[0].number));
    cr_expect_str_eq(axis.name, "");
    cr_expect_str_eq(axis.value[0].text, "");
    rf_axis_release(&axis);
    rf_axis_release(&axis); /* {0} is fine */
}

/* ---- JSON plans --------------------------------------------------------------------------- */

static rf_status from_text(rf_axis axis[RF_AXES], const char *text)
{
    trouble = (rf_trouble){0};
    return rf_axes_from_text(axis, "plan.json", text, &trouble);
}

static void release_all(rf_axis axis[RF_AXES])
{
    for (int a = 0; a < RF_AXES; a++) rf_axis_release(&axis[a]);
}

Test(sweep_axes, plans_have_numbers_and_strings)
{
    rf_axis axis[RF_AXES];
    cr_assert_eq(
        from_text(axis,
                  "{\"z\": {\"values\": [\"0-1 [3]\", 0.1, 2, 1e-1, 1.0], \"axis\": \"switch\"},"
                  " \"x\": {\"axis\": \"Prompt S/R\", \"values\": [\"a, b\", \"\", \"\\\"\"]}}"),
        RF_OK, "%s", trouble.error.message);
    cr_expect_str_eq(joined(&axis[0]), "a, b||\"");
    cr_expect_eq(axis[1].kind, RF_VARY_NOTHING);
    cr_expect_str_eq(joined(&axis[2]), "0|0.5|1|0.1|2|0.1|1");
    release_all(axis);
    cr_assert_eq(from_text(axis, "{\"y\":{\"axis\":\"Seed\",\"values\":[9223372036854775807]}}"),
                 RF_OK);
    cr_expect_str_eq(joined(&axis[1]), "9223372036854775807");
    release_all(axis);
}

#define X(rest) "{\"x\": " rest "}"

Test(sweep_axes, plans_are_read_strictly)
{
    static const bad BAD[] = {
        {"", "plan.json: line 1: this is not JSON"},
        {"{\n\n,}", "plan.json: line 3: this is not JSON"},
        {"[]", "plan.json: expected an object with the axes \"x\", \"y\" and \"z\""},
        {"{}", "expected an object"},
        {"7", "not JSON"},
        {"{\"w\": 1}", "plan.json: there is no member \"w\"; expected \"x\", \"y\" and \"z\""},
        {X("1"), "plan.json: \"x\" is no object with \"axis\" and \"values\""},
        {X("{\"values\": [1]}"), "plan.json: \"x\": \"axis\" must be the name of an axis"},
        {X("{\"axis\": 1, \"values\": [1]}"), "\"axis\" must be the name"},
        {X("{\"axis\": \"Seed\"}"), "\"x\": \"values\" must be an array"},
        {X("{\"axis\": \"Seed\", \"values\": \"1-3\"}"), "\"values\" must be an array"},
        {X("{\"axis\": \"Seed\", \"values\": []}"), "\"values\" has 0 values"},
        {X("{\"axis\": \"Seed\", \"values\": [1, null]}"), "value 2 of \"values\" is neither a n"},
        {X("{\"axis\": \"Seed\", \"values\": [true]}"), "value 1 of \"values\" is neither"},
        {X("{\"axis\": \"Seed\", \"values\": [[1]]}"), "value 1 of \"values\" is neither"},
        {X("{\"axis\": \"Seed\", \"values\": [1.5]}"), "plan.json: \"x\" Seed, value 1: '1.5' is "},
        {X("{\"axis\": \"Seed\", \"values\": [1.0]}"), "'1.0' is neither a whole number"},
        {X("{\"axis\": \"Seed\", \"values\": [\"1,2\"]}"), "'1,2' is neither"},
        {X("{\"axis\": \"Seed\", \"values\": [9223372036854775808]}"), "not JSON"},
        {X("{\"axis\": \"CFG\", \"values\": [1e300]}"), "out of range"},
        {X("{\"axis\": \"CFG\", \"values\": [1e999]}"), "not JSON"},
        {X("{\"axis\": \"CFG\", \"values\": [NaN]}"), "not JSON"},
        {X("{\"axis\": \"Sede\", \"values\": [1]}"), "\"x\": there is no axis called 'Sede'"},
        {X("{\"axis\": \"Seed\", \"values\": [1], \"n\": 1}"), "there is no member \"n\""},
        {X("{\"axis\": \"Seed\", \"axis\": \"Seed\", \"values\": [1]}"), "duplicate object key"},
        {X("{\"axis\": \"Seed\", \"values\": [1]}") " x", "not JSON"},
        {X("{\"axis\": \"Seed\", \"values\": [1], }"), "not JSON"},
        {X("{\"axis\": \"VAE\", \"values\": [\"\xFF\"]}"), "not JSON"},
        {X("{\"axis\": \"VAE\", \"values\": [\"a\\u0000b\"]}"), "not JSON"},
        {X("{\"axis\": \"VAE\", \"values\": [\"\\ud800\"]}"), "not JSON"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        rf_axis axis[RF_AXES];
        memset(axis, 0x5A, sizeof axis);
        cr_expect_eq(from_text(axis, BAD[i].text), RF_E_FORMAT, "%s was taken", BAD[i].text);
        cr_expect_eq(trouble.error.status, RF_E_FORMAT);
        cr_expect(strstr(trouble.error.message, BAD[i].message), "%s: %s", BAD[i].text,
                  trouble.error.message);
        for (int a = 0; a < RF_AXES; a++) cr_expect(!axis[a].value && !axis[a].block);
    }
}

Test(sweep_axes, a_later_axis_that_is_wrong_leaves_none)
{
    rf_axis axis[RF_AXES];
    cr_expect_eq(from_text(axis, "{\"x\": {\"axis\": \"Seed\", \"values\": [1]}, \"z\": 3}"),
                 RF_E_FORMAT);
    for (int a = 0; a < RF_AXES; a++) cr_expect(!axis[a].value && !axis[a].block);
}

Test(sweep_axes, hostile_plans_end_in_a_sentence, .timeout = 60)
{
    enum { BYTES = 1 << 20 };
    static char text[BYTES + 100];
    rf_axis     axis[RF_AXES];
    memset(text, '[', BYTES - 1); /* deep */
    cr_expect_eq(from_text(axis, text), RF_E_FORMAT);
    memset(text, 0, sizeof text);
    strcpy(text, "{\"x\":{\"axis\":\"Seed\",\"values\":[1"); /* long */
    const size_t head = strlen(text);
    for (size_t i = head; i + 3 < BYTES; i++) text[i] = (i - head) % 2 ? '1' : ',';
    strcat(text + BYTES - 8, "]}}");
    cr_expect_eq(from_text(axis, text), RF_E_FORMAT);
    cr_expect(strstr(trouble.error.message, "values; it can have 1 to 10000"), "%s",
              trouble.error.message);
}

static void write_file(const char *path, const char *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

Test(sweep_axes, plans_come_from_files)
{
    static const char PLAN[] = "\xEF\xBB\xBF{\"x\": {\"axis\": \"Seed\", \"values\": [1, 2]}}\r\n";
    static char       large[(1 << 20) + 100];
    char              path[] = "/tmp/refinery-plan-XXXXXX";
    rf_axis           axis[RF_AXES];
    const int         fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    write_file(path, PLAN, sizeof PLAN - 1);
    cr_expect_eq(rf_axes_from_json(axis, path, &trouble), RF_OK, "%s", trouble.error.message);
    cr_expect_str_eq(joined(&axis[0]), "1|2");
    release_all(axis);
    write_file(path, "{\0}", 3);
    cr_expect_eq(rf_axes_from_json(axis, path, &trouble), RF_E_FORMAT);
    cr_expect(strstr(trouble.error.message, path) &&
              strstr(trouble.error.message, "byte 2 (0x00) is not UTF-8"));
    memset(large, ' ', sizeof large);
    write_file(path, large, sizeof large);
    cr_expect_eq(rf_axes_from_json(axis, path, &trouble), RF_E_FORMAT);
    cr_expect(strstr(trouble.error.message, "at most 1 MiB fits"));
    unlink(path);
    cr_expect_eq(rf_axes_from_json(axis, path, &trouble), RF_E_NOT_FOUND);
    cr_expect(strstr(trouble.error.message, path));
    cr_expect_neq(rf_axes_from_json(axis, "/", &trouble), RF_OK);
}
