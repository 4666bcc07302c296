/* JSON on stdout: one object per line.  File names may be any bytes, JSON must be UTF-8: what is
 * not becomes U+FFFD. */
#ifndef RF_JSON_H
#define RF_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "kernels/status.h"

json_t *rf_json_text(const char *s);     /* null for NULL */
json_t *rf_json_real(double v);          /* null for NaN and infinities */
json_t *rf_json_single(float v);         /* the shortest decimal that is `v` as a float */
json_t *rf_json_bytes(size_t bytes);     /* a size that never overflows JSON's 63 bits */
json_t *rf_json_seconds(double seconds); /* rounded to microseconds */

/* Prints `object` and a line break and gives it back (steals the reference).  RF_E_NOMEM if it is
 * NULL or incomplete. */
rf_status rf_json_print(json_t *object, rf_error *err);

/* {"error":{"code","message","hint"}}; silent if even that cannot be made. */
void rf_json_print_error(rf_status status, const char *message, const char *hint);

#endif
