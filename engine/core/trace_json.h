/* The trace as JSON: complete events ("ph": "X") of Chrome's trace event format, which Perfetto
 * opens, one per line, in the order in which they end.  Times are microseconds. */
#ifndef RF_TRACE_JSON_H
#define RF_TRACE_JSON_H

#include <stddef.h>
#include <stdint.h>

enum {
    RF_TRACE_NAME = 256,
    RF_TRACE_PIECE = 64 << 10, /* bytes handed over at a time: an op's event has some 120 */
};

typedef struct rf_trace_json {
    void (*write)(void *user, const char *text, size_t bytes);
    void  *user;
    size_t used;
    char   piece[RF_TRACE_PIECE];
} rf_trace_json;

void rf_trace_json_begin(rf_trace_json *json, const char *process, const char *thread);
/* Names are clean.  start, duration: nanoseconds, not negative. */
void rf_trace_json_range(rf_trace_json *json, const char *category, const char *name, int64_t start,
                         int64_t duration);
void rf_trace_json_end(rf_trace_json *json);

/* Makes a name fit for JSON and for a screen, in place: what is no well-formed UTF-8 (Unicode 15,
 * table 3-7) or a control character becomes '?', byte by byte. */
void rf_trace_clean(char *name);

#endif
