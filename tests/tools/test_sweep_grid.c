/* The grids of a sweep: pictures at their places, labels beside them, and what is not there. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/files/fixture.h"
#include "tests/tools/story.h"
#include "tools/pictures/read_png.h"
#include "tools/sweep/grid_layout.h"

TestSuite(sweep_grid, .timeout = 60, .fini = fixture_cleanup);

typedef struct grid {
    rf_labels     *labels;
    rf_grid_layout layout;
    rf_pixels      picture;
} grid;

/* Writes the grids, reads that of `z` back and computes where its parts should be. */
static void make(grid *g, const story *s, const char *file, int z, int cell_pixels)
{
    rf_error err = {0};
    cr_assert_eq(rf_grids_write(&s->sweep, cell_pixels, &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_png_read(&g->picture, fixture_path(file), &err), RF_OK, "%s", err.message);
    cr_assert_eq(rf_labels_open(&g->labels, &err), RF_OK);
    cr_assert_eq(rf_grid_layout_make(&g->layout, g->labels, &s->sweep, z, cell_pixels, &err),
                 RF_OK);
    cr_assert(g->picture.width == g->layout.width && g->picture.height == g->layout.height);
}

static void release(grid *g)
{
    rf_labels_close(g->labels);
    free(g->picture.rgb);
}

static const uint8_t *pixel(const grid *g, int x, int y)
{
    cr_assert(x >= 0 && y >= 0 && x < g->picture.width && y < g->picture.height);
    return g->picture.rgb + ((size_t)y * (size_t)g->picture.width + (size_t)x) * 3;
}

static int is_colour(const uint8_t *pixel, int r, int g, int b)
{
    return pixel[0] == r && pixel[1] == g && pixel[2] == b;
}

static int is_cell(const story *s, int cell, const uint8_t *pixel)
{
    uint8_t c[3];
    story_colour(s, cell, c);
    return is_colour(pixel, c[0], c[1], c[2]);
}

static int ink(const grid *g, int x, int y, int width, int height)
{
    int dark = 0;
    for (int r = y; r < y + height; r++)
        for (int c = x; c < x + width; c++) dark += pixel(g, c, r)[1] < 140;
    return dark;
}

static void cell_place(const grid *g, const story *s, int cell, int *x, int *y)
{
    const rf_grid_layout *l = &g->layout;
    *x = l->left + s->cells.cell[cell].at[RF_AXIS_X] * (l->cell_width + l->gap);
    *y = l->top + s->cells.cell[cell].at[RF_AXIS_Y] * (l->cell_height + l->gap);
}

/* All of a cell is its picture, drawn at width x height in its middle, and white is around it. */
static void expect_picture(const grid *g, const story *s, int cell, int width, int height)
{
    int x, y;
    cell_place(g, s, cell, &x, &y);
    x += (g->layout.cell_width - width) / 2, y += (g->layout.cell_height - height) / 2;
    for (int corner = 0; corner < 4; corner++) {
        const int right = corner & 1, low = corner >> 1;
        const int cx = x + right * (width - 1), cy = y + low * (height - 1);
        cr_expect(is_cell(s, cell, pixel(g, cx, cy)), "cell %d, corner %d", cell, corner);
        const uint8_t *out = pixel(g, cx + (right ? 1 : -1), cy + (low ? 1 : -1));
        cr_expect(is_colour(out, 255, 255, 255), "beside cell %d, corner %d", cell, corner);
    }
}

static story *new_story(void)
{
    story *s = calloc(1, sizeof *s);
    cr_assert_not_null(s);
    return s;
}

Test(sweep_grid, pictures_and_labels_are_at_their_places)
{
    story *s = new_story();
    grid   g;
    story_numbers(s, RF_AXIS_X, RF_VARY_SWITCH, "Refiner switch at", 5);
    story_numbers(s, RF_AXIS_Y, RF_VARY_SEED, "Seed", 3);
    story_make(s, fixture_folder(), 64, 48);
    make(&g, s, "grid.png", 0, 0);
    const rf_grid_layout *l = &g.layout;
    const int             pitch = l->cell_width + l->gap, line = rf_label_line_height(l->row.size);
    cr_expect(l->cell_width == 64 && l->cell_height == 48 && l->gap > 0);
    for (int i = 0; i < s->cells.count; i++) expect_picture(&g, s, i, 64, 48);
    for (int i = 0; i < 5; i++) { /* each label in the middle above its column */
        const int x = l->left + i * pitch, y = l->columns_y;
        cr_expect_gt(ink(&g, x + 16, y, 32, l->columns_height), 8, "column %d", i);
        cr_expect_eq(ink(&g, x, y, 16, l->columns_height), 0);
    }
    for (int i = 0; i < 3; i++) { /* and half-way down beside its row */
        const int y = l->top + i * (l->cell_height + l->gap);
        cr_expect_gt(ink(&g, l->margin, y + (48 - line) / 2, l->labels_width, line), 4, "row %d",
                     i);
        cr_expect_eq(ink(&g, l->margin, y, l->labels_width, (48 - line) / 2), 0);
    }
    const rf_grid_text *texts[5] = {&l->title, &l->legend, &l->x_name, &l->y_name, &l->note};
    for (size_t i = 0; i < 5; i++)
        cr_expect_gt(ink(&g, 0, texts[i]->y, l->width, texts[i]->label.height), 20, "text %zu", i);
    cr_expect_not_null(strstr(l->legend_text, "x: Refiner switch at, 0 to 0.4 (5 values)"));
    cr_expect_not_null(strstr(l->legend_text, "y: Seed, 1 to 3 (3 values)"));
    cr_expect_not_null(strstr(l->note_text, "15 of 15 cells"));
    cr_expect_not_null(strstr(l->note_text, "planned: 162 UNet calls instead of 270 (1.67x)"));
    cr_expect_null(strstr(l->note_text, "shown at"));
    release(&g);
    free(s);
}

Test(sweep_grid, every_z_value_has_its_grid)
{
    static const char *const REFINERS[] = {"animagine-xl-3.1", "None"};
    story                   *s = new_story();
    grid                     g;
    story_numbers(s, RF_AXIS_X, RF_VARY_SEED, "Seed", 2);
    story_texts(s, RF_AXIS_Z, RF_VARY_REFINER, "Refiner checkpoint", REFINERS, 2);
    story_make(s, fixture_folder(), 64, 64);
    for (int z = 0; z < 2; z++) {
        make(&g, s, z ? "grid-z01.png" : "grid-z00.png", z, 0);
        for (int i = 0; i < 2; i++) expect_picture(&g, s, 2 * z + i, 64, 64);
        cr_expect_gt(ink(&g, 0, g.layout.plane.y, g.layout.width, g.layout.plane.label.height), 20);
        cr_expect_not_null(strstr(g.layout.plane_text, REFINERS[z]));
        cr_expect_eq(g.layout.labels_width, 0); /* there is no y axis */
        release(&g);
    }
    cr_expect_neq(access(fixture_path("grid.png"), F_OK), 0);
    free(s);
}

Test(sweep_grid, sizes_are_of_one_scale_and_centred)
{
    static const char *const SIZES[] = {"256x128", "128x256", "64x64"};
    static const int         WH[][2] = {{256, 128}, {128, 256}, {64, 64}};
    story                   *s = new_story();
    grid                     g;
    story_texts(s, RF_AXIS_Y, RF_VARY_SIZE, "Size", SIZES, 3);
    story_make(s, fixture_folder(), 64, 64);
    for (int i = 0; i < 3; i++) {
        s->cell[i].job.width = WH[i][0], s->cell[i].job.height = WH[i][1];
        story_picture(s, i, WH[i][0], WH[i][1]);
    }
    make(&g, s, "grid.png", 0, 128);
    cr_expect(g.layout.cell_width == 128 && g.layout.cell_height == 128);
    for (int i = 0; i < 3; i++) expect_picture(&g, s, i, WH[i][0] / 2, WH[i][1] / 2);
    cr_expect_not_null(strstr(g.layout.note_text, "shown at 50 % of their size"));
    release(&g);
    story_picture(s, 2, 900, 300); /* larger than its job says: fitted into the cell */
    make(&g, s, "grid.png", 0, 128);
    expect_picture(&g, s, 2, 128, 43);
    release(&g);
    free(s);
}

Test(sweep_grid, what_is_not_there_is_grey_and_says_so)
{
    story *s = new_story();
    grid   g;
    char   path[300];
    story_numbers(s, RF_AXIS_X, RF_VARY_SEED, "Seed", 6);
    story_make(s, fixture_folder(), 160, 160);
    s->record[0] = (rf_cell_record){.state = RF_CELL_FAILED, .error = "step 12 went NaN"};
    s->record[1] = (rf_cell_record){.state = RF_CELL_OPEN};
    snprintf(path, sizeof path, "%s/cells/%s.png", fixture_folder(), s->name[2]);
    unlink(path);
    snprintf(path, sizeof path, "%s/cells/%s.png", fixture_folder(), s->name[3]);
    cr_assert_eq(truncate(path, 60), 0);
    snprintf(path, sizeof path, "%s/cells/%s.png", fixture_folder(), s->name[4]);
    fixture_raw(path, "no PNG at all, and short", 24);
    make(&g, s, "grid.png", 0, 0);
    for (int i = 0; i < 5; i++) {
        int x, y;
        cell_place(&g, s, i, &x, &y);
        cr_expect(is_colour(pixel(&g, x, y), 0xD9, 0xDB, 0xDF), "cell %d", i);
        cr_expect(is_colour(pixel(&g, x + 159, y + 159), 0xD9, 0xDB, 0xDF), "cell %d", i);
        cr_expect_gt(ink(&g, x, y + 60, 160, 40), 30, "cell %d", i);
    }
    expect_picture(&g, s, 5, 160, 160);
    cr_expect_not_null(strstr(g.layout.note_text, "4 of 6 cells, 1 failed, 1 not made yet"));
    release(&g);
    free(s);
}

Test(sweep_grid, the_same_sweep_gives_the_same_bytes)
{
    story *s = new_story();
    char  *bytes[2];
    size_t count[2];
    story_numbers(s, RF_AXIS_X, RF_VARY_SEED, "Seed", 3);
    story_make(s, fixture_folder(), 96, 64);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(rf_grids_write(&s->sweep, 50, NULL), RF_OK); /* over the first one */
        FILE *f = fopen(fixture_path("grid.png"), "rb");
        bytes[i] = malloc(1 << 20);
        count[i] = fread(bytes[i], 1, 1 << 20, f);
        fclose(f);
        s->sweep.wall_s += 1, s->sweep.device = "another", s->record[0].seconds += 1;
    }
    cr_expect(count[0] == count[1] && count[0] > 100);
    cr_expect_eq(memcmp(bytes[0], bytes[1], count[0]), 0);
    s->sweep.folder = fixture_path("nowhere");
    cr_expect_eq(rf_grids_write(&s->sweep, 0, NULL), RF_E_CREATE);
    for (int i = 0; i < 2; i++) free(bytes[i]);
    free(s);
}

