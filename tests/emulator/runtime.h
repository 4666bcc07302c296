/* The stand-in for the CUDA runtime as tests see it: which GPUs there are, which call fails, what
 * was not given back.
 *
 * Work on a stream is put off until somebody waits for it, as late as CUDA allows: what reads a
 * result too early, or writes over memory that a copy has yet to read, gets it wrong every time.
 * Faults of kernels and of calls (pageable memory in a copy, a call that a capture forbids) are
 * also reports of the emulator (emulator.h). */
#ifndef RF_EMULATOR_RUNTIME_H
#define RF_EMULATOR_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emu_gpu {
    int         devices;        /* how many of these there are */
    int         driver_version; /* 13000; 0: no driver */
    const char *name;
    int         major, minor;     /* compute capability */
    size_t      memory_bytes;     /* on it ... */
    size_t      memory_used;      /* ... of which other processes hold this */
    size_t      shared_bytes_max; /* a block may opt in to */
} emu_gpu;

extern const emu_gpu emu_gpu_a100, emu_gpu_rtx4090, emu_gpu_h100;
extern const emu_gpu emu_gpu_emulated; /* one that says what it is */

/* False where a test runs on a real GPU (no_emulator.c) and may not expect what only this does. */
bool emu_runtime_stands_in(void);

/* A machine with these GPUs; everything made before must have been given back. */
void emu_runtime_start(const emu_gpu *gpu);
int  emu_runtime_started(void); /* before it there is no driver */

/* From now on, call number `n` (from 1) fails with `error`, a cudaError_t; 0: none does.  Codes of
 * 214 and from 700 on, but for 701 and those of capture, are sticky as on a GPU: all calls after it
 * fail with the same code. */
void   emu_runtime_fail(size_t n, int error);
size_t emu_runtime_calls(void); /* since emu_runtime_fail or emu_runtime_start */

/* What is counted from now on and not done, for tests to which numbers do not matter: what it would
 * write stays as it is.  It counts when the work is done, not when it is queued. */
typedef enum emu_skip {
    EMU_SKIP_NOTHING,
    EMU_SKIP_GRAPHS,  /* kernels of graphs */
    EMU_SKIP_KERNELS, /* all */
} emu_skip;

void emu_runtime_skip(emu_skip what);

/* What exists: each 0 once all was given back. */
typedef struct emu_held {
    size_t memory_bytes, pinned_bytes;
    int    streams, events, graphs, executables;
} emu_held;

emu_held emu_runtime_held(void);

/* Which GPU is the thread's own (cudaSetDevice). */
int emu_runtime_device(void);

/* Kernels and copies done so far, graphs made and launched, and how often the host waited for a
 * stream or an event; of a profiler: how often it was started and stopped, and the kernels and
 * launches of graphs in between. */
typedef struct emu_done {
    size_t kernels, copies, graphs, graph_launches, waits;
    size_t profile_starts, profile_stops, profiled_kernels, profiled_launches;
} emu_done;

emu_done emu_runtime_done(void);

#ifdef __cplusplus
}
#endif
#endif
