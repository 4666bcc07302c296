/* What lies in the folder of a sweep: which files are its own by their names, and which go. */
#ifndef RF_SWEEP_FOLDER_FILES_H
#define RF_SWEEP_FOLDER_FILES_H

#include "tools/sweep/sweep.h"

/* Whether nothing is in the folder that somebody could miss; it need not exist.  A sweep.identity
 * alone is nothing: its maker was killed before it had a journal. */
rf_status rf_folder_is_empty(const char *folder, int *empty, rf_error *err);

/* A grid, page or table of any sweep that lies there, by its name; "": none. */
void rf_folder_find_output(const char *folder, char name[NAME_MAX + 1]);

/* Removes all of them. */
rf_status rf_folder_remove_outputs(const char *folder, rf_error *err);

/* Removes temporary files of killed processes, under the journal's lock: those that were to become
 * files of this process. */
void rf_folder_remove_orphans(const rf_sweep *s, const char *folder, int in_cells);

/* Names what an earlier sweep has left and this one does not replace: in cells/; grids of Z values
 * that it has not. */
void rf_folder_warn_of_cells(rf_sweep *s, const char *cells);
void rf_folder_warn_of_grids(rf_sweep *s);

#endif
