/* Prompts by switch points, to look at; see reports.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/measure/letters.h"
#include "tools/measure/reports.h"

enum {
    GAP = 6,
    CELL = RF_SIDE + GAP,
    LEFT = 190, /* for the prompts */
    TOP = 56,   /* for the switch points */
    LINE = RF_LETTER_HEIGHT + 1,
};

/* How many bytes of the text fit a line: whole words, unless the first is too long. */
static int line_bytes(const char *text, int width)
{
    int fits = 0;
    for (int i = 0;; i++) {
        if (rf_letters_width(text, i) > width) return fits ? fits : i - 1;
        if (!text[i]) return i;
        if (text[i] == ' ') fits = i;
    }
}

static void draw_prompt(rf_canvas *canvas, int y, const char *text)
{
    char line[64];
    for (const int end = y + RF_SIDE; *text && y + LINE <= end; y += LINE) {
        const int bytes = line_bytes(text, LEFT - 3 * GAP);
        snprintf(line, sizeof line, "%.*s", bytes, text);
        rf_letters_draw(canvas, 2 * GAP, y, line);
        text += bytes;
        while (*text == ' ') text++;
    }
}

static void draw_centred(rf_canvas *canvas, int column, int y, const char *text)
{
    const int width = rf_letters_width(text, (int)strlen(text));
    rf_letters_draw(canvas, LEFT + column * CELL + (RF_SIDE - width) / 2, y, text);
}

static void draw_head(rf_canvas *canvas, const rf_report_input *in)
{
    char text[32];
    rf_letters_draw(canvas, 2 * GAP, GAP, "base makes this");
    rf_letters_draw(canvas, 2 * GAP, GAP + LINE, "share of the steps:");
    for (int i = 0; i < in->o->points; i++) {
        const double x = in->o->point[i];
        snprintf(text, sizeof text, "%g", x);
        draw_centred(canvas, i, GAP, text);
        if (x == 0 || x == 1)
            draw_centred(canvas, i, GAP + LINE, x == 0 ? "refiner only" : "base only");
    }
}

static void place_picture(rf_canvas *canvas, int x, int y, const uint8_t *rgb)
{
    for (int row = 0; row < RF_SIDE; row++)
        memcpy(canvas->rgb + ((size_t)(y + row) * (size_t)canvas->width + (size_t)x) * 3,
               rgb + (size_t)row * RF_SIDE * 3, (size_t)RF_SIDE * 3);
}

rf_status rf_contact_sheet(const char *path, const rf_report_input *in, rf_error *err)
{
    rf_status    st = RF_OK;
    const int    rows = in->o->shown, columns = in->o->points;
    rf_canvas    canvas = {.width = LEFT + columns * CELL + GAP, .height = TOP + rows * CELL + GAP};
    const size_t bytes = (size_t)canvas.width * (size_t)canvas.height * 3;
    if (!rows) return rf_fail(err, RF_E_ARG, "%s: no pictures were kept for it", path);
    canvas.rgb = malloc(bytes);
    if (!canvas.rgb) return rf_fail(err, RF_E_NOMEM, "%s: no memory for it", path);
    memset(canvas.rgb, 255, bytes);
    draw_head(&canvas, in);
    for (int row = 0; row < rows; row++) {
        const int y = TOP + row * CELL;
        draw_prompt(&canvas, y, in->o->asked[row].prompt);
        for (int column = 0; column < columns; column++)
            place_picture(&canvas, LEFT + column * CELL, y,
                          in->m->pictures +
                              (size_t)(row * columns + column) * RF_SIDE * RF_SIDE * 3);
    }
    RF_TRY(rf_png_write(path, canvas.rgb, canvas.width, canvas.height, NULL, 0, 1, err));
done:
    free(canvas.rgb);
    return st;
}
