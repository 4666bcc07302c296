/* Splits cleaned, lower-cased text into the words that byte-pair encoding never crosses. */
#ifndef RF_WORDS_H
#define RF_WORDS_H

#include "engine/text/codes.h"

typedef struct rf_word {
    size_t  start, length; /* in code points */
    int32_t special;       /* RF_TOKEN_START, RF_TOKEN_END, or -1 for a word */
} rf_word;

/* The names by which a text can spell the two special tokens, in lower case. */
typedef struct rf_special_names {
    const char *start, *end;
} rf_special_names;

/* The next word at or after *at, which moves past it; false at the end of the text.  The pattern is
 *     specials|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+     ignoring case
 * (CLIPTokenizer.pat, SimpleTokenizer.pat). */
bool rf_word_next(const rf_codes *text, const rf_special_names *names, size_t *at, rf_word *word);

/* The same search for the exact spelling of a special alone: true if text->at[at] starts one. */
bool rf_word_is_special(const rf_codes *text, const rf_special_names *names, size_t at,
                        rf_word *word);

#endif
