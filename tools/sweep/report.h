/* What a sweep leaves behind for people: labelled grids, a page, and a line of JSON per cell. */
#ifndef RF_SWEEP_REPORT_H
#define RF_SWEEP_REPORT_H

#include "tools/sweep/cells.h"
#include "tools/sweep/journal.h"

/* A finished sweep, or what there is of one. */
typedef struct rf_sweep_story {
    const rf_cells       *cells;
    const rf_cell_record *record; /* [cells->count] */
    const char           *folder; /* pictures are FOLDER/cells/NAME.png */
    const char           *title;  /* the base prompt */
    const char           *device;
    int64_t calls_naive, calls_shared; /* of the whole sweep, as one process plans it: resumed, by
                                          many or by one, its grids have the same bytes */
    /* of this sitting */
    int64_t calls_made; /* by all ranks */
    int     ranks;
    double  load_s, encode_s, denoise_s, decode_s, write_s; /* of all ranks together */
    double  wall_s;
    int (*stop)(void); /* not 0: somebody waits for the end, RF_E_CANCELLED; NULL: never */
} rf_sweep_story;

/* FOLDER/grid.png, or grid-z00.png ... for several Z values: cells in rows and columns, each at
 * most `cell_pixels` on its longer side (0: as they are, shrunk only where the grid would exceed
 * 16384 pixels), column labels above, row labels at the left, the Z label and the wrapped prompt on
 * top; failed and missing cells are grey and say so.  Text by FreeType, with the font in the
 * program.  Atomic, like every picture. */
rf_status rf_grids_write(const rf_sweep_story *story, int cell_pixels, rf_error *err);

/* FOLDER/report.html: one file that needs nothing else (thumbnails inside, JPEG-free: PNG), with
 * the grid, zoom, a slider over the switch point where there is such an axis, parameters on hover,
 * timings and the saving.  Text of the user's is escaped. */
rf_status rf_report_html_write(const rf_sweep_story *story, rf_error *err);

/* FOLDER/results.jsonl: one object per cell in order: name, axis values, seed, state, file, sha256,
 * error, seconds, and the job's parameters. */
rf_status rf_results_write(const rf_sweep_story *story, rf_error *err);

#endif
