/* A sweep's folder as the measurement reads it.  The folder is made up, of drawings whose content
 * is known: what the judge must say of them is known too. */
#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "engine/refinery.h"
#include "engine/relay/job_json.h"
#include "tests/files/fixture.h"
#include "tools/judge/accuracy.h"
#include "tools/measure/figures.h"

TestSuite(measured_sweep, .timeout = 60, .fini = fixture_cleanup);

enum { PICTURE = RF_SIDE * RF_SIDE * 3, LINE_BYTES = 2000 };

#define HASH "e3c47aedb06418c6c331443cd89f2b3b3b34b7ed2102a3d4c4408a8d35aad6b0"

static rf_asked *asked; /* the drawings' scenes; 0 is of two, 3 of one, without accessories */
static size_t    asked_count;
static rf_pixels sheet[2]; /* the drawings in style "a" and "b" */
static char      folder[PATH_MAX];

static void set_up(void)
{
    rf_error err = {0};
    char     cells[PATH_MAX + 8];
    cr_assert_eq(rf_asked_read(&asked, &asked_count, "tests/demo/drawings.txt", &err), RF_OK);
    cr_assert_eq(rf_png_read(&sheet[0], "tests/demo/drawings-a.png", &err), RF_OK);
    cr_assert_eq(rf_png_read(&sheet[1], "tests/demo/drawings-b.png", &err), RF_OK);
    snprintf(folder, sizeof folder, "%s", fixture_path("sweep"));
    snprintf(cells, sizeof cells, "%s/cells", folder);
    cr_assert_eq(mkdir(folder, 0777), 0);
    cr_assert_eq(mkdir(cells, 0777), 0);
}

static void tear_down(void)
{
    rf_asked_free(asked, asked_count);
    for (int i = 0; i < 2; i++) free(sheet[i].rgb);
}

static void drawing(uint8_t rgb[PICTURE], int style, int index)
{
    rf_sheet_cell(rgb, &sheet[style], index);
}

/* ---- a folder ----------------------------------------------------------------------------- */

/* Cell `name`: drawing `index` in style `style`, as if made with a switch at `point`. */
static void write_picture(const char *name, double point, int style, int index, char sha256[65])
{
    static const rf_file_ref FILES[2][2] = {
        {{.name = "b", .path = "b.safetensors"}, {.name = "r", .path = "r", .sha256 = HASH}},
        {{.name = "b", .path = "b.safetensors", .sha256 = HASH}, {.name = "r", .path = "r"}}};
    const rf_stage stages[2] = {{.until = point, .prompt = "p", .negative = "n", .cfg_scale = 6},
                                {.until = 1, .cfg_scale = -1}};
    const rf_job_files files = {.stage = FILES[point > 0], .dtype = "bf16"};
    rf_error           err = {0};
    char               path[PATH_MAX + 32], *json = NULL;
    uint8_t            rgb[PICTURE];
    rf_job             job = rf_job_default();
    job.stages = stages, job.stage_count = 2;
    drawing(rgb, style, index);
    cr_assert_eq(rf_job_json(&json, &job, 0, &files, &err), RF_OK, "%s", err.message);
    const rf_picture_text text = {"refinery", json};
    snprintf(path, sizeof path, "%s/cells/%s.png", folder, name);
    cr_assert_eq(rf_png_write(path, rgb, RF_SIDE, RF_SIDE, &text, 1, 1, &err), RF_OK);
    cr_assert_eq(rf_file_sha256(sha256, path, NULL, NULL, &err), RF_OK);
    free(json);
}

/* Writes the picture, and its line as a sweep would. */
static void make_cell(char line[LINE_BYTES], const char *name, double point, int prompt, int seed,
                      int style, int index)
{
    char sha256[RF_SHA256_HEX];
    write_picture(name, point, style, index, sha256);
    snprintf(line, LINE_BYTES,
             "{\"schema\":1,\"name\":\"%s\",\"x\":{\"axis\":\"Refiner switch at\",\"value\":%g},"
             "\"y\":{\"axis\":\"Prompt S/R\",\"value\":\"%s\"},\"z\":{\"axis\":\"Seed\",\"value\":"
             "%d},\"state\":\"done\",\"sha256\":\"%s\",\"job\":{\"stages\":[{\"until\":%g},{}],"
             "\"switch_by\":\"steps\"}}\n",
             name, point, asked[prompt].prompt, seed, sha256, point);
}

static void write_lines(const char *text)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    fixture_raw(path, text, strlen(text));
}

