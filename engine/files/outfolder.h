/* A folder of files that appears under its name complete or not at all: outfile.h for folders.
 *
 * It grows as `.<name>.<random>.tmp` beside its final place and is then renamed there; with
 * `overwrite` it changes places with the folder that has the name, which is then removed.  Only a
 * folder that holds nothing but what such a folder may hold is ever replaced. */
#ifndef RF_OUTFOLDER_H
#define RF_OUTFOLDER_H

#include "kernels/status.h"

typedef struct rf_outfolder {
    const char *path; /* as given; must outlive this struct */
    char       *temp; /* path of the temporary folder; NULL: none */
    int         overwrite;
} rf_outfolder;

/* 1 if a file of that path inside the folder, "unet/config.json", may be removed with it. */
typedef int rf_outfolder_knows(const char *inside);

/* Whether `path` may become a folder, without creating anything.  RF_E_EXISTS, RF_E_CREATE,
 * RF_E_PERMISSION; with `overwrite` RF_E_EXISTS names the file that `knows` does not. */
rf_status rf_outfolder_check(const char *path, int overwrite, rf_outfolder_knows *knows,
                             rf_error *err);

/* Makes the temporary folder.  *out is ready to be discarded, whatever is returned. */
rf_status rf_outfolder_create(rf_outfolder *out, const char *path, int overwrite,
                              rf_outfolder_knows *knows, rf_error *err);
rf_status rf_outfolder_subfolder(const rf_outfolder *out, const char *name, rf_error *err);
rf_status rf_outfolder_commit(rf_outfolder *out, rf_error *err);
void      rf_outfolder_discard(rf_outfolder *out); /* harmless after a commit; {0} is fine */

#endif
