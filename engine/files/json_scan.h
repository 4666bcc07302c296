/* A strict JSON cursor over a buffer of known length: no tree, no allocation, no recursion.
 *
 * Strings are unescaped and NUL-terminated where they stand (an escape is never shorter than what
 * it means), so names and values are plain pointers into the buffer, which must outlive them.
 * RFC 8259 to the letter, and stricter: no NUL in strings, no byte order mark. */
#ifndef RF_JSON_SCAN_H
#define RF_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct rf_json {
    char       *at, *end; /* the unread part */
    const char *start;
    const char *error; /* NULL while all is well: what is wrong at `at`; the first error stays */
} rf_json;

enum { RF_JSON_DEPTH = 64 }; /* of values that are skipped */

void rf_json_space(rf_json *j); /* skips white space */

/* Skips white space, then takes `c` if it is next; 1 if it was. */
int rf_json_take(rf_json *j, char c);

/* The same, but its absence is an error.  Functions below return 0 after an error. */
int rf_json_expect(rf_json *j, char c, const char *error);

int rf_json_string(rf_json *j, char **text, size_t *bytes);

/* An integer in 0 .. 2^63-1, written with digits alone. */
int rf_json_integer(rf_json *j, int64_t *value);

/* Any value, checked and thrown away. */
int rf_json_skip(rf_json *j);

#endif
