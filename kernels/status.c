/* Formatting of errors; see status.h. */
#include "kernels/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drop an incomplete UTF-8 sequence that truncation left at the end of `s`. */
static void trim_partial_utf8(char *s)
{
    const size_t len = strlen(s);
    size_t       lead = len;
    while (lead > 0 && ((unsigned char)s[lead - 1] & 0xC0) == 0x80) lead--;
    if (lead == 0) return;
    const unsigned char first = (unsigned char)s[lead - 1];
    const size_t        need = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (len - (lead - 1) < need) s[lead - 1] = '\0';
}

rf_status rf_fail(rf_error *err, rf_status status, const char *format, ...)
{
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    const int wanted = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (wanted < 0) err->message[0] = '\0';
    if (wanted >= (int)sizeof err->message) trim_partial_utf8(err->message);
    rf_make_printable(err->message);
    return status;
}

void rf_make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7F) *p = '?';
        if (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) { /* U+0080 .. U+009F */
            *p = '?';
            memmove(p + 1, p + 2, strlen((char *)p + 2) + 1);
        }
    }
}

const char *rf_status_name(rf_status status)
{
    switch (status) {
    case RF_OK: return "RF_OK";
    case RF_E_ARG: return "RF_E_ARG";
    case RF_E_SHAPE: return "RF_E_SHAPE";
    case RF_E_NOMEM: return "RF_E_NOMEM";
    case RF_E_NOT_FOUND: return "RF_E_NOT_FOUND";
    case RF_E_IO: return "RF_E_IO";
    case RF_E_NO_SPACE: return "RF_E_NO_SPACE";
    case RF_E_PERMISSION: return "RF_E_PERMISSION";
    case RF_E_EXISTS: return "RF_E_EXISTS";
    case RF_E_CREATE: return "RF_E_CREATE";
    case RF_E_FORMAT: return "RF_E_FORMAT";
    case RF_E_MODEL: return "RF_E_MODEL";
    case RF_E_UNSUPPORTED: return "RF_E_UNSUPPORTED";
    case RF_E_DEVICE: return "RF_E_DEVICE";
    case RF_E_LOST: return "RF_E_LOST";
    case RF_E_NAN: return "RF_E_NAN";
    case RF_E_CANCELLED: return "RF_E_CANCELLED";
    case RF_E_BUG: return "RF_E_BUG";
    }
    return "unknown status";
}
