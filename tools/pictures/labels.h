/* Text on pictures, drawn by FreeType with the font in the program.
 *
 * Where letters stand follows from the font's design units alone, so that a text's layout does not
 * depend on hinting.  Any bytes may be given: what is not UTF-8 becomes U+FFFD, control characters
 * and line breaks become blanks, what the font lacks becomes its empty box.  Letters stand one
 * after the other: no ligatures, no right-to-left order. */
#ifndef RF_LABELS_H
#define RF_LABELS_H

#include "tools/pictures/canvas.h"

typedef struct rf_labels rf_labels; /* the opened font */

rf_status rf_labels_open(rf_labels **out, rf_error *err); /* RF_E_NOMEM, RF_E_BUG */
void      rf_labels_close(rf_labels *labels);             /* NULL is fine */

typedef enum rf_align { RF_ALIGN_LEFT = 0, RF_ALIGN_CENTRE, RF_ALIGN_RIGHT } rf_align;

typedef struct rf_label_style {
    int       size;  /* of the letters, pixels */
    int       lines; /* at most so many, 1 .. RF_LABEL_LINES */
    rf_align  align;
    rf_colour ink;
} rf_label_style;

enum { RF_LABEL_LINES = 16 };

typedef struct rf_label_line {
    const char *text; /* inside the text that was broken */
    int         bytes;
    int         width; /* pixels, with the ellipsis if it ends in one */
    int         cut;   /* ends in an ellipsis */
} rf_label_line;

typedef struct rf_label { /* a text, broken into lines */
    rf_label_line line[RF_LABEL_LINES];
    int           lines;
    int           width, height; /* of all of it */
} rf_label;

/* Breaks `text` (NULL: empty) into lines of at most `width` pixels, between words where it can (an
 * unbreakable word is broken anywhere, a letter that is wider than `width` stands alone); what does
 * not fit style->lines ends in an ellipsis.  `out` points into `text`. */
void rf_label_make(rf_labels *labels, rf_label *out, const rf_label_style *style, const char *text,
                   int width);

/* Draws it with the upper left corner of its first line at x, y; lines are aligned within `width`
 * pixels.  Cut at the canvas's edges. */
void rf_label_draw(rf_labels *labels, rf_canvas *canvas, const rf_label_style *style,
                   const rf_label *label, int x, int y, int width);

int rf_label_line_height(int size); /* of letters of that size */

#endif
