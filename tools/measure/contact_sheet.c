/* Prompts by switch points, to look at; see reports.h. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/refinery.h"
#include "tools/measure/reports.h"
#include "tools/pictures/labels.h"

enum {
    GAP = 6,
    CELL = RF_SIDE + GAP,
    LEFT = 190, /* for the prompts */
    FONT = 13,
    LINE = (FONT * 5 + 3) / 4, /* rf_label_line_height */
    TOP = 2 * GAP + 2 * LINE,  /* for the switch points */
};

static const rf_label_style PLAIN = {.size = FONT, .lines = RF_SIDE / LINE};
static const rf_label_style CENTRED = {.size = FONT, .lines = 1, .align = RF_ALIGN_CENTRE};

typedef struct sheet {
    rf_canvas  canvas;
    rf_labels *labels;
} sheet;

static void draw(sheet *s, const rf_label_style *style, int x, int y, int width, const char *text)
{
    rf_label label;
    rf_label_make(s->labels, &label, style, text, width);
    rf_label_draw(s->labels, &s->canvas, style, &label, x, y, width);
}

static void draw_head(sheet *s, const rf_measurement *m)
{
    char text[32];
    draw(s, &PLAIN, 2 * GAP, GAP, LEFT - 3 * GAP, "base makes this share of the steps:");
    for (int i = 0; i < m->points; i++) {
        const double x = m->point[i];
        snprintf(text, sizeof text, "%g", x);
        draw(s, &CENTRED, LEFT + i * CELL - GAP, GAP, CELL + GAP, text);
        if (x == 0 || x == 1)
            draw(s, &CENTRED, LEFT + i * CELL - GAP, GAP + LINE, CELL + GAP,
                 x == 0 ? "refiner only" : "base only");
    }
}

rf_status rf_contact_sheet(const char *path, const rf_measurement *m, rf_error *err)
{
    rf_status st = RF_OK;
    const int rows = m->shown, columns = m->points;
    sheet     s = {0};
    if (!rows) return rf_fail(err, RF_E_ARG, "%s: no pictures were kept for it", path);
    RF_TRY(rf_labels_open(&s.labels, err));
    RF_TRY(rf_canvas_create(&s.canvas, LEFT + columns * CELL + GAP, TOP + rows * CELL + GAP, err));
    draw_head(&s, m);
    for (int row = 0; row < rows; row++) {
        const int y = TOP + row * CELL;
        draw(&s, &PLAIN, 2 * GAP, y, LEFT - 3 * GAP, m->asked[row]->prompt);
        for (int column = 0; column < columns; column++) {
            const size_t    at = (size_t)(row * columns + column) * RF_SIDE * RF_SIDE * 3;
            const rf_pixels picture = {m->pictures + at, RF_SIDE, RF_SIDE};
            rf_canvas_place(&s.canvas, LEFT + column * CELL, y, &picture);
        }
    }
    RF_TRY(rf_png_write(path, s.canvas.rgb, s.canvas.width, s.canvas.height, NULL, 0, 1, err));
done:
    rf_labels_close(s.labels);
    free(s.canvas.rgb);
    return st;
}
