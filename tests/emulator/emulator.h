/* The emulated device as tests see it: settings, memory, what went wrong, and counters.
 *
 * Kernels compiled by g++ run here, one block after the other, one fiber per thread.  What a kernel
 * file was compiled with decides how much is seen: with the compiler's memory hooks ("checked")
 * every load and store; without ("fast") only what goes through kernels/device/ptx.cuh.
 *
 * A run without a report says "logic verified under emulation" and no more.  One device, used by
 * one thread: tests that want both cores run as two processes. */
#ifndef RF_EMULATOR_H
#define RF_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emu_settings {
    uint64_t seed;       /* 0: threads and blocks in order; else random order and preemption */
    bool     odd_base;   /* shared memory aligned to 16 bytes and no more, as the ABI promises */
    bool     no_races;   /* races are not looked for (large shapes) */
    uint64_t step_limit; /* memory accesses and switches of a block before it counts as endless;
                          * 0 means 4e8 */
    int defect;          /* which of its planted faults a kernel shows: RF_DEFECT; 0: none */
} emu_settings;

void emu_configure(const emu_settings *settings);

/* Whether a kernel of this program was compiled with the memory hooks. */
bool emu_checked(void);

/* Device memory, NaN until written; freed memory is never handed out again.  NULL if exhausted. */
void *emu_alloc(size_t bytes);
void  emu_free(void *device);
void  emu_upload(void *device, const void *host, size_t bytes);
void  emu_download(void *host, const void *device, size_t bytes);

/* A fault, told once per kind and source line of a launch. */
typedef struct emu_report {
    const char *kind; /* "race", "bounds", "uninitialised", "deadlock", "alignment", "warp", ... */
    const char *text; /* what, who, and where in the source */
} emu_report;

int        emu_reports(void); /* since emu_clear; at most 32 are kept */
emu_report emu_report_at(int i);
bool       emu_reported(const char *kind);

/* Counted since emu_clear.  Global traffic is counted per thread, whatever a cache would save. */
typedef struct emu_counters {
    uint64_t threads, switches, barriers;
    uint64_t plain_accesses; /* seen by the hooks: 0 in a fast build */
    uint64_t global_read_bytes, global_written_bytes;
    uint64_t global_accesses;              /* of any size ... */
    uint64_t global_accesses_16;           /* ... and those of 16 bytes at once */
    uint64_t ldmatrix, ldmatrix_conflicts; /* extra passes that rows in the same banks cost */
    uint64_t copies;                       /* cp.async, per thread */
    uint64_t mma, mma_covered; /* those issued while two or more groups were under way */
    uint64_t copy_groups_max;  /* most non-empty groups of a thread under way at an mma */
} emu_counters;

const emu_counters *emu_counts(void);

/* Forgets reports and counters. */
void emu_clear(void);

#ifdef __cplusplus
}
#endif
#endif
