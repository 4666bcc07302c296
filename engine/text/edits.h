/* Prompt edits, [from:to:when] and [a|b|c]: where they are in a text.
 *
 * The grammar (docs/prompts.md) is parsed in one pass with a stack of open brackets and no
 * backtracking.  That works because nothing but a group may stand at a bracket: what breaks the
 * innermost open group breaks all groups around it, and their brackets become plain characters,
 * while groups completed inside them stay groups.
 *
 * The result is a list of marks over the text, not a tree: between two marks the text is copied,
 * and a mark says where to go on.  So rendering needs no stack either. */
#ifndef RF_EDITS_H
#define RF_EDITS_H

#include "engine/text/prompt_context.h"

#include <stdint.h>

typedef enum rf_edit_kind {
    RF_EDIT_PLAIN,     /* a bracket or separator that turned out to be a character */
    RF_EDIT_TO,        /* [ of [to:when] */
    RF_EDIT_FROM_TO,   /* [ of [from:to:when] */
    RF_EDIT_ALTERNATE, /* [ of [a|b] */
    RF_EDIT_SEPARATE,  /* : or | of one of these */
    RF_EDIT_CLOSE,     /* ] */
} rf_edit_kind;

typedef struct rf_edit_mark {
    int32_t kind; /* rf_edit_kind */
    int32_t at;   /* its byte in the text */
    int32_t next; /* of an open or separating mark: the group's next mark */
    /* TO, FROM_TO: last call that shows `from` (rf_edits_resolve).  ALTERNATE: options.  SEPARATE
     * and CLOSE: the group's closing mark. */
    int32_t value;
} rf_edit_mark;

typedef struct rf_edits { /* {0} is a text without edits */
    rf_edit_mark *mark;   /* [length], ascending; free with rf_edits_free */
    size_t        length, capacity;
    int           schedules, alternations; /* how many */
    bool          stray_bar, stray_backslash;
} rf_edits;

void rf_edits_free(rf_edits *edits);

/* Parses text[0, length).  With `exact`, a stray '|' or backslash leaves no edits at all; without,
 * they are characters like others, and `switch` may stand for a number. */
rf_status rf_edits_parse(rf_edits *edits, const char *text, size_t length, bool exact,
                         rf_error *err);

/* The `when` of an edit: a number, or the keyword `switch`. */
typedef struct rf_edit_when {
    size_t start, end; /* of the word, white space excluded */
    size_t close;      /* the ']' after it */
    bool   is_fraction;
    int    handover; /* K of switchK, 1 for `switch`; 0 for a number */
} rf_edit_when;

/* Reads the `when` at `at` (after its colon); false if what stands there up to a ']' is none. */
bool rf_edit_when_read(const char *text, size_t at, size_t length, bool exact, rf_edit_when *when);

#endif
