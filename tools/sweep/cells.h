/* The cells of a sweep: one complete job each, made of the request and one value of every axis. */
#ifndef RF_SWEEP_CELLS_H
#define RF_SWEEP_CELLS_H

#include "tools/request.h"
#include "tools/sweep/axes.h"

typedef struct rf_cell {
    int         at[RF_AXES];             /* which value of each axis */
    rf_job      job;                     /* count 1; its stages lack their experts */
    int         file[RF_REQUEST_STAGES]; /* of each stage: index into `files`; -1: no such stage */
    const char *name; /* of its files, without extension: "x03-y01-z00", digits as needed */
} rf_cell;

typedef struct rf_cells {
    rf_axis      axis[RF_AXES];
    rf_cell     *cell; /* [count], x fastest, then y, then z */
    int          count;
    const char **file; /* [files]: distinct paths of checkpoints, as given */
    int          files;
    void        *blocks; /* what cells point to */
} rf_cells;

/* Takes the axes over (also on failure: rf_cells_release frees them).  `request` is settled and
 * outlives the cells.  Values that a job can never have are refused here, naming axis and value:
 * RF_E_ARG.  Of two axes that set the same thing the later one wins, and `warn` hears of it; it
 * also hears of a switch-point axis beside a prompt edit with a number as its `when`
 * (rf_explain tells).  RF_E_NOMEM. */
rf_status rf_cells_make(rf_cells *out, const rf_request *request, rf_axis axis[RF_AXES],
                        void (*warn)(void *user, const char *message), void *user,
                        rf_trouble *trouble);
void      rf_cells_release(rf_cells *cells); /* {0} is fine */

/* The axes of a JSON plan: {"x": {"axis": "Seed", "values": [1, 2]}, "y": ..., "z": ...}; unknown
 * members are refused.  RF_E_FORMAT names file, member and what was expected. */
rf_status rf_axes_from_json(rf_axis out[RF_AXES], const char *path, rf_trouble *trouble);

#endif
