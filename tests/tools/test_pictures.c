/* What the tools draw with: shrinking, text, thumbnails; and text files that appear at once. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/files/fixture.h"
#include "tools/pictures/labels.h"
#include "tools/pictures/shrink.h"
#include "tools/pictures/thumbnail.h"
#include "tools/text_file.h"

TestSuite(pictures, .timeout = 60, .fini = fixture_cleanup);

static uint32_t scramble(uint32_t *state) /* xorshift (Marsaglia 2003) */
{
    *state ^= *state << 13, *state ^= *state >> 17, *state ^= *state << 5;
    return *state;
}

/* ---- shrinking ---------------------------------------------------------------------------- */

static double light(double v)
{
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static double srgb(double v)
{
    return 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055);
}

/* How much of [0, 1) * to, scaled to the source, pixel `i` covers of source pixel `k`. */
static double overlap(int i, int to, int k, int from)
{
    const double scale = (double)from / to;
    const double low = fmax(i * scale, k), high = fmin((i + 1) * scale, k + 1);
    return high > low ? (high - low) / scale : 0;
}

static double expected(const rf_pixels *in, int x, int y, int c, int width, int height)
{
    double sum = 0;
    for (int r = 0; r < in->height; r++)
        for (int k = 0; k < in->width; k++)
            sum += overlap(x, width, k, in->width) * overlap(y, height, r, in->height) *
                   light(in->rgb[(r * in->width + k) * 3 + c]);
    return srgb(sum);
}

Test(pictures, shrinks_by_area_in_linear_light)
{
    enum { W = 37, H = 23 };
    static const int SIZES[][2] = {{37, 23}, {36, 22}, {19, 23}, {11, 7}, {1, 1}, {37, 1}, {5, 22}};
    uint8_t          rgb[W * H * 3];
    uint32_t         state = 1;
    rf_pixels        in = {.rgb = rgb, .width = W, .height = H}, out;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)scramble(&state);
    for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++) {
        const int width = SIZES[s][0], height = SIZES[s][1];
        cr_assert_eq(rf_shrink(&out, &in, width, height, NULL), RF_OK);
        cr_assert(out.width == width && out.height == height);
        for (int i = 0; i < width * height * 3; i++) {
            const double want = expected(&in, i / 3 % width, i / 3 / width, i % 3, width, height);
            /* The nearest step of light: half-way in the dark is not half-way of sRGB. */
            cr_assert_float_eq(out.rgb[i], want, 0.55, "%dx%d at %d: %d, not %g", width, height, i,
                               out.rgb[i], want);
        }
        free(out.rgb);
    }
    memset(rgb, 0, sizeof rgb); /* half of it white: light's half is 188, not 128 */
    memset(rgb, 255, 3);
    in.width = 2, in.height = 1;
    cr_assert_eq(rf_shrink(&out, &in, 1, 1, NULL), RF_OK);
    cr_expect_eq(out.rgb[0], 188);
    free(out.rgb);
    cr_expect_eq(rf_shrink(&out, &in, 3, 1, NULL), RF_E_ARG);
    cr_expect_null(out.rgb);
    cr_expect_eq(rf_shrink(&out, &in, 1, 0, NULL), RF_E_ARG);
}

Test(pictures, one_colour_stays_what_it_is)
{
    enum { W = 97, H = 61 };
    static uint8_t rgb[W * H * 3];
    for (int v = 0; v < 256; v += 5) {
        rf_pixels in = {.rgb = rgb, .width = W, .height = H}, out;
        memset(rgb, v, sizeof rgb);
        cr_assert_eq(rf_shrink(&out, &in, 40, 33, NULL), RF_OK);
        for (int i = 0; i < 40 * 33 * 3; i++) cr_assert_eq(out.rgb[i], v);
        free(out.rgb);
    }
}

Test(pictures, thumbnails_are_small_pngs)
{
    rf_error     err = {0};
    rf_thumbnail thumb;
    rf_pixels    back;
    rf_canvas    canvas;
    cr_assert_eq(rf_canvas_create(&canvas, 300, 200, &err), RF_OK);
    rf_canvas_fill(&canvas, -5, -5, 1000, 1000, (rf_colour){200, 100, 50});
    const rf_pixels whole = {.rgb = canvas.rgb, .width = 300, .height = 200};
    cr_assert_eq(rf_thumbnail_make(&thumb, &whole, 90, &err), RF_OK, "%s", err.message);
    cr_expect(thumb.width == 90 && thumb.height == 60);
    fixture_raw(fixture_path("t.png"), thumb.png, thumb.bytes);
    cr_assert_eq(rf_png_read(&back, fixture_path("t.png"), &err), RF_OK, "%s", err.message);
    cr_expect(back.width == 90 && back.height == 60);
    cr_expect(back.rgb[90 * 60 * 3 - 3] == 200 && back.rgb[90 * 60 * 3 - 1] == 50);
    free(back.rgb);
    free(thumb.png);
    cr_assert_eq(rf_thumbnail_make(&thumb, &whole, 1000, &err), RF_OK); /* never enlarged */
    cr_expect(thumb.width == 300 && thumb.height == 200);
    free(thumb.png);
    free(canvas.rgb);
}

