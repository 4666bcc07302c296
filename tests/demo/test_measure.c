/* The measurement's figures against known ones, its reports, and its plans. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/files/fixture.h"
#include "tools/measure/figures.h"
#include "tools/measure/prompt_plan.h"
#include "tools/measure/reports.h"
#include "tools/pictures/read_png.h"
#include "tools/sweep/cells.h"

TestSuite(measure, .timeout = 60, .fini = fixture_cleanup);

Test(measure, figures_are_the_known_ones)
{
    rf_outcome o[10] = {0}, zero[10] = {0};
    for (int i = 0; i < 10; i++) {
        o[i].right[RF_PLACE] = i < 5 ? (double)NAN : 1;
        o[i].right[RF_COUNT] = i < 8;
        o[i].content = i / 10.0;
    }
    rf_figure f = rf_figure_of(o, NULL, 10, RF_COUNT); /* Wilson: 8 of 10 */
    cr_expect_float_eq(f.mean, 0.8, 1e-12);
    cr_expect_float_eq(f.low, 0.4902, 1e-4);
    cr_expect_float_eq(f.high, 0.9433, 1e-4);
    f = rf_figure_of(o, NULL, 10, RF_PLACE); /* all of the five that ask */
    cr_expect_eq(f.prompts, 5);
    cr_expect_float_eq(f.mean, 1, 1e-12);
    cr_expect_float_eq(f.low, 0.5655, 1e-4);
    for (int less = 0; less < 2; less++) { /* deviation of 0, 0.1 .. 0.9 is 0.30277 */
        f = rf_figure_of(o, less ? zero : NULL, 10, RF_CONTENT);
        cr_expect_float_eq(f.mean, 0.45, 1e-12);
        cr_expect_float_eq(f.high - f.mean, 1.959964 * 0.302765 / sqrt(10), 1e-5);
    }
    for (int i = 0; i < 10; i++) o[i].right[RF_PLACE] = (double)NAN;
    f = rf_figure_of(o, NULL, 10, RF_PLACE);
    cr_expect_eq(f.prompts, 0);
    cr_expect(isnan(f.mean));
}

/* ---- reports of a measurement that never was ---------------------------------------------- */

enum { PROMPTS = 40, SHOWN = 2, POINTS = 11 };

static void make_up(rf_measurement *m, rf_asked *asked)
{
    *m = (rf_measurement){.sampler = "s",
                          .steps = 30,
                          .cfg_scale = 6,
                          .prompts = PROMPTS,
                          .points = POINTS,
                          .seeds = 1,
                          .shown = SHOWN};
    m->asked = calloc(PROMPTS, sizeof(const rf_asked *));
    m->outcome = calloc((size_t)PROMPTS * POINTS, sizeof *m->outcome);
    m->pictures = calloc((size_t)SHOWN * POINTS, (size_t)RF_SIDE * RF_SIDE * 3);
    asked->prompt = (char *)"cat, red body, left side, solo";
    for (int i = 0; i < PROMPTS; i++) m->asked[i] = asked;
    for (int p = 0; p < POINTS; p++) {
        m->point[p] = p / 10.0;
        for (int i = 0; i < PROMPTS; i++) {
            rf_outcome *out = &m->outcome[p * PROMPTS + i];
            out->content = i % 5 < 3 + p / 3 ? 1 : 0.4;
            out->style = 1 / (1 + exp((p - 6) * 1.2)) - 0.01 * (i % 5);
            for (int a = 0; a < RF_ATTRIBUTES; a++) out->right[a] = i % 2;
        }
    }
    memset(m->pictures, 90, (size_t)SHOWN * POINTS * RF_SIDE * RF_SIDE * 3);
}

