/* How near a mistyped name is to a known one: what "did you mean" goes by. */
#ifndef RF_NEAR_H
#define RF_NEAR_H

#include <stddef.h>

enum {
    RF_NEAR_BYTES = 64
}; /* of a name with its end; longer ones are near nothing but themselves */

/* Edits (insert, delete, replace: Levenshtein 1966) from `given` to `name`, ASCII case ignored
 * whatever the locale: 0 if they are the same name, SIZE_MAX if they are not near (more edits than
 * a third of the longer one). */
size_t rf_near(const char *given, const char *name);

#endif
