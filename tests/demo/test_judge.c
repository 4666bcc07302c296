/* The judge on drawings whose content is known, and on what is no drawing. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/files/fixture.h"
#include "tools/judge/accuracy.h"

TestSuite(judge, .timeout = 60, .fini = fixture_cleanup);

static const char        WEIGHTS[] = "tools/judge/judge.safetensors";
static const char        LIST[] = "tests/demo/drawings.txt";
static const char *const SHEETS[2] = {"tests/demo/drawings-a.png", "tests/demo/drawings-b.png"};

static rf_judge *open_judge(void)
{
    rf_judge *judge = NULL;
    rf_error  err = {0};
    cr_assert_eq(rf_judge_open(&judge, WEIGHTS, &err), RF_OK, "%s", err.message);
    return judge;
}

Test(judge, knows_drawings)
{
    rf_error    err = {0};
    rf_asked   *list = NULL;
    size_t      count = 0;
    rf_pixels   sheet = {0};
    rf_accuracy a;
    rf_judge   *judge = open_judge();
    cr_assert_eq(rf_asked_read(&list, &count, LIST, &err), RF_OK, "%s", err.message);
    cr_expect_eq(count, 32);
    for (int style = 0; style < 2; style++) {
        cr_assert_eq(rf_png_read(&sheet, SHEETS[style], &err), RF_OK, "%s", err.message);
        cr_assert_eq(rf_accuracy_measure(&a, judge, list, count, &sheet, style, &err), RF_OK);
        for (int i = 0; i < RF_ATTRIBUTES; i++)
            cr_expect_geq(100 * a.right[i], 98 * a.told[i], "style %c: %s: %d of %d", "ab"[style],
                          rf_attributes[i], a.right[i], a.told[i]);
        cr_expect_eq(a.style_right, (int)count);
        cr_expect_leq(style ? 1 - a.style_mean : a.style_mean, 0.05);
        free(sheet.rgb);
    }
    rf_asked_free(list, count);
    rf_judge_close(judge);
}

/* Half of one style and half of the other is about half way, on average. */
Test(judge, grades_what_is_between)
{
    rf_error   err = {0};
    rf_asked  *list = NULL;
    size_t     count = 0;
    uint8_t    rgb[RF_SIDE * RF_SIDE * 3];
    rf_pixels  sheet = {0};
    rf_reading reading;
    rf_judge  *judge = open_judge();
    int        scene = -1, darkened = 0;
    double     pure = 0, soft = 0;
    cr_assert_eq(rf_asked_read(&list, &count, LIST, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_png_read(&sheet, SHEETS[0], &err), RF_OK, "%s", err.message);
    for (scene = 0; scene < (int)count; scene++) {
        rf_sheet_cell(rgb, &sheet, scene);
        rf_judge_read(judge, rgb, &reading);
        pure += reading.style;
        /* As style "b": lighter by a pastel, and without the yellow. */
        for (int i = 0; i < RF_SIDE * RF_SIDE; i++) {
            rgb[3 * i + 2] = (uint8_t)(rgb[3 * i + 2] / 0.74 < 255 ? rgb[3 * i + 2] / 0.74 : 255);
            for (int c = 0; c < 3; c++) rgb[3 * i + c] = (uint8_t)(rgb[3 * i + c] * 0.72 + 71);
        }
        rf_judge_read(judge, rgb, &reading);
        soft += reading.style;
        darkened += reading.style > 0.2;
    }
    cr_expect_geq(soft / (double)count, pure / (double)count + 0.3);
    cr_expect_geq(darkened, (int)count / 2);
    free(sheet.rgb);
    rf_asked_free(list, count);
    rf_judge_close(judge);
}

Test(judge, sees_nobody_in_grey)
{
    uint8_t    rgb[RF_SIDE * RF_SIDE * 3];
    rf_reading reading;
    int        right[RF_ATTRIBUTES];
    rf_scene   scene = {.place = RF_TWO};
    rf_judge  *judge = open_judge();
    memset(rgb, 128, sizeof rgb);
    rf_judge_read(judge, rgb, &reading);
    rf_scene_grade(right, &scene, &reading);
    cr_expect_eq(right[RF_CREATURE], 0);
    cr_expect_eq(right[RF_COUNT], 0);
    rf_judge_close(judge);
}

Test(judge, grades_by_its_rules)
{
    int        right[RF_ATTRIBUTES];
    rf_reading r = {0};
    rf_scene   cat = {.kind = 0, .colour = 3, .place = 2, .background = 1};
    r.place[2].there = 0.9, r.place[2].colour.what = 3;
    r.background.what = 1;
    rf_scene_grade(right, &cat, &r);
    for (int i = 0; i < RF_ATTRIBUTES; i++) cr_expect_eq(right[i], 1, "%s", rf_attributes[i]);
    cr_expect_float_eq(rf_content_score(right), 1, 1e-12);
    r.place[0] = r.place[2], r.place[0].there = 0.6, r.place[0].kind.what = 1; /* a rabbit too */
    rf_scene_grade(right, &cat, &r);
    cr_expect_eq(right[RF_CREATURE], 0);
    cr_expect_eq(right[RF_COLOUR], 1);
    cr_expect_eq(right[RF_COUNT], 0);
    cr_expect_eq(right[RF_PLACE], 1);
    cr_expect_float_eq(rf_content_score(right), 0.6, 1e-12);
    cat.place = RF_TWO;
    rf_scene_grade(right, &cat, &r);
    cr_expect_eq(right[RF_PLACE], -1);
    cr_expect_eq(right[RF_COUNT], 1);
    cr_expect_float_eq(rf_content_score(right), 0.75, 1e-12);
}

Test(judge, refuses_other_files)
{
    rf_judge *judge = NULL;
    rf_error  err = {0};
    cr_expect_eq(rf_judge_open(&judge, "tests/golden/networks.safetensors", &err), RF_E_MODEL);
    cr_expect_null(judge);
    cr_expect_eq(rf_judge_open(&judge, "tests/golden/none.safetensors", &err), RF_E_NOT_FOUND);
}

static rf_status read_list(const char *text)
{
    rf_error    err = {0};
    rf_asked   *list = NULL;
    size_t      count = 0;
    const char *path = fixture_path("list.txt");
    fixture_raw(path, text, strlen(text));
    const rf_status st = rf_asked_read(&list, &count, path, &err);
    if (st == RF_OK) cr_expect_eq(count, 2);
    rf_asked_free(list, count);
    return st;
}

Test(judge, reads_lists)
{
    cr_expect_eq(read_list("# two\ncat red none two sea\tcat, duo\nbird blue hat left room\tx\n"),
                 RF_OK);
    cr_expect_eq(read_list("cat red none sea\tcat\n"), RF_E_FORMAT);
    cr_expect_eq(read_list("cat pink none two sea\tcat\n"), RF_E_FORMAT);
    cr_expect_eq(read_list("cat red none two sea\n"), RF_E_FORMAT);
    cr_expect_eq(read_list("# nothing\n"), RF_E_FORMAT);
}
