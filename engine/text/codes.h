/* A growable list of Unicode code points, and the character classes that tokenizers ask for.
 *
 * Text is cleaned as code points and not as UTF-8 because the rules of ftfy, html.unescape and the
 * splitting pattern count characters. */
#ifndef RF_CODES_H
#define RF_CODES_H

#include "kernels/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rf_codes { /* {0} is an empty list */
    int32_t *at;          /* [length] */
    size_t   length, capacity;
} rf_codes;

void rf_codes_free(rf_codes *codes); /* leaves an empty list */

/* All of these append; RF_E_NOMEM leaves the list as it was. */
rf_status rf_codes_push(rf_codes *codes, int32_t code, rf_error *err);
rf_status rf_codes_append(rf_codes *codes, const int32_t *from, size_t count, rf_error *err);

/* Appends the code points of `bytes` bytes of UTF-8; RF_E_ARG names the offset of the first byte
 * that is not. */
rf_status rf_codes_decode(rf_codes *codes, const char *text, size_t bytes, rf_error *err);

/* White_Space, as Python's str.isspace and \s, less U+001C to U+001F, which no cleaned text has. */
bool rf_code_is_space(int32_t code);
bool rf_code_is_letter(int32_t code); /* \p{L} */
bool rf_code_is_number(int32_t code); /* \p{N} */

/* The C1 controls U+0080 to U+009F as the characters that Windows-1252 has at those bytes (five of
 * which it leaves as they are), any other character as itself. */
int32_t rf_code_from_windows_1252(int32_t code);

/* Python's str.lower(): one-to-one but for U+0130, and U+03A3 by its context (Unicode 3.13,
 * Final_Sigma).  Appends to `out`. */
rf_status rf_codes_lower(const rf_codes *in, rf_codes *out, rf_error *err);

/* Unicode normalisation form C, in place; `scratch` is overwritten.  Linear in the length, also
 * where a hostile text has a million combining marks in a row. */
rf_status rf_codes_nfc(rf_codes *codes, rf_codes *scratch, rf_error *err);

#endif
