/* The cells of a sweep: one complete job each, made of the request and one value of every axis. */
#ifndef RF_SWEEP_CELLS_H
#define RF_SWEEP_CELLS_H

#include "tools/request.h"
#include "tools/sweep/axes.h"

enum { RF_CELLS_MAX = 100000 };

typedef struct rf_cell {
    int                at[RF_AXES]; /* which value of each axis */
    rf_job             job;         /* count 1; its stages are those below */
    rf_stage          *stages;      /* [stages of the cells]; they lack their experts and LoRAs */
    rf_stage_sampling *sampling;    /* likewise: what stages point to; NULL: none has its own */
    rf_init           *init;        /* of its own strength; NULL: no axis is about that */
    int               *file; /* likewise: index into `files`; -1: no such stage, or no file given */
    const char        *name; /* of its files, without extension: "x03-y01-z00", digits as needed */
} rf_cell;

typedef struct rf_cells {
    rf_axis      axis[RF_AXES];
    rf_cell     *cell; /* [count], x fastest, then y, then z; they stay where they are */
    int          count;
    int          stages; /* most of any cell */
    const char **file;   /* [files]: distinct paths of checkpoints, as given */
    int          files;
    void        *blocks; /* what cells point to */
} rf_cells;

/* Takes the axes over (also on failure: rf_cells_release frees them).  `request` is settled and
 * outlives the cells.  A cell's job is the one that `render` would have for its values.  Values
 * that a job can never have are refused here, naming axis and value: RF_E_ARG; so are more than
 * RF_CELLS_MAX cells.  Of two axes that set the same thing the later one wins, and `warn` hears of
 * it; Prompt S/R axes work one after the other.  `warn` also hears of axes without effect, and of
 * an axis that moves the switch beside a prompt edit whose `when` is a number.  RF_E_NOMEM. */
rf_status rf_cells_make(rf_cells *out, const rf_request *request, rf_axis axis[RF_AXES],
                        void (*warn)(void *user, const char *message), void *user,
                        rf_trouble *trouble);
void      rf_cells_release(rf_cells *cells); /* {0} is fine */

/* The axes of a JSON plan:
 *
 *   {"x": {"axis": "Refiner switch at", "values": ["0-1 [11]"]},
 *    "y": {"axis": "Seed", "values": [1, 2, "random"]}}
 *
 * with a "z" where there is one.  A value is a number, or a string: an item of rf_axis_parse's
 * list, ranges too, but without quotes of its own.  Other members, a member twice and anything
 * behind the object are refused; a file may have 1 MiB.  RF_E_FORMAT names file, member and what
 * was expected; what opening files gives; RF_E_NOMEM.  All of `out` is zeroed on failure. */
rf_status rf_axes_from_json(rf_axis out[RF_AXES], const char *path, rf_trouble *trouble);

/* The same of a plan in memory, which the errors call `path`. */
rf_status rf_axes_from_text(rf_axis out[RF_AXES], const char *path, const char *text,
                            rf_trouble *trouble);

#endif
