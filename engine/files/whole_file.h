/* A small file read in one piece: pictures and tables of text, whose readers then only have to be
 * safe about a buffer. */
#ifndef RF_WHOLE_FILE_H
#define RF_WHOLE_FILE_H

#include <stddef.h>

#include "kernels/status.h"

/* *out = the bytes of the regular file `path`, and a NUL behind them; free() it.  RF_E_NOT_FOUND,
 * RF_E_PERMISSION, RF_E_IO, RF_E_NOMEM; RF_E_FORMAT if it is larger than `limit`. */
rf_status rf_whole_file_read(char **out, size_t *bytes, const char *path, size_t limit,
                             rf_error *err);

#endif
