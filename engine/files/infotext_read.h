/* An infotext taken apart by A1111's reading rules: prompt, negative prompt and the pairs of the
 * last line.  What the pairs mean is for others to say. */
#ifndef RF_INFOTEXT_READ_H
#define RF_INFOTEXT_READ_H

#include <stddef.h>

#include "engine/files/infotext.h"
#include "kernels/status.h"

typedef struct rf_infotext_parts {
    char             *prompt, *negative; /* never NULL; "" if there is none */
    rf_infotext_pair *pair;              /* [count], in the order of the text, values unquoted */
    size_t            count;
    char             *memory; /* of the pairs' strings */
} rf_infotext_parts;

/* The last line holds the pairs if it has three or more; else it belongs to the prompt.  A value of
 * the form 1024x768 becomes two pairs, KEY-1 and KEY-2.  Takes linear time whatever the text.
 * RF_E_NOMEM.  Free with rf_infotext_parts_free, after a failure too. */
rf_status rf_infotext_read(rf_infotext_parts *out, const char *text, rf_error *err);
void      rf_infotext_parts_free(rf_infotext_parts *parts); /* zero-filled is fine */

/* The value of `key`, the last one if there are several; NULL if there is none. */
const char *rf_infotext_get(const rf_infotext_parts *parts, const char *key);

#endif
