/* JSON as text whose numbers have the fewest digits that read back: 0.3, 3.3, 1e-09. */
#ifndef RF_JSON_DUMP_H
#define RF_JSON_DUMP_H

#include <jansson.h>

/* `indent`: 0 is one line of ASCII, for machines; else lines indented by that many blanks a level,
 * UTF-8, for people.  free() it; NULL: memory ended. */
char *rf_json_dump(const json_t *value, int indent);

#endif
