/* UTF-8, one character at a time: every text that comes from a file is checked with these. */
#ifndef RF_UTF8_H
#define RF_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed sequence at `text`, of which `left` >= 1 bytes may be read (Unicode 15,
 * table 3-7); 0: it is not well-formed. */
size_t rf_utf8_span(const char *text, size_t left);

/* Whether all of `s` is well-formed and without a NUL. */
int rf_utf8_valid(const char *s, size_t bytes);

/* Writes `c` (at most U+10FFFF, no surrogate), 1 to 4 bytes; returns what follows them. */
char *rf_utf8_put(char *out, uint32_t c);

#endif
