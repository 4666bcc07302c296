/* HTML character references (&amp; &#38; &#x26;), decoded by two sets of rules.
 *
 * Both tokenizers run ftfy, which decodes what is unmistakable (a semicolon ends it); bigG's runs
 * Python's html.unescape after it, which follows browsers ("&notit" is U+00AC and "it"). */
#ifndef RF_ENTITIES_H
#define RF_ENTITIES_H

#include "engine/text/codes.h"

typedef struct rf_entities rf_entities; /* read-only once made: threads may share it */

rf_status rf_entities_create(rf_entities **out, rf_error *err);
void      rf_entities_destroy(rf_entities *entities);

/* One pass of ftfy's unescape_html over `in`; appends to `out`. */
rf_status rf_unescape_ftfy(const rf_entities *entities, const rf_codes *in, rf_codes *out,
                           rf_error *err);

/* One html.unescape of `in` (HTML standard 13.2.5.72 to 80); appends to `out`. */
rf_status rf_unescape_html(const rf_entities *entities, const rf_codes *in, rf_codes *out,
                           rf_error *err);

#endif
