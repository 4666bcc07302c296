/* A strict JSON cursor: no tree, no allocation, no recursion.
 *
 * Strings are unescaped and NUL-terminated where they stand (an escape is never shorter than what
 * it means).  The text is either whole in memory, and strings live as long as it; or it comes from
 * a source piece by piece through a window of fixed size, and a string lives until the next call:
 * so a header of any length is checked in the memory of its window.
 * RFC 8259 to the letter, and stricter: no NUL in strings, no byte order mark. */
#ifndef RF_JSON_SCAN_H
#define RF_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* Reads up to `room` bytes into `to`; 0: there are no more. */
typedef size_t rf_json_source(void *user, char *to, size_t room);

typedef struct rf_json {
    char       *at, *end; /* the unread part of what is in memory */
    const char *error;    /* NULL while all is well: what is wrong at `at`; the first error stays */
    /* Of a text in pieces; else all zeros. */
    rf_json_source *source;
    void           *user;
    char           *window;  /* [room] */
    size_t          room;    /* RF_JSON_WINDOW, or as much as the whole text and some more */
    uint64_t        before;  /* bytes of the text that have left the window */
    size_t          skipped; /* values so far */
} rf_json;

enum {
    RF_JSON_DEPTH = 64,           /* of values that are skipped */
    RF_JSON_SKIP_MAX = 1 << 16,   /* such values in one text */
    RF_JSON_DIGITS = 64,          /* of one number */
    RF_JSON_STRING_MAX = 1 << 18, /* bytes of one string that a window keeps */
    RF_JSON_WINDOW = RF_JSON_STRING_MAX + (1 << 16),
    RF_JSON_MORE = 16, /* than the text */
};

/* How far `at` is from the start of a text in pieces. */
uint64_t rf_json_offset(const rf_json *j);

/* 1 if nothing is left. */
int rf_json_is_over(rf_json *j);

void rf_json_space(rf_json *j); /* skips white space */

/* Skips white space, then takes `c` if it is next; 1 if it was. */
int rf_json_take(rf_json *j, char c);

/* The same, but its absence is an error.  Functions below return 0 after an error. */
int rf_json_expect(rf_json *j, char c, const char *error);

/* *bytes = the string's length; where that is above RF_JSON_STRING_MAX and the text comes in
 * pieces, *text is "". */
int rf_json_string(rf_json *j, char **text, size_t *bytes);

/* An integer in 0 .. 2^63-1, written with digits alone. */
int rf_json_integer(rf_json *j, int64_t *value);

/* Any value, checked and thrown away. */
int rf_json_skip(rf_json *j);

#endif
