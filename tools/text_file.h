/* A text file that appears under its name complete or not at all.
 *
 * It is written as `.<name>.<process>-<try>.tmp` beside its final place, synced, and renamed there
 * over whatever had the name. */
#ifndef RF_TEXT_FILE_H
#define RF_TEXT_FILE_H

#include <stdio.h>

#include "kernels/status.h"

typedef struct rf_text_file {
    FILE *out; /* write here; errors are kept until rf_text_file_commit */
    char *path, *temp;
} rf_text_file;

/* RF_E_CREATE, RF_E_PERMISSION, RF_E_NO_SPACE, RF_E_NOMEM; *file is zeroed on failure. */
rf_status rf_text_file_create(rf_text_file *file, const char *path, rf_error *err);

/* Syncs and renames; afterwards *file is zeroed, and after a failure nothing is left behind.
 * RF_E_NO_SPACE, RF_E_IO. */
rf_status rf_text_file_commit(rf_text_file *file, rf_error *err);
void      rf_text_file_discard(rf_text_file *file); /* {0} is fine */

#endif
