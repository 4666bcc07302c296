/* A picture brought to another size, and a mask made of one. */
#ifndef RF_FIT_H
#define RF_FIT_H

#include "tools/pictures/read_png.h"

/* What becomes of a picture of another shape; A1111's "just resize", "crop and resize", "resize and
 * fill". */
typedef enum rf_fit {
    RF_FIT_RESIZE, /* stretched */
    RF_FIT_CROP,   /* as much of its middle as has the shape */
    RF_FIT_FILL,   /* all of it in the middle, its edges drawn out to the sides */
} rf_fit;

/* Replaces the picture by one of width x height (1..16384), resampled by Lanczos's window of three
 * lobes, widened where it gets smaller (Turkowski 1990), in sRGB as everyone does it.  The weights
 * are integers, so that all machines have the same bytes.  RF_E_NOMEM: it is as it was. */
rf_status rf_picture_fit(rf_pixels *picture, int width, int height, rf_fit fit, rf_error *err);

enum { RF_MASK_BLUR_MAX = 64 };

/* *out = [height, width] of the picture's brightness (ITU-R BT.601), or with `invert` what is
 * missing to 255, blurred by a Gaussian of standard deviation `blur` pixels (0..RF_MASK_BLUR_MAX),
 * cut off at 2.5 of them, mirrored at the edges; free() it.  RF_E_NOMEM. */
rf_status rf_mask_make(uint8_t **out, const rf_pixels *picture, int invert, int blur,
                       rf_error *err);

#endif