static char *slurp(const char *path)
{
    static char text[1 << 17];
    FILE       *f = fopen(path, "rb");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

Test(measure, reports_say_what_was_measured)
{
    rf_error       err = {0};
    rf_measurement m;
    rf_asked       asked = {0};
    rf_pixels      sheet = {0};
    make_up(&m, &asked);
    cr_assert_eq(rf_curve_json(fixture_path("c.json"), &m, "a \"command\"", &err), RF_OK, "%s",
                 err.message);
    json_t *all = json_loads(slurp(fixture_path("c.json")), 0, NULL);
    cr_assert_not_null(all);
    json_t *first = json_array_get(json_object_get(all, "points"), 0), *content = NULL;
    cr_expect_eq(json_array_size(json_object_get(all, "points")), POINTS);
    cr_expect_str_eq(json_string_value(json_object_get(all, "command")), "a \"command\"");
    content = json_object_get(json_object_get(first, "content"), "mean");
    cr_expect_float_eq(json_real_value(content), 0.6 + 0.4 * 0.4, 1e-4);
    content = json_object_get(json_object_get(first, "content_beyond_base_alone"), "mean");
    cr_expect_float_eq(json_real_value(content), 0.6 + 0.4 * 0.4 - 1, 1e-4);
    json_decref(all);

    cr_assert_eq(rf_curve_svg(fixture_path("c.svg"), &m, &err), RF_OK, "%s", err.message);
    const char *svg = slurp(fixture_path("c.svg"));
    cr_expect_not_null(strstr(svg, "prefers-color-scheme:dark"));
    cr_expect_not_null(strstr(svg, "content 0.760 ("));
    cr_expect_not_null(strstr(svg, "</svg>"));

    cr_assert_eq(rf_contact_sheet(fixture_path("c.png"), &m, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_png_read(&sheet, fixture_path("c.png"), &err), RF_OK, "%s", err.message);
    cr_expect_geq(sheet.width, POINTS * RF_SIDE);
    cr_expect_geq(sheet.height, SHOWN * RF_SIDE);
    cr_expect_eq(sheet.rgb[((size_t)sheet.width * (size_t)sheet.height - 1) * 3], 255);
    free(sheet.rgb);
    m.shown = 0;
    cr_expect_eq(rf_contact_sheet(fixture_path("d.png"), &m, &err), RF_E_ARG);
    cr_expect_eq(rf_curve_svg(fixture_path("none/c.svg"), &m, &err), RF_E_CREATE);
    rf_measurement_release(&m);
}

/* ---- plans -------------------------------------------------------------------------------- */

/* 60 prompts of the 275, a multiple of what there is of most: no value is asked for twice as often
 * as another of its aspect; all 275 come, once each. */
Test(measure, few_prompts_ask_for_everything)
{
    rf_error  err = {0};
    rf_asked *asked = NULL;
    size_t    count = 0, order[300];
    int       kinds[RF_KINDS] = {0}, colours[RF_COLOURS] = {0}, places[RF_PLACES + 1] = {0};
    char      taken[300] = {0};
    cr_assert_eq(rf_asked_read(&asked, &count, "docs/demo/prompts.txt", &err), RF_OK, "%s",
                 err.message);
    cr_assert_leq(count, 300u);
    cr_assert_eq(rf_prompts_order(order, asked, count, &err), RF_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_lt(order[i], count);
        cr_expect_not(taken[order[i]]);
        taken[order[i]] = 1;
    }
    for (int i = 0; i < 60; i++) {
        const rf_scene *s = &asked[order[i]].scene;
        kinds[s->kind]++, colours[s->colour]++, places[s->place]++;
    }
    for (int i = 0; i < RF_KINDS; i++) cr_expect(abs(kinds[i] - 12) <= 1, "%d", kinds[i]);
    for (int i = 0; i < RF_COLOURS; i++) cr_expect(abs(colours[i] - 10) <= 1, "%d", colours[i]);
    for (int i = 0; i <= RF_PLACES; i++) cr_expect(abs(places[i] - 15) <= 1, "%d", places[i]);
    rf_asked_free(asked, count);
}

/* The plan in docs/demo is one of these, and sweeps understand it. */
Test(measure, plans_are_plans_of_sweeps)
{
    rf_error   err = {0};
    rf_trouble trouble = {0};
    rf_axis    committed[RF_AXES], printed[RF_AXES];
    rf_asked  *asked = NULL;
    size_t     count = 0;
    FILE      *file = fopen(fixture_path("plan.json"), "w");
    cr_assert_not_null(file);
    cr_assert_eq(rf_asked_read(&asked, &count, "docs/demo/prompts.txt", &err), RF_OK);
    cr_assert_eq(rf_axes_from_json(committed, "docs/demo/sweep.json", &trouble), RF_OK, "%s",
                 trouble.error.message);
    cr_assert_eq(rf_prompt_plan_print(file, asked, count, (size_t)committed[RF_AXIS_Y].count,
                                      "0-1 [11]", "1-2", &err),
                 RF_OK);
    fclose(file);
    cr_assert_eq(rf_axes_from_json(printed, fixture_path("plan.json"), &trouble), RF_OK, "%s",
                 trouble.error.message);
    for (int a = 0; a < RF_AXES; a++) {
        cr_assert_eq(committed[a].count, printed[a].count);
        cr_expect_eq(committed[a].kind, printed[a].kind);
        for (int i = 0; i < printed[a].count; i++)
            cr_expect_str_eq(committed[a].value[i].text, printed[a].value[i].text);
        rf_axis_release(&committed[a]);
        rf_axis_release(&printed[a]);
    }
    rf_asked_free(asked, count);
}
