/* What the command says.  Results go to stdout, everything else to stderr.  Every message has the
 * form "refinery: error: <sentence>", with a second line "refinery: hint: ..." where one helps. */
#ifndef RF_CONSOLE_H
#define RF_CONSOLE_H

#include "kernels/status.h"

/* An error and, if there is one, its remedy. */
typedef struct rf_trouble {
    rf_error error;
    char     hint[400]; /* "" for the usual hint of this status, if it has one */
} rf_trouble;

typedef struct rf_console {
    int json;      /* results, and errors too, are JSON objects on stdout */
    int quiet;     /* errors only */
    int verbose;   /* more than the default */
    int color;     /* stderr takes colour */
    int terminal;  /* stderr is a terminal on which a line can be redrawn */
    int line_open; /* a progress line stands there; every message clears it first */
} rf_console;

/* Reads NO_COLOR and TERM.  `color` is "auto", "always" or "never". */
void rf_console_init(rf_console *console, const char *color);

void rf_console_note(rf_console *console, const char *message);    /* unless quiet */
void rf_console_warning(rf_console *console, const char *message); /* unless quiet */

/* Reports a failure and returns its exit code. */
int rf_console_error(rf_console *console, rf_status status, const rf_trouble *trouble);

/* Redraws the progress line (the terminal's one, so only if console->terminal, or on demand). */
void rf_console_line(rf_console *console, const char *text);

/* Removes the progress line, leaving the cursor on an empty one. */
void rf_console_clear_line(rf_console *console);

/* RF_E_IO if anything printed on stdout so far did not arrive. */
rf_status rf_console_flush(rf_error *err);

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void rf_trouble_hint(rf_trouble *trouble, const char *format, ...);

#endif
