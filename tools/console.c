/* Messages; see console.h.  Failures of stderr itself are ignored: there is nobody left to tell. */
#include "tools/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/exit_codes.h"
#include "tools/json.h"
#include "tools/signals.h"

void rf_console_init(rf_console *console, const char *color)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR"); /* no-color.org: any non-empty value */
    const int   dumb = !term || strcmp(term, "dumb") == 0;
    console->terminal = isatty(STDERR_FILENO) && !dumb;
    console->color = console->terminal && !(no_color && *no_color);
    if (strcmp(color, "always") == 0) console->color = 1;
    if (strcmp(color, "never") == 0) console->color = 0;
}

void rf_console_line(rf_console *console, const char *text)
{
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
    console->line_open = 1;
}

void rf_console_clear_line(rf_console *console)
{
    if (!console->line_open) return;
    fputs("\r\033[K", stderr);
    console->line_open = 0;
}

static void say(rf_console *console, const char *kind, const char *paint, const char *message)
{
    rf_console_clear_line(console);
    const char *on = console->color ? paint : "", *off = console->color && *paint ? "\033[0m" : "";
    fprintf(stderr, "refinery: %s%s%s%s\n", on, kind, off, message);
}

void rf_console_note(rf_console *console, const char *message)
{
    if (!console->quiet) say(console, "", "", message);
}

void rf_console_warning(rf_console *console, const char *message)
{
    if (!console->quiet) say(console, "warning: ", "\033[33m", message);
}

/* What usually helps; the sentence itself already says what is wrong. */
static const char *usual_hint(rf_status status)
{
    switch (status) {
    case RF_E_EXISTS: return "--overwrite replaces it";
    case RF_E_NOMEM: return "a smaller --size or --batch needs less; --dry-run tells how much";
    case RF_E_NAN:
        return "try another --seed; if it always happens, the file may be damaged or need another "
               "--vae";
    case RF_E_SHAPE:
    case RF_E_BUG: return "this is a bug in refinery; please report the command and this message";
    default: return "";
    }
}

int rf_console_error(rf_console *console, rf_status status, const rf_trouble *trouble)
{
    if (status == RF_E_CANCELLED && rf_signals_caught()) {
        /* The handler has spoken; only machines need more. */
        if (console->json) rf_json_print_error(status, "interrupted", "");
        return rf_signals_caught();
    }
    const char *hint = *trouble->hint ? trouble->hint : usual_hint(status);
    say(console, "error: ", "\033[1;31m", trouble->error.message);
    if (*hint) say(console, "hint: ", "\033[36m", hint);
    if (console->json) rf_json_print_error(status, trouble->error.message, hint);
    return rf_exit_code(status);
}

rf_status rf_console_flush(rf_error *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return RF_OK;
    const int         code = errno;
    const rf_status   st = code == ENOSPC ? RF_E_NO_SPACE : RF_E_IO;
    const char *const why = code == EBADF ? "it is closed" : strerror(code);
    return rf_fail(err, st, "cannot write to standard output: %s", why);
}

void rf_trouble_hint(rf_trouble *trouble, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trouble->hint, sizeof trouble->hint, format, args);
    va_end(args);
    for (char *p = trouble->hint; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
}