/* ---- text --------------------------------------------------------------------------------- */

enum { SIDE = 160, GUARD = 256 };

typedef struct sheet {
    uint8_t   bytes[SIDE * SIDE * 3 + 2 * GUARD];
    rf_canvas canvas;
} sheet;

static void clear(sheet *s)
{
    memset(s->bytes, 255, sizeof s->bytes);
    s->canvas = (rf_canvas){.rgb = s->bytes + GUARD, .width = SIDE, .height = SIDE};
}

/* Dark pixels in a box; the guards must be as they were. */
static int ink(const sheet *s, int x, int y, int width, int height)
{
    int dark = 0;
    for (int i = 0; i < GUARD; i++)
        cr_assert(s->bytes[i] == 255 && s->bytes[sizeof s->bytes - 1 - (size_t)i] == 255);
    for (int r = y; r < y + height; r++)
        for (int c = x; c < x + width; c++) dark += s->canvas.rgb[(r * SIDE + c) * 3] < 128;
    return dark;
}

static const rf_label_style PLAIN = {.size = 14, .lines = 5};

Test(pictures, texts_are_broken_between_words)
{
    rf_labels *labels;
    rf_label   label;
    cr_assert_eq(rf_labels_open(&labels, NULL), RF_OK);
    const char *text = "score_9, silver hair,\n reading   a book under a cherry tree";
    rf_label_make(labels, &label, &PLAIN, text, 110);
    cr_expect_eq(label.lines, 4);
    for (int i = 0; i < label.lines; i++) {
        const rf_label_line *l = &label.line[i];
        cr_expect(l->width > 0 && l->width <= 110 && !l->cut);
        cr_expect(l->text[0] != ' ' && l->text[0] != '\n');
        cr_expect(l->text[l->bytes] == ' ' || l->text[l->bytes] == '\n' || !l->text[l->bytes]);
    }
    cr_expect_eq(label.line[3].text + label.line[3].bytes, text + strlen(text));
    cr_expect_eq(label.height, 4 * rf_label_line_height(14));

    rf_label_make(labels, &label, &PLAIN, "animagine-xl-3.1-with-a-long-name",
                  110); /* at hyphens */
    cr_expect_eq(label.line[0].text[label.line[0].bytes - 1], '-');
    rf_label_make(labels, &label, &PLAIN, "Donaudampfschifffahrtsgesellschaft", 60); /* anywhere */
    cr_expect_gt(label.lines, 2);
    cr_expect_leq(label.width, 60);
    rf_label_make(labels, &label, &PLAIN, "WWW", 3); /* not even a letter fits: one each */
    cr_expect_eq(label.lines, 3);

    const rf_label_style two = {.size = 14, .lines = 2};
    rf_label_make(labels, &label, &two, text, 110); /* the rest is an ellipsis */
    cr_expect_eq(label.lines, 2);
    cr_expect(label.line[1].cut && label.line[1].width <= 110);
    rf_label_make(labels, &label, &two, "short  \n", 110);
    cr_expect(label.lines == 1 && label.line[0].bytes == 5);
    rf_label_make(labels, &label, &two, " \t\n ", 110);
    cr_expect_eq(label.lines, 0);
    rf_label_make(labels, &label, &two, NULL, 110);
    cr_expect_eq(label.lines, 0);
    rf_labels_close(labels);
}

Test(pictures, letters_stand_where_they_should)
{
    static sheet s, again;
    rf_labels   *labels;
    rf_label     label;
    cr_assert_eq(rf_labels_open(&labels, NULL), RF_OK);
    for (int align = RF_ALIGN_LEFT; align <= RF_ALIGN_RIGHT; align++) {
        const rf_label_style style = {.size = 16, .lines = 1, .align = (rf_align)align};
        rf_label_make(labels, &label, &style, "Seed", SIDE);
        const int left = align * (SIDE - label.width) / 2;
        for (int twice = 0; twice < 2; twice++) {
            clear(twice ? &again : &s);
            rf_label_draw(labels, twice ? &again.canvas : &s.canvas, &style, &label, 0, 40, SIDE);
        }
        cr_expect_gt(ink(&s, left, 40, label.width, label.height), 30);
        cr_expect_eq(ink(&s, left, 40, label.width, label.height), ink(&s, 0, 0, SIDE, SIDE));
        cr_expect_eq(memcmp(s.bytes, again.bytes, sizeof s.bytes), 0);
    }
    rf_labels_close(labels);
}

