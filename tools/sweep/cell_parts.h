/* What cells.c is made of: prompts, questions to the engine, warnings.  For tools/sweep/ alone. */
#ifndef RF_SWEEP_CELL_PARTS_H
#define RF_SWEEP_CELL_PARTS_H

#include "tools/sweep/cells.h"

enum { RF_CELL_SIDES = 2, RF_CELL_TEXTS = RF_REQUEST_STAGES * RF_CELL_SIDES };

/* The texts of one choice of Prompt S/R values; of each stage prompt and negative, NULL as in
 * rf_stage. */
typedef struct rf_cell_texts {
    const char *of[RF_REQUEST_STAGES][RF_CELL_SIDES];
} rf_cell_texts;

typedef struct rf_cell_maker {
    rf_cells         *cells;
    const rf_request *request;
    int               refines;                      /* some cell has a second stage */
    int               file_axis[RF_REQUEST_STAGES]; /* that tells the file; -1: the request does */
    int              *file_of[RF_REQUEST_STAGES]; /* each of its values, or what the request has */
    rf_cell_texts    *texts;                      /* [choices] */
    int               choices;
    void (*warn)(void *user, const char *message);
    void       *user;
    rf_trouble *trouble;
} rf_cell_maker;

/* count * size zeroed bytes that live as long as the cells; NULL without memory. */
void *rf_cells_take(rf_cells *cells, size_t count, size_t size);

/* Which of `texts` a cell has. */
int rf_cell_choice(const rf_cells *cells, const int at[RF_AXES]);

/* Fills `texts` (cell_prompts.c).  RF_E_ARG: nothing to replace, or too long. */
rf_status rf_cell_texts_make(rf_cell_maker *maker);

/* The request's job, with both stages and without prompts; then one value of an axis in it, but
 * for files and prompts, which are settled apart. */
void rf_cell_begin(rf_cell *cell, const rf_request *request);
void rf_cell_apply(rf_cell *cell, const rf_axis *axis, int value);

/* Asks the engine about values that it alone can judge (cell_check.c).  RF_E_ARG names them. */
rf_status rf_cells_check(const rf_cell_maker *maker);

/* Tells of axes that do less than one would think (cell_warnings.c). */
void rf_cells_warn(const rf_cell_maker *maker);

#endif
