/* See grid_layout.h.  Letters follow the cells, so that a grid can be read however far it is zoomed
 * out; all other lengths follow the letters. */
#include "tools/sweep/grid_layout.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/pictures/thumbnail.h"

enum {
    FONT_MIN = 11, /* the smallest that DejaVu is comfortable to read at */
    FONT_MAX = 72,
    SMALL_MIN = 10,
    TITLE_LINES = 4, /* of the prompt: more would push the pictures away */
    COLUMN_LINES = 6,
    TEXT_MIN = 16, /* letters' sizes that the title may be wide, however few columns there are */
};

static const rf_colour INK = {0x1B, 0x1D, 0x22}, SOFT = {0x5C, 0x63, 0x6E};

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

/* ---- texts -------------------------------------------------------------------------------- */

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
append(char *text, const char *format, ...)
{
    va_list      rest;
    const size_t used = strlen(text);
    va_start(rest, format);
    vsnprintf(text + used, RF_GRID_NOTE_BYTES - used, format, rest);
    va_end(rest);
}

static int is_used(const rf_axis *axis)
{
    return axis->kind != RF_VARY_NOTHING;
}

/* "x: Seed, 1 to 4 (4 values)" */
static void describe_axis(char *text, const rf_axis *axis, const char *letter)
{
    const rf_axis_value *first = &axis->value[0], *last = &axis->value[axis->count - 1];
    if (!is_used(axis)) return;
    append(text, "%s%s: %.200s", *text ? "   \xC2\xB7   " : "", letter, axis->name);
    if (axis->count > 1 && isfinite(first->number) && isfinite(last->number))
        append(text, ", %.40s to %.40s", first->text, last->text);
    append(text, axis->count == 1 ? " (1 value)" : " (%d values)", axis->count);
}

static void count_cells(rf_grid_layout *l, const rf_sweep_story *story)
{
    int done = 0, failed = 0;
    for (int i = l->first; i < l->first + l->columns * l->rows; i++) {
        done += story->record[i].state == RF_CELL_DONE;
        failed += story->record[i].state == RF_CELL_FAILED;
    }
    const int all = l->columns * l->rows;
    append(l->note_text, "%d of %d %s", done, all, all == 1 ? "cell" : "cells");
    if (failed) append(l->note_text, ", %d failed", failed);
    if (all > done + failed) append(l->note_text, ", %d not made yet", all - done - failed);
}

static void write_texts(rf_grid_layout *l, const rf_sweep_story *story)
{
    static const char *const LETTERS[RF_AXES] = {"x", "y", "z"};
    const rf_axis           *axis = story->cells->axis, *z = &axis[RF_AXIS_Z];
    for (int i = 0; i < RF_AXES; i++) describe_axis(l->legend_text, &axis[i], LETTERS[i]);
    if (is_used(z)) append(l->plane_text, "%.200s: %.700s", z->name, z->value[l->z].text);
    count_cells(l, story);
    if (story->calls_shared > 0 && story->calls_naive > story->calls_shared)
        append(l->note_text, "   \xC2\xB7   planned%s: %lld UNet calls instead of %lld (%.2fx)",
               is_used(z) ? " for all grids" : "", (long long)story->calls_shared,
               (long long)story->calls_naive,
               (double)story->calls_naive / (double)story->calls_shared);
    if (l->side < l->longest)
        append(l->note_text, "   \xC2\xB7   pictures shown at %.3g %% of their size",
               100.0 * l->side / l->longest);
}

/* ---- measures ----------------------------------------------------------------------------- */

static void set_styles(rf_grid_layout *l)
{
    /* 64 pixels: 12; 512: 37; 1024: 65: about what fits "0.35" a few times beside itself. */
    const int font = least(most((l->cell_width + l->cell_height) / 36 + 9, FONT_MIN), FONT_MAX);
    const int small = most(font * 3 / 4, SMALL_MIN);
    l->margin = font;
    l->gap = l->cell_width < 16 || l->cell_height < 16 ? 0 : 2 + l->cell_width / 64;
    l->title.style = l->plane.style = (rf_label_style){font, TITLE_LINES, RF_ALIGN_LEFT, INK};
    l->plane.style.lines = 2;
    l->legend.style = l->note.style = (rf_label_style){small, 4, RF_ALIGN_LEFT, SOFT};
    l->x_name.style = (rf_label_style){small, 1, RF_ALIGN_CENTRE, SOFT};
    l->y_name.style = (rf_label_style){small, 2, RF_ALIGN_RIGHT, SOFT};
    l->column = (rf_label_style){font, COLUMN_LINES, RF_ALIGN_CENTRE, INK};
    l->row = (rf_label_style){font, 1, RF_ALIGN_RIGHT, INK};
    l->sentence = (rf_label_style){small, 1, RF_ALIGN_CENTRE, SOFT};
    const int room = l->cell_height - l->gap;
    l->sentence.lines = least(most(room / rf_label_line_height(small), 1), RF_LABEL_LINES);
}

/* Width of the rows' labels, and how many rows share one. */
static void measure_rows(rf_grid_layout *l, rf_labels *labels, const rf_axis *axis)
{
    const int line = rf_label_line_height(l->row.size), pitch = l->cell_height + l->gap;
    const int cap = most(least(l->cell_width, 16 * l->row.size), 8 * l->row.size);
    rf_label  label;
    l->every[1] = (line + pitch - 1) / pitch;
    l->row.lines = least(most(l->cell_height / line, 1), RF_LABEL_LINES);
    l->labels_width = 0;
    if (!is_used(axis)) return;
    for (int i = 0; i < l->rows; i += l->every[1]) {
        rf_label_make(labels, &label, &l->row, axis->value[i].text, cap);
        l->labels_width = most(l->labels_width, label.width);
    }
    rf_label_make(labels, &l->y_name.label, &l->y_name.style, axis->name, cap);
    l->labels_width = most(l->labels_width, l->y_name.label.width);
}