Test(sweep_grid, hostile_texts_are_drawn_and_cut)
{
    story      *s = new_story();
    grid        g;
    char       *prompt = malloc(1 << 20);
    const char *texts[3] = {prompt, "\xFF\xFE\x1B[31m<b>\xF0\x9F\x8C\xB8%s%n", ""};
    for (int i = 0; i < (1 << 20) - 1; i++) prompt[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 26);
    prompt[(1 << 20) - 1] = '\0';
    story_texts(s, RF_AXIS_X, RF_VARY_PROMPT, texts[1], texts, 3);
    story_texts(s, RF_AXIS_Y, RF_VARY_REFINER_PROMPT, prompt, texts, 3);
    story_texts(s, RF_AXIS_Z, RF_VARY_BASE, prompt, texts, 2);
    s->sweep.title = prompt;
    story_make(s, fixture_folder(), 64, 64);
    s->sweep.title = prompt;
    for (int i = 0; i < 9; i++)
        s->record[i] = (rf_cell_record){.state = RF_CELL_FAILED, .error = texts[i % 3]};
    make(&g, s, "grid-z00.png", 0, 0);
    cr_expect(g.layout.title.label.lines == 4 && g.layout.title.label.line[3].cut);
    cr_expect_lt(g.layout.height, 800);
    cr_expect_lt(g.layout.width, 800);
    for (int i = 9; i < 18; i++) cr_expect_eq(s->record[i].state, RF_CELL_DONE);
    release(&g);
    free(prompt);
    free(s);
}

