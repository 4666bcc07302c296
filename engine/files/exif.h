/* The user comment of EXIF data, where A1111 keeps the parameters of its JPEG and WebP pictures. */
#ifndef RF_EXIF_H
#define RF_EXIF_H

#include <stddef.h>

#include "kernels/status.h"

/* `data` is a TIFF structure ("II*" or "MM*" first; an "Exif\0\0" before it is skipped).  *out is
 * its UserComment as UTF-8, free() it, or NULL if it has none.  `name` is for messages.
 * RF_E_FORMAT: damaged, or in a coding other than UNICODE (UTF-16, big-endian without a byte order
 * mark, as A1111 writes it), ASCII or undefined.  RF_E_NOMEM. */
rf_status rf_exif_comment(char **out, const unsigned char *data, size_t bytes, const char *name,
                          rf_error *err);

#endif
