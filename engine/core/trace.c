/* Open ranges by level, and the two that are told of them; see trace.h. */
#include "engine/core/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/core/trace_json.h"
#include "engine/core/trace_nvtx.h"

typedef struct open_range {
    int     open;
    int64_t start; /* nanoseconds */
    char    name[RF_TRACE_NAME];
} open_range;

struct rf_trace {
    open_range    range[RF_TRACE_LEVELS];
    int           no_ops;
    void         *nvtx;    /* NULL: no profiler listens */
    rf_trace_json json;    /* write NULL: there is none */
    int64_t       created; /* what its times count from */
};

static const char *const LEVELS[RF_TRACE_LEVELS] = {"request", "phase", "stage",
                                                    "step",    "part",  "op"};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

rf_status rf_trace_create(rf_trace **out, const rf_trace_options *options, rf_error *err)
{
    void *nvtx = rf_nvtx_open(LEVELS, RF_TRACE_LEVELS);
    *out = NULL;
    if (!nvtx && !options->write) return RF_OK;
    rf_trace *t = calloc(1, sizeof *t);
    if (!t) {
        rf_nvtx_close(nvtx);
        return rf_fail(err, RF_E_NOMEM, "trace: out of memory");
    }
    t->nvtx = nvtx;
    t->created = now();
    t->json.write = options->write;
    t->json.user = options->user;
    if (t->json.write) rf_trace_json_begin(&t->json, options->device, options->times);
    *out = t;
    return RF_OK;
}

void rf_trace_destroy(rf_trace *t)
{
    if (!t) return;
    rf_trace_end(t, RF_TRACE_REQUEST);
    rf_nvtx_close(t->nvtx);
    if (t->json.write) rf_trace_json_end(&t->json);
    free(t);
}

void rf_trace_want_ops(rf_trace *t, int wanted)
{
    if (t) t->no_ops = !wanted;
}

void rf_trace_end(rf_trace *t, rf_trace_level level)
{
    if (!t) return;
    for (int i = RF_TRACE_LEVELS - 1; i >= (int)level; i--) {
        open_range *r = &t->range[i];
        if (!r->open) continue;
        r->open = 0;
        if (t->nvtx) rf_nvtx_pop(t->nvtx);
        if (t->json.write)
            rf_trace_json_range(&t->json, LEVELS[i], r->name, r->start - t->created,
                                now() - r->start);
    }
}

void rf_trace_begin(rf_trace *t, rf_trace_level level, const char *format, ...)
{
    if (!t) return;
    rf_trace_end(t, level);
    if (level == RF_TRACE_OP && t->no_ops) return;
    open_range *r = &t->range[level];
    va_list     args;
    va_start(args, format);
    vsnprintf(r->name, sizeof r->name, format, args);
    va_end(args);
    rf_trace_clean(r->name);
    r->open = 1;
    if (t->nvtx) rf_nvtx_push(t->nvtx, (int)level, r->name);
    r->start = now();
}

void rf_trace_turn(rf_trace *t, rf_trace_level level, const char *name)
{
    char clean[RF_TRACE_NAME];
    if (!t) return;
    snprintf(clean, sizeof clean, "%s", name);
    rf_trace_clean(clean);
    if (!t->range[level].open || strcmp(t->range[level].name, clean) != 0)
        rf_trace_begin(t, level, "%s", name);
}