Test(pictures, any_bytes_can_be_drawn)
{
    static sheet s;
    static char  text[1 << 20];
    uint32_t     state = 7;
    rf_labels   *labels;
    rf_label     label;
    cr_assert_eq(rf_labels_open(&labels, NULL), RF_OK);
    static const char *const BOXES[] = {"\xE6\xA1\x9C", "\xF0\x9F\x8C\xB8", "\xFF", "\xC3"};
    for (size_t i = 0; i < sizeof BOXES / sizeof *BOXES; i++) { /* what the font lacks is a box */
        clear(&s);
        rf_label_make(labels, &label, &PLAIN, BOXES[i], SIDE);
        rf_label_draw(labels, &s.canvas, &PLAIN, &label, 10, 10, SIDE);
        cr_expect_gt(ink(&s, 0, 0, SIDE, SIDE), 10, "%zu", i);
    }
    clear(&s);
    rf_label_make(labels, &label, &PLAIN, "\x01\x1B\x7F\xC2\x85\xE2\x80\x8B\xEF\xBB\xBF", SIDE);
    rf_label_draw(labels, &s.canvas, &PLAIN, &label, 10, 10, SIDE);
    cr_expect_eq(ink(&s, 0, 0, SIDE, SIDE), 0);
    for (int round = 0; round < 300; round++) {
        char some[64];
        for (size_t i = 0; i < sizeof some - 1; i++) some[i] = (char)(scramble(&state) >> 8 | 1);
        some[sizeof some - 1] = '\0';
        const rf_label_style style = {.size = 1 + round % 40, .lines = 1 + round % RF_LABEL_LINES};
        rf_label_make(labels, &label, &style, some, (int)(scramble(&state) % 200));
        cr_assert_leq(label.lines, style.lines);
        clear(&s);
        rf_label_draw(labels, &s.canvas, &style, &label, (int)(scramble(&state) % 400) - 200,
                      (int)(scramble(&state) % 400) - 200, 100);
        ink(&s, 0, 0, 1, 1);
    }
    memset(text, 'x', sizeof text - 1); /* a prompt of a megabyte is read as far as it is shown */
    rf_label_make(labels, &label, &PLAIN, text, 100);
    cr_expect(label.lines == 5 && label.line[4].cut);
    rf_labels_close(labels);
}

/* ---- text files --------------------------------------------------------------------------- */

static int files_in(const char *folder)
{
    int            count = 0;
    struct dirent *entry;
    DIR           *dir = opendir(folder);
    cr_assert_not_null(dir);
    while ((entry = readdir(dir))) count += entry->d_type == DT_REG;
    closedir(dir);
    return count;
}

static int content_is(const char *path, const char *want)
{
    char  text[64] = "";
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return strcmp(text, want) == 0;
}

Test(pictures, text_files_appear_complete_or_not_at_all)
{
    rf_error     err = {0};
    rf_text_file file;
    char         path[300];
    snprintf(path, sizeof path, "%s", fixture_path("a.txt"));
    fixture_raw(path, "old", 3);
    cr_assert_eq(rf_text_file_create(&file, path, &err), RF_OK, "%s", err.message);
    fputs("half", file.out);
    fflush(file.out);
    cr_expect(content_is(path, "old"));
    rf_text_file_discard(&file);
    cr_expect(content_is(path, "old"));
    cr_expect_eq(files_in(fixture_folder()), 1);

    cr_assert_eq(rf_text_file_create(&file, path, &err), RF_OK);
    fputs("new", file.out);
    cr_assert_eq(rf_text_file_commit(&file, &err), RF_OK, "%s", err.message);
    cr_expect(content_is(path, "new"));
    cr_expect_null(file.out);
    rf_text_file_discard(&file);
    cr_expect_eq(files_in(fixture_folder()), 1);

    cr_expect_eq(rf_text_file_create(&file, fixture_path("none/a.txt"), &err), RF_E_CREATE);
    cr_expect_not_null(strstr(err.message, "none/a.txt: cannot be created: "));
    cr_expect_null(file.path);
    cr_assert_eq(rf_text_file_create(&file, fixture_folder(), &err), RF_OK); /* is a folder */
    cr_expect_eq(rf_text_file_commit(&file, &err), RF_E_CREATE);
}
