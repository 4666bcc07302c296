/* The cells of a finished sweep, as its results.jsonl has them (tools/sweep/results_jsonl.c). */
#ifndef RF_CELL_LINES_H
#define RF_CELL_LINES_H

#include <stddef.h>

#include "engine/files/hash.h"
#include "kernels/status.h"

typedef struct rf_cell_line {
    char   name[24]; /* its picture is FOLDER/cells/NAME.png */
    char   sha256[RF_SHA256_HEX];
    char  *prompt; /* the value of the axis Prompt S/R */
    double point;  /* share of the steps that the base makes, 0..1 */
} rf_cell_line;

/* All cells, at least one; rf_cell_lines_free the list.  What cannot be judged by switch point and
 * prompt is refused: RF_E_ARG for cells that are not done, for sweeps without the axis Prompt S/R
 * or with others than that, Refiner switch at and Seed, and for switch points that are no share of
 * the steps.  RF_E_FORMAT names line and member; RF_E_NOT_FOUND, RF_E_IO, RF_E_NOMEM. */
rf_status rf_cell_lines_read(rf_cell_line **out, size_t *count, const char *folder, rf_error *err);
void      rf_cell_lines_free(rf_cell_line *lines, size_t count); /* NULL is fine */

#endif
