/* What is done when, as nested ranges: for a profiler that listens to NVTX (Nsight Systems, Nsight
 * Compute; domain "refinery"), and as a JSON trace that Perfetto opens.  docs/profiling.md is what
 * users read.
 *
 * Every range has a level, and at most one range of a level is open: opening or closing one closes
 * what is open inside it.  So ranges nest whatever happens, and who leaves after an error closes
 * nothing.
 *
 * An engine has its own trace and hands it on by its device (rf_device.trace).  It is NULL where
 * nobody listens, and all calls take NULL: a render without trace pays a branch per range. */
#ifndef RF_TRACE_H
#define RF_TRACE_H

#include <stddef.h>

#include "kernels/status.h"

typedef enum rf_trace_level {
    RF_TRACE_REQUEST, /* a run of a plan: "request" */
    RF_TRACE_PHASE,   /* "load", "encode", "denoise", "decode", "hand out" */
    RF_TRACE_STAGE,   /* the expert at work, by its name */
    RF_TRACE_STEP,    /* "step 16 of 30 batch 2" */
    RF_TRACE_PART,    /* a network or what else a phase or step consists of: "unet" */
    RF_TRACE_OP,      /* kind and label of an op: "gemm input_blocks.4.1.proj_in" */
    RF_TRACE_LEVELS,
} rf_trace_level;

typedef struct rf_trace rf_trace;

typedef struct rf_trace_options {
    /* Gets the JSON piece by piece, 64 KiB at most at once; the last piece comes from
     * rf_trace_destroy.  NULL: there is none. */
    void (*write)(void *user, const char *text, size_t bytes);
    void       *user;
    const char *device; /* what the process is called there: "cpu: ..." */
    const char *times;  /* what the times are of, as the thread is called: "host" */
} rf_trace_options;

/* *out = NULL if there is neither a `write` nor a profiler that listens.  RF_E_NOMEM. */
rf_status rf_trace_create(rf_trace **out, const rf_trace_options *options, rf_error *err);
void      rf_trace_destroy(rf_trace *trace);

/* Opens a range of that name, which is cut at 255 bytes; what is no printable UTF-8 becomes '?'. */
void rf_trace_begin(rf_trace *trace, rf_trace_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, unless the range that is open at that level has this name: then nothing happens. */
void rf_trace_turn(rf_trace *trace, rf_trace_level level, const char *name);
/* Closes the range of that level, and those inside it, where they are open. */
void rf_trace_end(rf_trace *trace, rf_trace_level level);

/* Whether ranges of RF_TRACE_OP are wanted; at first they are. */
void rf_trace_want_ops(rf_trace *trace, int wanted);

#endif
