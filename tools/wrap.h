/* Text for people in columns. */
#ifndef RF_WRAP_H
#define RF_WRAP_H

#include <stdio.h>

enum { RF_PAGE_COLUMNS = 79 };

/* Characters of UTF-8 `text`: what it takes on a terminal, wide scripts aside. */
int rf_text_columns(const char *text);

/* Prints the first `bytes` of UTF-8 `text`.  Control characters (C0, DEL, C1), which can drive a
 * terminal, become '?'. */
void rf_text_put(FILE *out, const char *text, size_t bytes);

/* Prints `text` behind `indent` blanks, broken at blanks before column RF_PAGE_COLUMNS; line breaks
 * of the text itself are kept.  The first line goes on where the caller stands, if `column` is not
 * 0. */
void rf_text_wrap(FILE *out, const char *text, int indent, int column);

#endif
