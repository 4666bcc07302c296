/* Small pictures for pages. */
#ifndef RF_THUMBNAIL_H
#define RF_THUMBNAIL_H

#include <stddef.h>

#include "tools/pictures/read_png.h"

typedef struct rf_thumbnail {
    uint8_t *png; /* a whole PNG file; free() it */
    size_t   bytes;
    int      width, height;
} rf_thumbnail;

/* `picture`, shrunk where a side exceeds `side` pixels.  RF_E_NOMEM; *out is zeroed then. */
rf_status rf_thumbnail_make(rf_thumbnail *out, const rf_pixels *picture, int side, rf_error *err);

/* Width and height that a picture of w x h has where `longest` pixels are drawn as `side`: at least
 * 1, rounded, never more than w and h. */
void rf_shrunk_size(int *width, int *height, int w, int h, int side, int longest);

#endif
