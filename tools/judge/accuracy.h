/* How often the judge is right on drawings whose content is known. */
#ifndef RF_ACCURACY_H
#define RF_ACCURACY_H

#include "tools/judge/judge.h"
#include "tools/pictures/read_png.h"

typedef struct rf_accuracy {
    int    drawings;
    int    told[RF_ATTRIBUTES], right[RF_ATTRIBUTES];
    int    style_right;             /* on the side of one half where it belongs */
    double style_mean, style_worst; /* worst: farthest from what it should be */
} rf_accuracy;

/* The sheet holds one drawing of RF_SIDE pixels per line of the list, row by row, all in one style
 * (0: "a", 1: "b").  RF_E_FORMAT if the sheet is too small for the list. */
rf_status rf_accuracy_measure(rf_accuracy *out, const rf_judge *judge, const rf_asked *list,
                              size_t count, const rf_pixels *sheet, int style, rf_error *err);

/* Picture number `index` of a sheet, into rgb [RF_SIDE, RF_SIDE, 3]. */
void rf_sheet_cell(uint8_t *rgb, const rf_pixels *sheet, int index);

#endif
