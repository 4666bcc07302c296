/* A picture to start from, and its mask, out of their files: what `render` is given and what
 * `replay` finds again go the same way, so that they have the same bytes. */
#ifndef RF_INIT_FILES_H
#define RF_INIT_FILES_H

#include "engine/refinery.h"
#include "tools/pictures/fit.h"
#include "tools/pictures/read_picture.h"

typedef struct rf_init_files {
    rf_pixels picture; /* rgb NULL: none */
    uint8_t  *mask;    /* of the same size; NULL: none */
    char      sha256[RF_PICTURE_HEX], mask_sha256[RF_PICTURE_HEX];
} rf_init_files;

/* Reads the picture at `path`. */
rf_status rf_init_files_open(rf_init_files *out, const char *path, rf_error *err);

/* Reads the mask at init->mask_path, if there is one, and brings both to width x height as
 * init->resize_mode, mask_blur and mask_inverted say.  A picture that was not opened (it is
 * another job's) is left out.  Then `init` points to the pixels and hashes, which live as long as
 * `files`.  `flag` calls the mask in messages.  RF_E_ARG: it lets nothing be painted. */
rf_status rf_init_files_fit(rf_init_files *files, rf_init *init, int width, int height,
                            const char *flag, rf_error *err);
void      rf_init_files_release(rf_init_files *files); /* {0} is fine */

#endif
