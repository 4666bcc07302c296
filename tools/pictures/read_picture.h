/* A picture that somebody gives: PNG or JPEG, told by its first bytes, not by its name.
 *
 * Whatever is in the file becomes 8-bit RGB as Pillow would have it: 16 bits lose the lower eight,
 * grey and palettes become colours, what is transparent shows the paper, and the picture is turned
 * as its EXIF data say.  Colour profiles and gamma are not looked at. */
#ifndef RF_READ_PICTURE_H
#define RF_READ_PICTURE_H

#include <stddef.h>

#include "tools/pictures/read_png.h"

enum {
    RF_PICTURE_SIDE_MAX = 1 << 14,
    RF_PICTURE_PIXELS_MAX = 1 << 26, /* of 8192x8192, the largest picture that is rendered */
    RF_PICTURE_HEX = 65,             /* digits of a SHA-256, and NUL */
};

/* `paper`: the grey (255: white) behind what is transparent.  hex (may be NULL): the file's
 * SHA-256.  RF_E_NOT_FOUND, RF_E_PERMISSION, RF_E_IO, RF_E_NOMEM; RF_E_FORMAT: neither PNG nor
 * JPEG, damaged, cut off, or too large, which is known before anything is decoded.  out->rgb is
 * NULL then. */
rf_status rf_picture_read(rf_pixels *out, char hex[RF_PICTURE_HEX], const char *path, uint8_t paper,
                          rf_error *err);

/* ---- its parts ---------------------------------------------------------------------------- */

typedef struct rf_picture_bytes { /* a whole file */
    const unsigned char *data;
    size_t               bytes;
    const char          *path;  /* for messages */
    uint8_t              paper; /* see above */
} rf_picture_bytes;

/* Both give the pixels as they lie in the file, and how it says they are to be turned (1..8; 1 is
 * not at all).  Errors as rf_picture_read. */
rf_status rf_picture_decode_png(rf_pixels *out, int *orientation, const rf_picture_bytes *file,
                                rf_error *err);
rf_status rf_picture_decode_jpeg(rf_pixels *out, int *orientation, const rf_picture_bytes *file,
                                 rf_error *err);

/* *bytes = room for width x height pixels of `channels` bytes.  RF_E_FORMAT: too many. */
rf_status rf_picture_check_size(size_t *bytes, uint32_t width, uint32_t height, int channels,
                                const char *path, rf_error *err);

/* Exif's tag 0x0112 of a TIFF structure ("Exif\0\0" before it is skipped); 1 if it does not tell,
 * or is damaged: a picture is not refused for what stands beside it. */
int rf_exif_orientation(const unsigned char *data, size_t bytes);

/* Turns the picture as an orientation of 1..8 asks (Exif 2.3, 4.6.4).  RF_E_NOMEM: as it was. */
rf_status rf_picture_turn(rf_pixels *picture, int orientation, rf_error *err);

#endif
