/* Text from users: UTF-8 checks and prompt files. */
#ifndef RF_TEXT_INPUT_H
#define RF_TEXT_INPUT_H

#include <stddef.h>

#include "tools/console.h"

enum { RF_PROMPT_BYTES_MAX = 1 << 20 };

/* Bytes of the well-formed UTF-8 character at `s` (Unicode 15, table 3-7), 0 if there is none. */
size_t rf_utf8_length(const char *s, size_t left);

/* RF_E_ARG unless `text` (NULL is fine) is UTF-8 of at most RF_PROMPT_BYTES_MAX bytes; `flag` is
 * named in the message. */
rf_status rf_text_check(const char *text, const char *flag, rf_trouble *trouble);

/* Reads a whole prompt file ("-": standard input) into *out, to be freed by the caller; `flag` is
 * named in messages.  A byte order mark and final line breaks are dropped, CR LF becomes LF; but
 * not if `verbatim`. */
rf_status rf_prompt_read(char **out, const char *path, const char *flag, int verbatim,
                         rf_trouble *trouble);

#endif
