/* report.html and results.jsonl: complete, readable by machines, and safe whatever they tell of. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/files/fixture.h"
#include "tests/tools/story.h"
#include "tools/pictures/read_png.h"
#include "tools/sweep/cell_facts.h"
#include "tools/text_input.h"

TestSuite(sweep_report, .timeout = 60, .fini = fixture_cleanup);

static char *slurp(const char *path)
{
    size_t room = 1 << 16, bytes = 0;
    char  *text = malloc(room);
    FILE  *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    for (size_t n; (n = fread(text + bytes, 1, room - bytes - 1, f)) > 0;) {
        bytes += n;
        if (room - bytes < 2) text = realloc(text, room *= 2);
    }
    fclose(f);
    text[bytes] = '\0';
    cr_assert_eq(strlen(text), bytes, "%s holds a NUL", path);
    return text;
}

static int occurrences(const char *text, const char *of)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, of)); at += strlen(of)) count++;
    return count;
}

/* Well-formed UTF-8 without control characters. */
static int is_clean(const char *text)
{
    const size_t all = strlen(text);
    for (size_t i = 0, n; i < all; i += n) {
        n = rf_utf8_length(text + i, all - i);
        if (n == 0 || ((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7F)
            return 0;
    }
    return 1;
}

/* The JSON inside the page. */
static json_t *page_data(const char *page)
{
    static const char HEAD[] = "<script type=\"application/json\" id=\"data\">";
    const char       *from = strstr(page, HEAD);
    cr_assert_not_null(from);
    from += sizeof HEAD - 1;
    const char  *to = strstr(from, "</script>");
    json_error_t error;
    json_t      *data = json_loadb(from, (size_t)(to - from), 0, &error);
    cr_assert_not_null(data, "%s", error.text);
    return data;
}

static const char *fact(json_t *pairs, const char *name)
{
    size_t  i;
    json_t *pair;
    json_array_foreach(pairs, i,
                       pair) if (strcmp(json_string_value(json_array_get(pair, 0)), name) ==
                                 0) return json_string_value(json_array_get(pair, 1));
    return NULL;
}

static char *make_page(const story *s)
{
    rf_error err = {0};
    cr_assert_eq(rf_report_html_write(&s->sweep, &err), RF_OK, "%s", err.message);
    return slurp(fixture_path("report.html"));
}

static int digit(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char       *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

/* The picture of the first data URI at or behind `page`; returns what follows. */
static const char *read_picture(rf_pixels *out, const char *page)
{
    static const char HEAD[] = "src=\"data:image/png;base64,";
    static uint8_t    png[1 << 18];
    size_t            bytes = 0;
    unsigned          bits = 0, held = 0;
    const char       *at = strstr(page, HEAD);
    cr_assert_not_null(at);
    for (at += sizeof HEAD - 1; digit(*at) >= 0; at++) {
        bits = bits << 6 | (unsigned)digit(*at), held += 6;
        if (held >= 8) png[bytes++] = (uint8_t)(bits >> (held -= 8));
    }
    fixture_raw(fixture_path("thumb.png"), png, bytes);
    cr_assert_eq(rf_png_read(out, fixture_path("thumb.png"), NULL), RF_OK);
    return at;
}

Test(sweep_report, the_page_has_every_cell)
{
    static const char *const REFINERS[] = {"animagine", "noobai"};
    story                   *s = calloc(1, sizeof *s);
    story_numbers(s, RF_AXIS_X, RF_VARY_SEED, "Seed", 3);
    story_numbers(s, RF_AXIS_Y, RF_VARY_SWITCH, "Refiner switch at", 4);
    story_texts(s, RF_AXIS_Z, RF_VARY_REFINER, "Refiner checkpoint", REFINERS, 2);
    story_make(s, fixture_folder(), 400, 200);
    s->record[5] = (rf_cell_record){.state = RF_CELL_FAILED, .error = "step 12 went NaN"};
    s->record[7] = (rf_cell_record){.state = RF_CELL_OPEN};
    char *page = make_page(s);
    cr_expect_eq(occurrences(page, " data-cell=\""), 24);
    cr_expect_eq(occurrences(page, "<img width=\"256\" height=\"128\" alt=\"Seed "), 22);
    cr_expect_eq(occurrences(page, "href=\"cells/x00-y01-z01.png\""), 1);
    cr_expect_eq(occurrences(page, "<section aria-labelledby=\"z"), 2);
    cr_expect_eq(occurrences(page, "Refiner checkpoint: noobai</h2>"), 1);
    cr_expect_eq(occurrences(page, ">failed: step 12 went NaN</div>"), 1);
    cr_expect_eq(occurrences(page, ">not made yet</div>"), 1);
    cr_expect_eq(occurrences(page, "<b>162</b><span>UNet calls planned instead of 270</span>"), 1);
    cr_expect_eq(occurrences(page, "<b>1.67x</b>"), 1);
    cr_expect_eq(occurrences(page, "<b>22 of 24</b>"), 1);
    cr_expect_eq(occurrences(page, "denoise 40.0 s"), 1);
    cr_expect_eq(occurrences(page, "{{"), 0);
    rf_pixels   picture;
    const char *at = page;
    for (int i = 0; i < 24; i++) {
        uint8_t want[3];
        if (i == 5 || i == 7) continue;
        at = read_picture(&picture, at);
        story_colour(s, i, want);
        cr_expect(picture.width == 256 && picture.height == 128);
        cr_expect_eq(memcmp(picture.rgb, want, 3), 0, "cell %d", i);
        free(picture.rgb);
    }
    json_t *data = page_data(page), *cells = json_object_get(data, "cells");
    cr_expect_eq(json_array_size(cells), 24);
    cr_expect_eq(json_integer_value(json_object_get(data, "slide")), RF_AXIS_Y);
    json_t *facts = json_object_get(json_array_get(cells, 4), "facts");
    cr_expect_str_eq(fact(facts, "Seed"), "2");
    cr_expect_str_eq(fact(facts, "Refiner switch at"), "0.1 (by steps)");
    cr_expect_str_eq(fact(json_object_get(data, "common"), "Refiner prompt"), "1girl, masterpiece");
    cr_expect_null(fact(facts, "Refiner prompt"));
    cr_expect(json_is_null(json_object_get(json_array_get(cells, 4), "why")));
    cr_expect(json_is_null(json_object_get(json_array_get(cells, 7), "seconds")));
    json_decref(data);
    /* Nothing is loaded from elsewhere. */
    cr_expect_eq(
        occurrences(page, "http:") + occurrences(page, "https:") + occurrences(page, "@import"), 0);
    cr_expect_eq(occurrences(page, " src=\""), occurrences(page, " src=\"data:image/png;base64,"));
    cr_expect_eq(occurrences(page, "<link"), 0);
    char *again = make_page(s);
    cr_expect_str_eq(again, page);
    free(again);
    free(page);
    free(s);
}

static const char HOSTILE[] = "</script><script>alert('1')</script><!--\"&amp;\\u003c\x01\x1B\x7F"
                              "\n\xFF\xC2\x85 {{data}} ]]> \xE6\xA1\x9C javascript:0";

Test(sweep_report, whatever_it_tells_it_is_text)
{
    story                   *s = calloc(1, sizeof *s);
    const char *const        texts[] = {HOSTILE, "\"><img src=x onerror=alert(1)>"};
    static const char *const FILES[] = {HOSTILE, HOSTILE};
    story_texts(s, RF_AXIS_X, RF_VARY_PROMPT, HOSTILE, texts, 2);
    story_texts(s, RF_AXIS_Y, RF_VARY_BASE, HOSTILE, texts, 2);
    story_texts(s, RF_AXIS_Z, RF_VARY_REFINER, HOSTILE, texts, 2);
    story_make(s, fixture_folder(), 64, 64);
    s->sweep.title = s->sweep.device = HOSTILE;
    s->cells.file = (const char **)FILES;
    s->record[1] = (rf_cell_record){.state = RF_CELL_FAILED, .error = HOSTILE};
    for (int i = 0; i < 8; i++) {
        rf_job *job = &s->cell[i].job;
        s->stage[i][0].prompt = s->stage[i][1].negative = texts[i % 2];
        job->sampler = job->schedule = job->vae = job->sigmas = job->switch_by = HOSTILE;
    }
    char *page = make_page(s);
    cr_expect(is_clean(page));
    cr_expect_eq(occurrences(page, "<script"), 2);
    cr_expect_eq(occurrences(page, "</script"), 2);
    cr_expect_eq(occurrences(page, "<!--"), 0);
    cr_expect_eq(occurrences(page, "<img src=x"), 0);
    cr_expect_eq(occurrences(page, "{{data}}"),
                 occurrences(page, " {{data}} ]]&#62;") + occurrences(page, " {{data}} ]]\\u003e"));
    cr_expect_eq(occurrences(page, " data-cell=\""), 8);
    json_t *data = page_data(page), *cells = json_object_get(data, "cells");
    char    want[256] = "", *to = want; /* as JSON can have it: bytes that are not UTF-8 replaced */
    for (const char *c = HOSTILE; *c; c++)
        to += sprintf(to, *c == '\xFF' ? "\xEF\xBF\xBD" : "%c", *c);
    cr_expect_str_eq(fact(json_object_get(json_array_get(cells, 2), "facts"), "Prompt"), want);
    cr_expect_str_eq(fact(json_object_get(data, "common"), "Schedule"), want);
    cr_expect_str_eq(json_string_value(
                         json_object_get(json_array_get(json_object_get(data, "axes"), 0), "name")),
                     want);
    json_decref(data);
    free(page);
    free(s);
}

Test(sweep_report, pages_stay_small)
{
    story *s = calloc(1, sizeof *s);
    char  *prompt = malloc(1 << 18);
    memset(prompt, '<', (1 << 18) - 1);
    prompt[(1 << 18) - 1] = '\0';
    story_numbers(s, RF_AXIS_X, RF_VARY_SEED, "Seed", 30);
    story_numbers(s, RF_AXIS_Y, RF_VARY_STEPS, "Steps", 12);
    story_make(s, fixture_folder(), 192, 48);
    s->sweep.title = prompt;
    for (int i = 0; i < s->cells.count; i++) s->stage[i][0].prompt = prompt;
    char     *page = make_page(s);
    rf_pixels picture;
    cr_expect_lt(strlen(page), 4 << 20);
    read_picture(&picture, page);
    cr_expect(picture.width == 152 && picture.height == 38, "%d", picture.width);
    free(picture.rgb);
    free(page);
    free(prompt);
    free(s);
}

Test(sweep_report, tiny_pictures_are_shown_larger)
{
    story *s = calloc(1, sizeof *s);
    story_make(s, fixture_folder(), 64, 32); /* no axis at all: one cell */
    s->sweep.title = NULL, s->sweep.device = NULL, s->sweep.wall_s = s->sweep.denoise_s = 0;
    char *page = make_page(s);
    cr_expect_eq(occurrences(page, "<img class=\"pixels\" width=\"128\" height=\"64\""), 1);
    cr_expect_eq(occurrences(page, "alt=\"x00-y00-z00\""), 1);
    cr_expect_eq(occurrences(page, "<h2 id=\"z0\">The grid</h2>"), 1);
    free(page);
    free(s);
}

Test(sweep_report, results_are_a_line_of_json_per_cell)
{
    rf_error                 err = {0};
    static const char *const TEXTS[] = {"Euler a", HOSTILE};
    story                   *s = calloc(1, sizeof *s);
    story_numbers(s, RF_AXIS_X, RF_VARY_SWITCH, "Refiner switch at", 3);
    story_texts(s, RF_AXIS_Z, RF_VARY_SAMPLER, HOSTILE, TEXTS, 2);
    story_make(s, fixture_folder(), 64, 64);
    s->cell[0].job.seed = UINT64_MAX;
    s->cell[0].job.eta = 0.1;
    s->stage[0][1].cfg_scale = 7.1f;
    s->cell[5].job.stage_count = 1, s->cell[5].file[0] = -1;
    s->record[4] = (rf_cell_record){.state = RF_CELL_FAILED, .error = HOSTILE, .seconds = 2};
    s->record[5] = (rf_cell_record){.state = RF_CELL_OPEN};
    cr_assert_eq(rf_results_write(&s->sweep, &err), RF_OK, "%s", err.message);
    char *text = slurp(fixture_path("results.jsonl")), *line = text;
    cr_expect(is_clean(text));
    cr_expect_eq(occurrences(text, "\n"), 6);
    cr_expect_not_null(strstr(text, "\"seed\":18446744073709551615,"));
    for (int i = 0; i < 6; i++) {
        char *end = strchr(line, '\n');
        *end = '\0';
        if (i == 0) /* more than jansson's integers hold */
            for (char *at = strstr(line, "18446744073709551615"), *last = at + 19; at < last; at++)
                *at = ' ';
        json_error_t error;
        json_t      *cell = json_loads(line, 0, &error), *job, *stages, *x, *z;
        cr_assert_not_null(cell, "line %d: %s", i, error.text);
        job = json_object_get(cell, "job"), stages = json_object_get(job, "stages");
        x = json_object_get(cell, "x"), z = json_object_get(cell, "z");
        cr_expect_str_eq(json_string_value(json_object_get(cell, "name")), s->name[i]);
        cr_expect_str_eq(json_string_value(json_object_get(x, "axis")), "Refiner switch at");
        cr_expect_float_eq(json_number_value(json_object_get(x, "value")), i % 3 / 10.0, 1e-12);
        cr_expect_null(json_object_get(cell, "y"));
        cr_expect_neq(strlen(json_string_value(json_object_get(z, "value"))), 0);
        cr_expect_str_eq(json_string_value(json_object_get(cell, "state")), i == 4   ? "failed"
                                                                            : i == 5 ? "open"
                                                                                     : "done");
        cr_expect_eq(json_is_null(json_object_get(cell, "file")), i > 3);
        cr_expect_eq(json_is_null(json_object_get(cell, "sha256")), i > 3);
        cr_expect_eq(json_is_null(json_object_get(cell, "error")), i != 4);
        cr_expect_eq(json_is_null(json_object_get(cell, "seconds")), i == 5);
        cr_expect_eq(json_is_null(json_object_get(job, "eta")), i != 0);
        cr_expect_eq(json_array_size(stages), i == 5 ? 1 : 2);
        json_t *first = json_array_get(stages, 0), *second = json_array_get(stages, 1);
        cr_expect_eq(json_is_null(json_object_get(first, "file")), i == 5);
        if (second) {
            cr_expect_float_eq(json_real_value(json_object_get(first, "until")), i % 3 / 10.0,
                               1e-12);
            cr_expect_str_eq(json_string_value(json_object_get(second, "negative")), "lowres");
            cr_expect_float_eq(json_real_value(json_object_get(second, "cfg_scale")),
                               i == 0 ? 7.1 : 6, 1e-12);
        }
        json_decref(cell);
        line = end + 1;
    }
    free(text);
    free(s);
}

Test(sweep_report, facts_keep_their_order)
{
    rf_fact fact[RF_FACTS];
    story  *s = calloc(1, sizeof *s);
    story_make(s, fixture_folder(), 64, 64);
    rf_job *job = &s->cell[0].job;
    rf_cell_facts(fact, &s->cells, &s->cell[0]);
    cr_expect_str_eq(fact[0].name, "Base");
    cr_expect_str_eq(fact[0].text, "models/pony.safetensors");
    cr_expect_str_eq(fact[RF_FACTS - 1].name, "Denoising strength");
    cr_expect_null(fact[RF_FACTS - 1].text);
    job->rho = 5, job->variation = 0.5, job->clip_skip = 2, job->eta = 0;
    s->stage[0][0].cfg_scale = 7.1f;
    s->stage[0][1].cfg_scale = 4;
    s->stage[0][1].sampler = "DPM++ 2M";
    rf_cell_facts(fact, &s->cells, &s->cell[0]);
    static const char *const WANT[][2] = {{"CFG scale", "7.1"},
                                          {"Refiner CFG scale", "4"},
                                          {"Eta", "0"},
                                          {"Refiner sampler", "DPM++ 2M"},
                                          {"Clip skip", "2"},
                                          {"Variation strength", "0.5"},
                                          {"Rho", "5"},
                                          {"Size", "64x64"},
                                          {"Prompt", "score_9, 1girl, silver hair"}};
    for (size_t w = 0; w < sizeof WANT / sizeof *WANT; w++) {
        int found = 0;
        for (int i = 0; i < RF_FACTS; i++)
            if (strcmp(fact[i].name, WANT[w][0]) == 0) {
                cr_expect_str_eq(fact[i].text, WANT[w][1]);
                found++;
            }
        cr_expect_eq(found, 1, "%s", WANT[w][0]);
    }
    free(s);
}

static int at_once(void)
{
    return 130;
}

Test(sweep_report, nothing_half_written_is_left)
{
    rf_error err = {0};
    story   *s = calloc(1, sizeof *s);
    story_make(s, fixture_folder(), 64, 64);
    char *page = make_page(s);
    s->sweep.stop = at_once; /* somebody waits for the end */
    cr_expect_eq(rf_report_html_write(&s->sweep, &err), RF_E_CANCELLED);
    cr_expect_eq(rf_grids_write(&s->sweep, 0, &err), RF_E_CANCELLED);
    cr_assert_eq(rf_results_write(&s->sweep, &err), RF_OK);
    DIR *dir = opendir(fixture_folder());
    for (struct dirent *entry; (entry = readdir(dir));)
        cr_expect_null(strstr(entry->d_name, ".tmp"), "%s", entry->d_name);
    closedir(dir);
    s->sweep.folder = fixture_path("nowhere");
    cr_expect_eq(rf_report_html_write(&s->sweep, &err), RF_E_CREATE);
    cr_expect_not_null(strstr(err.message, "nowhere/report.html"));
    cr_expect_eq(rf_results_write(&s->sweep, &err), RF_E_CREATE);
    free(page);
    free(s);
}
