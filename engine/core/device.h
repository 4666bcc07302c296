/* The device an engine works on: its memory, its op table, and the stream its ops take.
 *
 * Two kinds: the host, whose work is done when a call returns, and a CUDA GPU, whose work is queued
 * in order on a stream and done when rf_device_wait or an event says so.  Code above this file is
 * written for the second and runs on both.  Nothing outside device_cuda.c and the kernels calls the
 * CUDA runtime.
 *
 * All large memory comes from here, and every allocation is counted: tests prove that nothing is
 * allocated once a request is planned.
 *
 * Errors of a GPU come in three classes (device_fault.h).  One that leaves it usable is an error of
 * the call alone.  One that does not is remembered: from then on every call that can fail returns
 * it again, so that the first cause is what a user reads.  Such errors surface late, at a call that
 * has nothing to do with them; the message names the ops that were launched last. */
#ifndef RF_DEVICE_H
#define RF_DEVICE_H

#include <stddef.h>

#include "kernels/ops.h"
#include "kernels/status.h"

enum {
    RF_DEVICE_NAME = 160,
    RF_DEVICE_NOTES = 3, /* ops launched last */
    RF_DEVICE_NOTE_BYTES = 72,
};

typedef struct rf_device {
    const rf_ops                *ops;
    void                        *stream;      /* of ops: rf_host * on the host, rf_gpu * on a GPU */
    const struct rf_device_kind *kind;        /* device_kind.h; NULL: not open */
    void                        *state;       /* of the kind */
    size_t                       allocations; /* successful rf_device_alloc calls so far */
    size_t                       bytes_held, bytes_peak;
    size_t                       staging_held;         /* pinned bytes of rf_device_alloc_staging */
    char                         name[RF_DEVICE_NAME]; /* "cuda:0 NVIDIA H100 80GB HBM3" */
    rf_error                     lost;                 /* status RF_OK: it works */
    char                         note[RF_DEVICE_NOTES][RF_DEVICE_NOTE_BYTES];
    size_t                       notes;
} rf_device;

/* A host device of `threads` threads (0: one per core) at `level`, ref or cpu. */
rf_status rf_device_open_host(rf_device *out, int threads, rf_level level, rf_error *err);

/* The CUDA device number `ordinal`, with `threads` host threads (0: one per core) for work beside
 * the ops.  RF_E_DEVICE says in a sentence what is the matter: a build without CUDA, no driver or
 * too old a one, no such GPU, a GPU that this build has no kernels for, or whose memory is taken.
 */
rf_status rf_device_open_cuda(rf_device *out, int ordinal, int threads, rf_error *err);

/* The CUDA device over the emulator, in programs that are linked with it: tests.  Elsewhere
 * RF_E_DEVICE says so. */
rf_status rf_device_open_emulated(rf_device *out, int threads, rf_error *err);

/* Everything taken from the device must have been given back; zeroed is fine. */
void rf_device_close(rf_device *device);
int  rf_device_threads(const rf_device *device); /* host threads for work beside the ops */

/* Whether the device's memory is the program's own, to read and write without a copy. */
int rf_device_on_host(const rf_device *device);

/* Memory that the device could give to this process in all, bytes; 0 if it does not say. */
size_t rf_device_memory_bytes(const rf_device *device);

/* ---- memory ------------------------------------------------------------------------------- */

/* Memory for ops, aligned to 256 bytes at least; `what` names it in the error.  *out is NULL on
 * failure, and for bytes == 0.  Zeroed on the host; on a GPU it holds anything. */
rf_status rf_device_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                          rf_error *err);
void      rf_device_free(rf_device *device, void *memory, size_t bytes); /* NULL is fine */

/* Host memory that the device copies from and to by itself (pinned). */
rf_status rf_device_alloc_staging(rf_device *device, void **out, size_t bytes, const char *what,
                                  rf_error *err);
void      rf_device_free_staging(rf_device *device, void *staging, size_t bytes); /* NULL is fine */

/* ---- work in order ------------------------------------------------------------------------ */

/* Each stream does its work in order; between the two only events tell what comes first. */
typedef enum rf_stream {
    RF_STREAM_OPS,    /* where device->ops work */
    RF_STREAM_COPIES, /* uploads beside them */
    RF_STREAMS,
} rf_stream;

typedef enum rf_copy { RF_COPY_UP, RF_COPY_DOWN, RF_COPY_WITHIN } rf_copy;

/* Queues a copy.  The host side lies in staging and must stay as it is until the copy is done. */
rf_status rf_device_copy(rf_device *device, rf_stream stream, rf_copy direction, void *dst,
                         const void *src, size_t bytes, rf_error *err);
/* Queues filling with a byte. */
rf_status rf_device_fill(rf_device *device, rf_stream stream, void *dst, int byte, size_t bytes,
                         rf_error *err);
/* Until all work of both streams is done; reports what went wrong in it. */
rf_status rf_device_wait(rf_device *device, rf_error *err);

typedef struct rf_event rf_event;

rf_status rf_event_create(rf_device *device, rf_event **out, rf_error *err);
void      rf_event_destroy(rf_device *device, rf_event *event); /* NULL is fine */
/* Marks the place that `stream` has reached; marking again moves the mark. */
rf_status rf_event_record(rf_device *device, rf_event *event, rf_stream stream, rf_error *err);
/* What is queued on `stream` from now on comes after the mark.  Unmarked events wait for nothing.
 */
rf_status rf_event_hold(rf_device *device, rf_event *event, rf_stream stream, rf_error *err);
/* Until the marked place is done. */
rf_status rf_event_wait(rf_device *device, rf_event *event, rf_error *err);
/* Milliseconds from one mark to the next, both done. */
rf_status rf_event_between(rf_device *device, rf_event *from, rf_event *to, float *ms,
                           rf_error *err);

/* ---- graphs ------------------------------------------------------------------------------- */

typedef struct rf_graph rf_graph;

/* Work queued on RF_STREAM_OPS between begin and end is not done but written down, with every
 * address and size in it.  Meanwhile nothing may be waited for, taken or given back.  Hosts cannot:
 * RF_E_UNSUPPORTED; there programs are walked. */
rf_status rf_capture_begin(rf_device *device, rf_error *err);
rf_status rf_capture_end(rf_device *device, rf_graph **out,
                         rf_error *err);         /* ends it also on error */
void      rf_capture_abandon(rf_device *device); /* instead of end, after an error */
/* Queues all of it again.  `note`: what it is, for errors. */
rf_status rf_graph_launch(rf_device *device, const rf_graph *graph, const char *note,
                          rf_error *err);
void      rf_graph_destroy(rf_device *device, rf_graph *graph); /* NULL is fine */

/* ---- errors ------------------------------------------------------------------------------- */

/* Makes the device the calling thread's own, or says why it cannot be used any more.  Before a
 * thread launches ops by hand; every call above does it itself. */
rf_status rf_device_bind(rf_device *device, rf_error *err);
/* Before an op is launched: what it is, should the GPU fail after it.  Copied. */
void rf_device_note(rf_device *device, const char *what);
/* After an op failed: whether the device was the cause, in a sentence.  RF_OK: it was not. */
rf_status rf_device_check(rf_device *device, rf_error *err);

#endif
