/* See canvas.h. */
#include "tools/pictures/canvas.h"

#include <stdlib.h>
#include <string.h>

rf_status rf_canvas_create(rf_canvas *out, int width, int height, rf_error *err)
{
    const size_t bytes = (size_t)width * (size_t)height * 3;
    *out = (rf_canvas){.rgb = malloc(bytes), .width = width, .height = height};
    if (!out->rgb)
        return rf_fail(err, RF_E_NOMEM, "no memory for a picture of %dx%d pixels", width, height);
    memset(out->rgb, 255, bytes);
    return RF_OK;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static uint8_t *pixel_at(const rf_canvas *canvas, int x, int y)
{
    return canvas->rgb + ((size_t)y * (size_t)canvas->width + (size_t)x) * 3;
}

void rf_canvas_fill(rf_canvas *canvas, int x, int y, int width, int height, rf_colour colour)
{
    const int right = least(x + width, canvas->width), bottom = least(y + height, canvas->height);
    for (int row = most(y, 0); row < bottom; row++)
        for (int column = most(x, 0); column < right; column++) {
            uint8_t *to = pixel_at(canvas, column, row);
            to[0] = colour.r, to[1] = colour.g, to[2] = colour.b;
        }
}

void rf_canvas_place(rf_canvas *canvas, int x, int y, const rf_pixels *picture)
{
    const int left = most(x, 0), right = least(x + picture->width, canvas->width);
    const int bottom = least(y + picture->height, canvas->height);
    if (left >= right) return;
    for (int row = most(y, 0); row < bottom; row++)
        memcpy(pixel_at(canvas, left, row),
               picture->rgb + ((size_t)(row - y) * (size_t)picture->width + (size_t)(left - x)) * 3,
               (size_t)(right - left) * 3);
}
