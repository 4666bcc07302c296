/* Pixels of a PNG file. */
#ifndef RF_READ_PNG_H
#define RF_READ_PNG_H

#include <stdint.h>

#include "kernels/status.h"

typedef struct rf_pixels {
    uint8_t *rgb; /* [height, width, 3]; free() it */
    int      width, height;
} rf_pixels;

/* Any PNG, converted to 8-bit RGB; at most 16384 pixels a side.  RF_E_NOT_FOUND, RF_E_IO,
 * RF_E_FORMAT, RF_E_NOMEM. */
rf_status rf_png_read(rf_pixels *out, const char *path, rf_error *err);

#endif