static rf_status measure(rf_measurement *m, rf_error *err)
{
    const rf_measure_options o = {.folder = folder,
                                  .judge = "tools/judge/judge.safetensors",
                                  .asked = asked,
                                  .asked_count = asked_count,
                                  .shown = 1};
    return rf_measure(m, &o, err);
}

/* ---- what is read ------------------------------------------------------------------------- */

/* Two prompts, two points, two seeds, written with the later point first.  All show what was asked,
 * but one of two seeds of the second prompt at 0, which shows the first prompt's scene. */
Test(measured_sweep, the_judge_reads_its_pictures, .init = set_up, .fini = tear_down)
{
    static char    lines[8 * LINE_BYTES];
    rf_measurement m;
    rf_error       err = {0};
    uint8_t        rgb[PICTURE];
    char          *at = lines;
    for (int seed = 1; seed <= 2; seed++)
        for (int p = 0; p < 2; p++)
            for (int x = 0; x < 2; x++) {
                char      name[24];
                const int prompt = p ? 3 : 0, wrong = x == 1 && p == 1 && seed == 2;
                snprintf(name, sizeof name, "x%02d-y%02d-z%02d", x, p, seed);
                make_cell(at, name, x ? 0 : 1, prompt, seed, x, wrong ? 0 : prompt);
                at += strlen(at);
            }
    write_lines(lines);
    cr_assert_eq(measure(&m, &err), RF_OK, "%s", err.message);
    cr_expect(m.points == 2 && m.prompts == 2 && m.seeds == 2 && m.shown == 1);
    cr_expect_float_eq(m.point[0], 0, 0);
    cr_expect_float_eq(m.point[1], 1, 0);
    cr_expect_eq(m.asked[0], &asked[0]);
    cr_expect_eq(m.asked[1], &asked[3]);
    for (int p = 0; p < 2; p++) {
        cr_expect_float_eq(m.outcome[2 + p].content, 1, 1e-12);
        cr_expect_float_eq(m.outcome[2 + p].exact, 1, 1e-12);
        cr_expect_leq(m.outcome[2 + p].style, 0.1);
        cr_expect_geq(m.outcome[p].style, 0.9);
        cr_expect_eq(isnan(m.outcome[p].right[RF_PLACE]), p == 0); /* of two, none is asked */
        cr_expect(isnan(m.outcome[p].right[RF_ACCESSORY]));        /* nor what is not named */
    }
    cr_expect_float_eq(m.outcome[0].content, 1, 1e-12);
    cr_expect_float_eq(m.outcome[1].exact, 0.5, 1e-12);
    cr_expect_float_eq(m.outcome[1].right[RF_COUNT], 0.5, 1e-12);
    cr_expect_lt(m.outcome[1].content, 0.9);
    for (int x = 0; x < 2; x++) {
        drawing(rgb, !x, 0);
        cr_expect_eq(memcmp(rgb, m.pictures + (size_t)x * PICTURE, PICTURE), 0);
    }
    cr_expect_str_eq(m.name[0], "b");
    cr_expect_str_eq(m.name[1], "r");
    cr_expect_str_eq(m.sha256[0], HASH);
    cr_expect_str_eq(m.sha256[1], HASH);
    cr_expect_str_eq(m.sampler, "Euler a");
    cr_expect_str_eq(m.dtype, "bf16");
    cr_expect(m.steps == 30 && m.cfg_scale > 5.9 && m.cfg_scale < 6.1);
    rf_measurement_release(&m);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void expect_refused(const char *lines, rf_status status, const char *said)
{
    rf_measurement m;
    rf_error       err = {0};
    write_lines(lines);
    const rf_status st = measure(&m, &err);
    cr_expect_eq(st, status, "%s: %s", said, rf_status_name(st));
    cr_expect(strstr(err.message, said), "no '%s' in: %s", said, err.message);
    rf_measurement_release(&m);
}

/* The line with `from` in it replaced. */
static const char *with(const char *line, const char *from, const char *to)
{
    static char out[2 * LINE_BYTES];
    const char *at = strstr(line, from);
    cr_assert_not_null(at, "%s", from);
    snprintf(out, sizeof out, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
    return out;
}

Test(measured_sweep, what_cannot_be_judged_is_refused, .init = set_up, .fini = tear_down)
{
    static const struct {
        const char *from, *to;
        rf_status   status;
        const char *said;
    } CASES[] = {
        {"\"done\"", "\"open\"", RF_E_ARG, "x00-y00-z00 is open"},
        {"\"done\"", "\"failed\"", RF_E_ARG, "x00-y00-z00 is failed"},
        {"\"done\"", "7", RF_E_FORMAT, ":1: \"state\""},
        {"x00-y00-z00", "../cells/x00", RF_E_FORMAT, ":1: \"name\""},
        {"x00-y00-z00", "", RF_E_FORMAT, ":1: \"name\""},
        {"x00-y00-z00", "x00-y00-z0000000000000000", RF_E_FORMAT, ":1: \"name\""},
        {"x00-y00-z00", "x01-y00-z00", RF_E_NOT_FOUND, "x01-y00-z00.png"},
        {"\"sha256\":\"", "\"sha256\":\"0", RF_E_FORMAT, ":1: \"sha256\""},
        {"\"Seed\"", "\"Steps\"", RF_E_ARG, "the axis \"Steps\""},
        {"\"Seed\"", "\"Prompt S/R\"", RF_E_ARG, "one Prompt S/R"},
        {"\"Seed\"", "[]", RF_E_FORMAT, "an axis has no name"},
        {"\"Prompt S/R\"", "\"Seed\"", RF_E_ARG, "no axis Prompt S/R"},
        {"bird, meadow", "dog, meadow", RF_E_ARG, "\"dog, meadow"},
        {"\"steps\"", "\"noise\"", RF_E_ARG, "--switch-by steps"},
        {"\"steps\"", "null", RF_E_FORMAT, "\"job\""},
        {"{\"until\":0},{}", "{}", RF_E_ARG, "a share of the steps"},
        {"{\"until\":0}", "{\"until\":1.5}", RF_E_ARG, "a share of the steps"},
        {"{\"until\":0},{}", "7", RF_E_ARG, "a share of the steps"},
        {"[{\"until\":0},{}]", "7", RF_E_FORMAT, "\"job\""},
        {"}}\n", "}", RF_E_FORMAT, ":1: this is not JSON"},
        {"}}\n", "}}\n\n [] \n", RF_E_FORMAT, ":2: \"name\""},
        {"}}\n", "}}\n{\"name\":1,\"name\":2}", RF_E_FORMAT, ":2: this is not JSON"},
    };
    char line[LINE_BYTES];
    make_cell(line, "x00-y00-z00", 0, 0, 1, 1, 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        expect_refused(with(line, CASES[i].from, CASES[i].to), CASES[i].status, CASES[i].said);
    expect_refused("", RF_E_FORMAT, "no cells");

    char           path[PATH_MAX + 16];
    rf_error       err = {0};
    rf_measurement m;
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    cr_assert(unlink(path) == 0 && mkfifo(path, 0666) == 0);
    cr_expect_eq(measure(&m, &err), RF_E_IO, "a pipe would be waited for");
    rf_measurement_release(&m);
}

Test(measured_sweep, pictures_are_those_of_the_sweep, .init = set_up, .fini = tear_down)
{
    static char lines[3 * LINE_BYTES];
    char        line[LINE_BYTES], path[PATH_MAX + 32], sha256[RF_SHA256_HEX];
    uint8_t     small[64 * 64 * 3] = {0};
    rf_error    err = {0};
    snprintf(path, sizeof path, "%s/cells/x00-y00-z00.png", folder);
    make_cell(line, "x00-y00-z00", 0, 0, 1, 1, 0);
    write_picture("x00-y00-z00", 0, 0, 0, sha256); /* the same scene in the other style */
    expect_refused(line, RF_E_FORMAT, "is not the picture that the sweep made");

    const char *told = strstr(line, "\"sha256\":\"") + 10;
    cr_assert_eq(rf_png_write(path, small, 64, 64, NULL, 0, 1, &err), RF_OK);
    cr_assert_eq(rf_file_sha256(sha256, path, NULL, NULL, &err), RF_OK);
    memcpy(line + (told - line), sha256, 64);
    expect_refused(line, RF_E_ARG, "64x64 pixels");

    uint8_t rgb[PICTURE];
    drawing(rgb, 0, 0);
    cr_assert_eq(rf_png_write(path, rgb, RF_SIDE, RF_SIDE, NULL, 0, 1, &err), RF_OK);
    cr_assert_eq(rf_file_sha256(sha256, path, NULL, NULL, &err), RF_OK);
    memcpy(line + (told - line), sha256, 64);
    expect_refused(line, RF_E_FORMAT, "does not tell how it was made");

    make_cell(line, "x00-y00-z00", 0, 0, 1, 1, 0);
    snprintf(lines, sizeof lines, "%s", line);
    make_cell(line, "x01-y00-z00", 0.5, 0, 1, 1, 0);
    strcat(lines, line);
    make_cell(line, "x00-y01-z00", 0, 3, 1, 1, 3);
    strcat(lines, line);
    expect_refused(lines, RF_E_FORMAT, "cells are missing, or there twice");
}
