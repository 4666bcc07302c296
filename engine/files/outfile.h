/* A file that appears under its name complete or not at all.
 *
 * It is written as `.<name>.<random>.tmp` beside its final place, synced, and then renamed there
 * without replacing anything unless asked to; the folder is synced too.  After a failure, and
 * after rf_outfile_discard, nothing is left. */
#ifndef RF_OUTFILE_H
#define RF_OUTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct rf_outfile {
    const char *path;      /* as given; must outlive this struct */
    const char *name;      /* its last component */
    int         overwrite; /* 1: replace an existing file */
    int         dir, fd;   /* -1: closed */
    uint64_t    bytes;     /* written so far */
    char        temp[256]; /* name in `dir`; empty once renamed or removed */
} rf_outfile;

/* Checks that `path` can become a file, without creating anything: its folder exists and is
 * writable, nothing of that name is in the way.  RF_E_EXISTS, RF_E_CREATE, RF_E_PERMISSION. */
rf_status rf_outfile_check(const char *path, int overwrite, rf_error *err);

/* Opens the temporary file.  Also RF_E_NO_SPACE, RF_E_IO.  *out is ready to be discarded, whatever
 * is returned. */
rf_status rf_outfile_create(rf_outfile *out, const char *path, int overwrite, rf_error *err);

/* Appends.  RF_E_NO_SPACE, RF_E_IO.  A caller that may pass a file size limit has to ignore
 * SIGXFSZ, or the signal comes first. */
rf_status rf_outfile_write(rf_outfile *out, const void *data, size_t bytes, rf_error *err);

/* Syncs, renames, closes.  The same errors as all of the above. */
rf_status rf_outfile_commit(rf_outfile *out, rf_error *err);

void rf_outfile_discard(rf_outfile *out); /* harmless after a commit; zero-filled is fine */

#endif
