/* Text on a picture: one small typeface, drawn beforehand, so that no font is needed. */
#ifndef RF_LETTERS_H
#define RF_LETTERS_H

#include <stdint.h>

enum {
    RF_LETTERS = 95, /* from the blank to ~ */
    RF_LETTER_HEIGHT = 19,
};

typedef struct rf_letter {
    int         width; /* also how far the pen moves */
    const char *shade; /* [RF_LETTER_HEIGHT, width] hexadecimal digits, 0: paper .. f: ink */
} rf_letter;

extern const rf_letter rf_letters[RF_LETTERS];

typedef struct rf_canvas {
    uint8_t *rgb; /* [height, width, 3] */
    int      width, height;
} rf_canvas;

/* Text (ASCII; anything else is a question mark) in black with its upper left corner at x, y; cut
 * at the canvas's edges. */
void rf_letters_draw(rf_canvas *canvas, int x, int y, const char *text);

int rf_letters_width(const char *text, int bytes); /* of the first `bytes` of it, in pixels */

#endif
