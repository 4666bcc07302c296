/* The texts of a picture that is already in memory: what rf_picture_texts_read of refinery.h does
 * with a file. */
#ifndef RF_PICTURE_TEXTS_H
#define RF_PICTURE_TEXTS_H

#include <stddef.h>

#include "engine/refinery.h"

/* Read are at most 16 MB of texts, inflated; of a PNG only what stands before the pixels, where
 * A1111, Pillow and refinery write it.  Of equal keys the last one counts; EXIF wins over the text
 * `parameters`.  `name` is for messages.  RF_E_FORMAT, RF_E_NOMEM. */
rf_status rf_picture_texts_parse(rf_picture_texts **out, const unsigned char *data, size_t bytes,
                                 const char *name, rf_error *err);

#endif
