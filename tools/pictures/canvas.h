/* A picture that is being put together. */
#ifndef RF_CANVAS_H
#define RF_CANVAS_H

#include "tools/pictures/read_png.h"

typedef struct rf_canvas {
    uint8_t *rgb; /* [height, width, 3]; free() it */
    int      width, height;
} rf_canvas;

typedef struct rf_colour {
    uint8_t r, g, b;
} rf_colour;

/* White.  RF_E_NOMEM; out->rgb is NULL then. */
rf_status rf_canvas_create(rf_canvas *out, int width, int height, rf_error *err);

/* Both stop at the canvas's edges, wherever they are told to begin. */
void rf_canvas_fill(rf_canvas *canvas, int x, int y, int width, int height, rf_colour colour);
void rf_canvas_place(rf_canvas *canvas, int x, int y, const rf_pixels *picture);

#endif