/* Ten thousand cells of 1024 pixels, which nobody has to draw. */
Test(sweep_grid, huge_grids_are_planned_smaller)
{
    static const int SHAPES[][2] = {{10000, 1}, {1, 10000}, {100, 100}, {2500, 4}, {31, 4}};
    rf_axis_value   *value = calloc(10000, sizeof *value);
    rf_cell         *cell = calloc(10000, sizeof *cell);
    rf_cell_record  *record = calloc(10000, sizeof *record);
    rf_labels       *labels;
    cr_assert_eq(rf_labels_open(&labels, NULL), RF_OK);
    for (int i = 0; i < 10000; i++) {
        value[i] = (rf_axis_value){.text = "12345", .number = NAN};
        cell[i] = (rf_cell){.job = {.width = 1024, .height = 1024}};
    }
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        rf_grid_layout l;
        const int      columns = SHAPES[i][0], rows = SHAPES[i][1];
        rf_cells       cells = {.cell = cell, .count = columns * rows};
        cells.axis[0] =
            (rf_axis){.kind = RF_VARY_SEED, .name = "Seed", .value = value, .count = columns};
        cells.axis[1] =
            (rf_axis){.kind = RF_VARY_STEPS, .name = "Steps", .value = value, .count = rows};
        cells.axis[2] = (rf_axis){.value = value, .count = 1};
        const rf_sweep_story sweep = {.cells = &cells, .record = record, .title = "t"};
        rf_error             err = {0};
        cr_assert_eq(rf_grid_layout_make(&l, labels, &sweep, 0, 0, &err), RF_OK, "%s", err.message);
        cr_expect(l.width <= 16384 && l.height <= 16384, "%dx%d", l.width, l.height);
        cr_expect(l.width > 8000 || l.height > 8000); /* and no smaller than it must be */
        cr_expect(l.left + columns * (l.cell_width + l.gap) - l.gap <= l.width);
        cr_expect(l.top + rows * (l.cell_height + l.gap) - l.gap <= l.height);
        cr_expect_not_null(strstr(l.note_text, "pictures shown at "));
    }
    rf_labels_close(labels);
    free(value);
    free(cell);
    free(record);
}
