/* Characters of a prompt as the language's patterns see them: Python's \s, \w, \d and \b.
 *
 * The text is known to be UTF-8 here; places are byte offsets. */
#ifndef RF_PROMPT_CHARS_H
#define RF_PROMPT_CHARS_H

#include "kernels/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at `at`; *bytes is its length. */
int32_t rf_char_at(const char *text, size_t at, size_t *bytes);

/* The first place in [at, end) that is no white space, or `end`. */
size_t rf_skip_space(const char *text, size_t at, size_t end);

/* `end` moved left over white space, not past `start`. */
size_t rf_trim_space(const char *text, size_t start, size_t end);

/* The place after the word characters (letters, numbers, '_') from `at` on, at most `end`. */
size_t rf_skip_word(const char *text, size_t at, size_t end);

/* Whether `word` (ASCII letters) stands at `at` as a whole word; what lies outside [start, end)
 * does not count. */
bool rf_word_is(const char *text, size_t start, size_t end, size_t at, const char *word);

/* [+-]?[.\d]+ at `at`: a decimal number, if it has a digit and no second point. */
typedef struct rf_decimal {
    size_t end; /* after it; `at` if there is none */
    bool   is_number;
} rf_decimal;

rf_decimal rf_decimal_scan(const char *text, size_t at, size_t end);

/* The value of text[at, end), a number of rf_decimal_scan's.  Digits of any script. */
rf_status rf_decimal_value(const char *text, size_t at, size_t end, double *value, rf_error *err);

#endif
