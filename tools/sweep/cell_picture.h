/* What there is to show of a cell: its picture as it stands on disk, or why there is none. */
#ifndef RF_CELL_PICTURE_H
#define RF_CELL_PICTURE_H

#include "tools/pictures/read_png.h"
#include "tools/sweep/report.h"

typedef struct rf_cell_picture {
    rf_pixels pixels;                   /* rgb NULL: there is none */
    char      why[RF_ERROR_BYTES + 32]; /* then: "failed: ...", "not made yet", "damaged: ..." */
} rf_cell_picture;

/* Nothing that can happen to a file is an error of the report: it is told in `why`. */
void rf_cell_picture_read(rf_cell_picture *out, const rf_sweep_story *story, int cell);
void rf_cell_picture_release(rf_cell_picture *picture); /* {0} is fine */

/* "failed: ..." or "not made yet" by the record alone; NULL: done, so there should be a picture.
 * `why` holds RF_ERROR_BYTES + 32. */
const char *rf_cell_absence(char *why, const rf_cell_record *record);

#endif
