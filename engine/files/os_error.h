/* errno in our words: one table from the operating system's error numbers to rf_status, so that
 * the same trouble gets the same code and sentence wherever it strikes. */
#ifndef RF_OS_ERROR_H
#define RF_OS_ERROR_H

#include "kernels/status.h"

/* The status of `code` (an errno) met while reading an existing file. */
rf_status rf_read_status(int code);

/* The status of `code` met while creating, writing or renaming an output. */
rf_status rf_write_status(int code);

/* "No such file or directory", never NULL; safe from several threads. */
const char *rf_errno_text(int code);

#endif
