/* Where everything of a grid stands: computed before a pixel is drawn, so that a grid that would
 * be too large is planned smaller. */
#ifndef RF_GRID_LAYOUT_H
#define RF_GRID_LAYOUT_H

#include "tools/pictures/labels.h"
#include "tools/sweep/report.h"

enum {
    RF_GRID_SIDE_MAX = 16384,     /* what viewers and sites take, and rf_png_read */
    RF_GRID_BYTES_MAX = 1 << 30,  /* of its pixels in memory */
    RF_GRID_NOTE_BYTES = 1 << 10, /* of a line that is put together: names of axes, counts */
};

typedef struct rf_grid_text {
    rf_label_style style;
    rf_label       label;
    int            y;
} rf_grid_text;

/*   margin | row labels | cells ... | margin
 *
 *   title, the Z value, the legend
 *   name of the x axis, column labels (the y axis's name beside them)
 *   cells
 *   note                                                                                       */
typedef struct rf_grid_layout {
    int z, first; /* which Z value; its first cell */
    int columns, rows;
    int side, longest; /* `longest` pixels of a picture are drawn as `side` */
    int cell_width, cell_height, gap;
    int margin, labels_width; /* of the rows' labels */
    int left, top;            /* of the first cell */
    int width, height;
    int every[2]; /* 1 in so many columns, rows has a label: where cells are tiny */

    rf_grid_text   title, plane, legend, x_name, y_name, note;
    rf_label_style column, row, sentence; /* of labels made while drawing */
    int            columns_y, columns_height;
    char           plane_text[RF_GRID_NOTE_BYTES], legend_text[RF_GRID_NOTE_BYTES],
        note_text[RF_GRID_NOTE_BYTES];
} rf_grid_layout;

/* The layout of the grid of the z-th Z value; cell_pixels as rf_grids_write has it.  *out owns the
 * texts that its labels point to: it must not be copied. */
rf_status rf_grid_layout_make(rf_grid_layout *out, rf_labels *labels, const rf_sweep_story *story,
                              int z, int cell_pixels, rf_error *err);

#endif
