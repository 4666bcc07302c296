/* The measurement: its figures against known ones, its reports, and a run with random experts. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/synth.h"
#include "tests/files/fixture.h"
#include "tools/measure/figures.h"
#include "tools/measure/reports.h"
#include "tools/pictures/read_png.h"

TestSuite(measure, .timeout = 120, .fini = fixture_cleanup);

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

static void make_up(rf_measurement *m, rf_measure_options *o, rf_asked *asked)
{
    *o = (rf_measure_options){
        .asked = asked, .prompts = PROMPTS, .points = POINTS, .seeds = 1, .shown = SHOWN};
    *m = (rf_measurement){.recipe = "r", .sampler = "s", .steps = 30, .cfg_scale = 6};
    m->outcome = calloc((size_t)PROMPTS * POINTS, sizeof *m->outcome);
    m->pictures = calloc((size_t)SHOWN * POINTS, (size_t)RF_SIDE * RF_SIDE * 3);
    for (int i = 0; i < PROMPTS; i++) asked[i].prompt = (char *)"cat, red body, left side, solo";
    for (int p = 0; p < POINTS; p++) {
        o->point[p] = p / 10.0;
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
    rf_error           err = {0};
    rf_measurement     m;
    rf_measure_options o;
    rf_asked           asked[PROMPTS] = {0};
    rf_pixels          sheet = {0};
    make_up(&m, &o, asked);
    const rf_report_input in = {.m = &m, .o = &o, .command = "a \"command\""};
    cr_assert_eq(rf_curve_json(fixture_path("c.json"), &in, &err), RF_OK, "%s", err.message);
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

    cr_assert_eq(rf_curve_svg(fixture_path("c.svg"), &in, &err), RF_OK, "%s", err.message);
    const char *svg = slurp(fixture_path("c.svg"));
    cr_expect_not_null(strstr(svg, "prefers-color-scheme:dark"));
    cr_expect_not_null(strstr(svg, "content 0.760 ("));
    cr_expect_not_null(strstr(svg, "</svg>"));

    cr_assert_eq(rf_contact_sheet(fixture_path("c.png"), &in, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_png_read(&sheet, fixture_path("c.png"), &err), RF_OK, "%s", err.message);
    cr_expect_geq(sheet.width, POINTS * RF_SIDE);
    cr_expect_geq(sheet.height, SHOWN * RF_SIDE);
    cr_expect_eq(sheet.rgb[((size_t)sheet.width * (size_t)sheet.height - 1) * 3], 255);
    free(sheet.rgb);
    o.shown = 0;
    cr_expect_eq(rf_contact_sheet(fixture_path("d.png"), &in, &err), RF_E_ARG);
    cr_expect_eq(rf_curve_svg(fixture_path("none/c.svg"), &in, &err), RF_E_CREATE);
    rf_measurement_release(&m);
}

/* ---- a run -------------------------------------------------------------------------------- */

static int count_jobs(void *user, size_t done, size_t total)
{
    *(size_t *)user = done;
    return done > total;
}

Test(measure, runs_and_repeats_itself)
{
    rf_error   err = {0};
    char       base[256], refiner[256];
    rf_asked   asked[2] = {{.scene = {.place = 0}, .prompt = (char *)"cat, solo"},
                           {.scene = {.place = RF_TWO, .accessory = 1}, .prompt = (char *)"hat"}};
    size_t     jobs = 0;
    rf_outcome first[4];
    snprintf(base, sizeof base, "%s", fixture_path("base.safetensors"));
    snprintf(refiner, sizeof refiner, "%s", fixture_path("refiner.safetensors"));
    for (int i = 0; i < 2; i++) {
        const rf_synth_options synth = {.arch = "tiny", .seed = 1 + i, .type = RF_FILE_F16};
        cr_assert_eq(rf_synth_write(i ? refiner : base, &synth, &err), RF_OK, "%s", err.message);
    }
    const rf_measure_options o = {.base = base,
                                  .refiner = refiner,
                                  .judge = "tools/judge/judge.safetensors",
                                  .asked = asked,
                                  .prompts = 2,
                                  .point = {0, 0.5},
                                  .points = 2,
                                  .seeds = 2,
                                  .steps = 3,
                                  .shown = 1,
                                  .threads = 2,
                                  .progress = count_jobs,
                                  .user = &jobs};
    for (int again = 0; again < 2; again++) {
        rf_measurement m;
        cr_assert_eq(rf_measure(&m, &o, &err), RF_OK, "%s", err.message);
        cr_expect_eq(jobs, 4);
        cr_expect_eq(strlen(m.sha256[1]), 64);
        cr_expect_neq(
            memcmp(m.pictures, m.pictures + RF_SIDE * RF_SIDE * 3, (size_t)RF_SIDE * RF_SIDE * 3),
            0);
        for (int i = 0; i < 4; i++) {
            cr_expect(m.outcome[i].style >= 0 && m.outcome[i].style <= 1);
            cr_expect_eq(isnan(m.outcome[i].right[RF_PLACE]), i % 2); /* of two, none is asked */
            cr_expect_eq(isnan(m.outcome[i].right[RF_ACCESSORY]), i % 2 == 0);
        }
        for (int i = 0; again && i < 4; i++) {
            cr_expect_eq(first[i].content, m.outcome[i].content);
            cr_expect_eq(first[i].style, m.outcome[i].style);
        }
        memcpy(first, m.outcome, sizeof first);
        rf_measurement_release(&m);
    }
}
