/* A piece of text that is handed on when it is full; see trace_json.h. */
#include "engine/core/trace_json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/status.h"

/* A line: numbers, and two names whose every byte may need a backslash. */
enum { LINE_MAX_BYTES = 256 + 2 * 2 * RF_TRACE_NAME };

static void put(rf_trace_json *json, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(rf_trace_json *json, const char *format, ...)
{
    va_list args;
    if (sizeof json->piece - json->used < LINE_MAX_BYTES) {
        json->write(json->user, json->piece, json->used);
        json->used = 0;
    }
    va_start(args, format);
    json->used += (size_t)vsnprintf(json->piece + json->used, LINE_MAX_BYTES, format, args);
    va_end(args);
}

typedef struct quoted {
    char text[2 * RF_TRACE_NAME];
} quoted;

static quoted quote(const char *name)
{
    quoted q;
    size_t n = 0;
    for (; *name && n + 3 < sizeof q.text; name++) {
        if (*name == '"' || *name == '\\') q.text[n++] = '\\';
        q.text[n++] = *name;
    }
    q.text[n] = '\0';
    return q;
}

static void put_name(rf_trace_json *json, const char *of, const char *name)
{
    char clean[RF_TRACE_NAME];
    snprintf(clean, sizeof clean, "%s", name);
    rf_trace_clean(clean);
    put(json, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":\"%s\"}}", of,
        quote(clean).text);
}

void rf_trace_json_begin(rf_trace_json *json, const char *process, const char *thread)
{
    put(json, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    put_name(json, "process_name", process);
    put(json, ",\n");
    put_name(json, "thread_name", thread);
}

void rf_trace_json_range(rf_trace_json *json, const char *category, const char *name, int64_t start,
                         int64_t duration)
{
    put(json,
        ",\n{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,"
        "\"ts\":%" PRId64 ".%03d,\"dur\":%" PRId64 ".%03d}",
        quote(name).text, category, start / 1000, (int)(start % 1000), duration / 1000,
        (int)(duration % 1000));
}

void rf_trace_json_end(rf_trace_json *json)
{
    put(json, "\n]}\n");
    json->write(json->user, json->piece, json->used);
    json->used = 0;
}

/* ---- names -------------------------------------------------------------------------------- */

/* Bytes of the well-formed character at `s`; 0: it is none. */
static size_t character(const unsigned char *s)
{
    const unsigned char lead = s[0];
    unsigned char       least = 0x80, most = 0xBF; /* of the second byte */
    size_t              bytes = 0;
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) bytes = 2;
    if (lead >= 0xE0 && lead <= 0xEF) bytes = 3;
    if (lead >= 0xF0 && lead <= 0xF4) bytes = 4;
    if (lead == 0xE0) least = 0xA0;
    if (lead == 0xED) most = 0x9F; /* surrogates */
    if (lead == 0xF0) least = 0x90;
    if (lead == 0xF4) most = 0x8F;
    if (bytes && (s[1] < least || s[1] > most)) return 0;
    for (size_t i = 2; i < bytes; i++)
        if (s[i] < 0x80 || s[i] > 0xBF) return 0;
    return bytes;
}

void rf_trace_clean(char *name)
{
    for (char *p = name; *p;) {
        const size_t bytes = character((const unsigned char *)p);
        if (!bytes) *p = '?';
        p += bytes ? bytes : 1;
    }
    rf_make_printable(name);
}
