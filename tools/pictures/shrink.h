/* Pictures made smaller. */
#ifndef RF_SHRINK_H
#define RF_SHRINK_H

#include "tools/pictures/read_png.h"

/* *out = `in` at width x height, each from 1 to that of `in`: every pixel is the mean of the area
 * that it covers, in linear light (sRGB decoded, averaged, encoded again: fine bright lines keep
 * their brightness).  Exact: all sums are integers.  RF_E_ARG, RF_E_NOMEM; out->rgb is NULL then.
 */
rf_status rf_shrink(rf_pixels *out, const rf_pixels *in, int width, int height, rf_error *err);

#endif
