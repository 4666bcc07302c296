/* Labelled grids; see report.h.
 *
 * A grid is drawn whole in memory, at most 16384 pixels a side (805 MB), and its pictures are read
 * one after the other.  Where it would be larger, all pictures are shrunk alike, by areas in linear
 * light, and the grid says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pictures/shrink.h"
#include "tools/pictures/thumbnail.h"
#include "tools/sweep/cell_picture.h"
#include "tools/sweep/grid_layout.h"

static const rf_colour GREY = {0xD9, 0xDB, 0xDF};

typedef struct grid {
    const rf_sweep_story *story;
    rf_labels            *labels;
    rf_grid_layout        layout;
    rf_canvas             canvas;
} grid;

static void draw_text(grid *g, const rf_grid_text *t, int x, int width)
{
    rf_label_draw(g->labels, &g->canvas, &t->style, &t->label, x, t->y, width);
}

static void draw_heads(grid *g)
{
    const rf_grid_layout *l = &g->layout;
    const rf_axis        *axis = g->story->cells->axis;
    const int             pitch = l->cell_width + l->gap;
    rf_label              label;
    draw_text(g, &l->title, l->margin, 0);
    draw_text(g, &l->plane, l->margin, 0);
    draw_text(g, &l->legend, l->margin, 0);
    draw_text(g, &l->note, l->margin, 0);
    draw_text(g, &l->x_name, l->left, l->columns * pitch - l->gap);
    draw_text(g, &l->y_name, l->margin, l->labels_width);
    for (int i = 0; axis[RF_AXIS_X].kind != RF_VARY_NOTHING && i < l->columns; i += l->every[0]) {
        /* A label for several columns begins at its own; the last may have no room left. */
        const int width = l->every[0] * pitch - l->gap;
        rf_label_make(g->labels, &label, &l->column, axis[RF_AXIS_X].value[i].text, width);
        if (l->every[0] > 1 && label.width > (l->columns - i) * pitch + l->margin) break;
        rf_label_draw(g->labels, &g->canvas, &l->column, &label, l->left + i * pitch,
                      l->top - l->column.size / 3 - label.height,
                      l->every[0] > 1 ? label.width : l->cell_width);
    }
    for (int i = 0; axis[RF_AXIS_Y].kind != RF_VARY_NOTHING && i < l->rows; i += l->every[1]) {
        rf_label_make(g->labels, &label, &l->row, axis[RF_AXIS_Y].value[i].text, l->labels_width);
        const int y = l->top + i * (l->cell_height + l->gap);
        const int spare = l->cell_height - label.height;
        if (l->every[1] > 1 && i > 0 && label.height > (l->rows - i) * (l->cell_height + l->gap))
            break;
        rf_label_draw(g->labels, &g->canvas, &l->row, &label, l->margin,
                      l->every[1] > 1 ? y : y + spare / 2, l->labels_width);
    }
}

/* A grey cell, and why it is. */
static void draw_absence(grid *g, int x, int y, const char *why)
{
    const rf_grid_layout *l = &g->layout;
    const int             room = l->cell_width - 2 * l->gap;
    rf_label              label;
    rf_canvas_fill(&g->canvas, x, y, l->cell_width, l->cell_height, GREY);
    if (room < 3 * l->sentence.size || l->cell_height < rf_label_line_height(l->sentence.size))
        return; /* not even a short word */
    rf_label_make(g->labels, &label, &l->sentence, why, room);
    rf_label_draw(g->labels, &g->canvas, &l->sentence, &label, x + l->gap,
                  y + (l->cell_height - label.height) / 2, room);
}

/* How large a picture is drawn; one that is larger than its job says is fitted into the cell. */
static void drawn_size(const rf_grid_layout *l, const rf_pixels *p, int *width, int *height)
{
    rf_shrunk_size(width, height, p->width, p->height, l->side, l->longest);
    if (*width > l->cell_width)
        rf_shrunk_size(width, height, p->width, p->height, l->cell_width, p->width);
    if (*height > l->cell_height)
        rf_shrunk_size(width, height, p->width, p->height, l->cell_height, p->height);
}

static rf_status draw_cell(grid *g, int cell, rf_error *err)
{
    rf_status             st = RF_OK;
    rf_cell_picture       picture;
    rf_pixels             small = {0};
    const rf_grid_layout *l = &g->layout;
    const int            *at = g->story->cells->cell[cell].at;
    const int             x = l->left + at[RF_AXIS_X] * (l->cell_width + l->gap);
    const int             y = l->top + at[RF_AXIS_Y] * (l->cell_height + l->gap);
    int                   width, height;
    if (g->story->stop && g->story->stop())
        return rf_fail(err, RF_E_CANCELLED, "interrupted while pictures were put together");
    rf_cell_picture_read(&picture, g->story, cell);
    if (!picture.pixels.rgb) {
        draw_absence(g, x, y, picture.why);
        goto done;
    }
    drawn_size(l, &picture.pixels, &width, &height);
    RF_TRY(rf_shrink(&small, &picture.pixels, width, height, err));
    rf_canvas_place(&g->canvas, x + (l->cell_width - width) / 2, y + (l->cell_height - height) / 2,
                    &small);
done:
    free(small.rgb);
    rf_cell_picture_release(&picture);
    return st;
}

static rf_status write_grid(grid *g, const char *path, int z, int cell_pixels, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_grid_layout_make(&g->layout, g->labels, g->story, z, cell_pixels, err));
    RF_TRY(rf_canvas_create(&g->canvas, g->layout.width, g->layout.height, err));
    draw_heads(g);
    for (int i = 0; i < g->layout.columns * g->layout.rows; i++)
        RF_TRY(draw_cell(g, g->layout.first + i, err));
    RF_TRY(rf_png_write(path, g->canvas.rgb, g->canvas.width, g->canvas.height, NULL, 0, 1, err));
done:
    free(g->canvas.rgb);
    g->canvas.rgb = NULL;
    return st;
}

enum { DIGITS = 5 }; /* of the last of RF_AXIS_VALUES_MAX */

/* "grid.png", or "grid-z03.png": as many digits as the last one needs, like the cells' names. */
static void grid_path(char *path, size_t room, const rf_sweep_story *story, int z)
{
    const int planes = story->cells->axis[RF_AXIS_Z].count;
    const int kept = planes > 10000 ? 5 : planes > 1000 ? 4 : planes > 100 ? 3 : 2;
    char      number[DIGITS + 1];
    snprintf(number, sizeof number, "%05u", (unsigned)z % 100000);
    if (planes == 1)
        snprintf(path, room, "%s/grid.png", story->folder);
    else
        snprintf(path, room, "%s/grid-z%s.png", story->folder, number + DIGITS - kept);
}

rf_status rf_grids_write(const rf_sweep_story *story, int cell_pixels, rf_error *err)
{
    rf_status    st = RF_OK;
    const int    planes = story->cells->axis[RF_AXIS_Z].count;
    const size_t room = strlen(story->folder) + 32;
    char        *path = malloc(room);
    grid         g = {.story = story};
    if (!path) return rf_fail(err, RF_E_NOMEM, "no memory for a grid's name");
    RF_TRY(rf_labels_open(&g.labels, err));
    for (int z = 0; z < planes; z++) {
        grid_path(path, room, story, z);
        RF_TRY(write_grid(&g, path, z, cell_pixels, err));
    }
done:
    rf_labels_close(g.labels);
    free(path);
    return st;
}