/* Height of the columns' labels, and how many columns share one. */
static void measure_columns(rf_grid_layout *l, rf_labels *labels, const rf_axis *axis)
{
    const int      font = l->column.size, pitch = l->cell_width + l->gap;
    rf_label_style one = l->column;
    rf_label       label;
    int            widest = 1;
    one.lines = 1;
    l->every[0] = 1;
    l->columns_height = 0;
    if (!is_used(axis)) return;
    for (int i = 0; i < l->columns; i++) { /* a word of some letters must fit */
        rf_label_make(labels, &label, &one, axis->value[i].text, font * 7 / 2);
        widest = most(widest, label.width);
    }
    l->every[0] = (widest + font / 2 + pitch - 1) / pitch;
    for (int i = 0; i < l->columns; i += l->every[0]) {
        rf_label_make(labels, &label, &l->column, axis->value[i].text,
                      l->every[0] * pitch - l->gap);
        l->columns_height = most(l->columns_height, label.height);
    }
}

/* Puts a text at *y and moves it down. */
static void stack(rf_grid_text *t, rf_labels *labels, const char *text, int width, int space,
                  int *y)
{
    rf_label_make(labels, &t->label, &t->style, text, width);
    t->y = *y;
    if (t->label.lines) *y += t->label.height + space;
}

static int fits(const rf_grid_layout *l)
{
    return l->width <= RF_GRID_SIDE_MAX && l->height <= RF_GRID_SIDE_MAX &&
           (int64_t)l->width * l->height * 3 <= RF_GRID_BYTES_MAX;
}

/* Everything, for pictures whose longest is drawn with l->side pixels.  Returns whether it fits. */
static int place_all(rf_grid_layout *l, rf_labels *labels, const rf_sweep_story *story,
                     const int largest[2])
{
    const rf_axis *axis = story->cells->axis;
    rf_shrunk_size(&l->cell_width, &l->cell_height, largest[0], largest[1], l->side, l->longest);
    set_styles(l);
    measure_rows(l, labels, &axis[RF_AXIS_Y]);
    measure_columns(l, labels, &axis[RF_AXIS_X]);
    const int font = l->column.size, cells = l->columns * (l->cell_width + l->gap) - l->gap;
    l->left = l->margin + (l->labels_width ? l->labels_width + font / 2 : 0);
    l->width = most(l->left + cells + l->margin, TEXT_MIN * font);
    if (l->width > RF_GRID_SIDE_MAX) return 0;
    const int text_width = l->width - 2 * l->margin;
    int       y = l->margin;
    l->plane_text[0] = l->legend_text[0] = l->note_text[0] = '\0';
    write_texts(l, story);
    stack(&l->title, labels, story->title, text_width, font / 3, &y);
    stack(&l->plane, labels, l->plane_text, text_width, font / 3, &y);
    stack(&l->legend, labels, l->legend_text, text_width, font / 2, &y);
    const char *x_name = is_used(&axis[RF_AXIS_X]) ? axis[RF_AXIS_X].name : "";
    stack(&l->x_name, labels, x_name, cells, font / 6, &y);
    l->columns_y = y;
    if (l->y_name.label.height > l->columns_height) /* beside them, and at their lower end */
        y += l->y_name.label.height - l->columns_height;
    y += l->columns_height;
    l->y_name.y = y - l->y_name.label.height;
    l->top = y + font / 3;
    y = l->top + l->rows * (l->cell_height + l->gap) - l->gap + font / 2;
    stack(&l->note, labels, l->note_text, text_width, 0, &y);
    l->height = y + l->margin * 2 / 3;
    return fits(l);
}

rf_status rf_grid_layout_make(rf_grid_layout *out, rf_labels *labels, const rf_sweep_story *story,
                              int z, int cell_pixels, rf_error *err)
{
    const rf_cells *cells = story->cells;
    int             largest[2] = {1, 1};
    for (int i = 0; i < cells->count; i++) {
        largest[0] = most(largest[0], cells->cell[i].job.width);
        largest[1] = most(largest[1], cells->cell[i].job.height);
    }
    *out = (rf_grid_layout){.z = z,
                            .columns = cells->axis[RF_AXIS_X].count,
                            .rows = cells->axis[RF_AXIS_Y].count,
                            .longest = most(largest[0], largest[1])};
    out->first = z * out->columns * out->rows;
    out->side = cell_pixels > 0 ? least(cell_pixels, out->longest) : out->longest;
    if (place_all(out, labels, story, largest)) return RF_OK;
    int low = 1, high = out->side; /* the largest that fits is below `high` */
    while (high - low > 1) {
        out->side = (low + high) / 2;
        if (place_all(out, labels, story, largest))
            low = out->side;
        else
            high = out->side;
    }
    out->side = low;
    if (place_all(out, labels, story, largest)) return RF_OK;
    return rf_fail(err, RF_E_ARG, "a grid of %d columns and %d rows does not fit %d pixels a side",
                   out->columns, out->rows, RF_GRID_SIDE_MAX);
}
