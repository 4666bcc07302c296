/* The device that a kernel test runs on: memory, what went wrong, and settings that only the
 * emulated one heeds.  Tests of CUDA levels use this and nothing else of a device, so that the same
 * source runs on a GPU. */
#ifndef RF_GPU_CASE_H
#define RF_GPU_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/device/gpu.h"
#include "tests/emulator/emulator.h"

/* The devices that must be right: shared memory of a block in bytes. */
#define GPU_SHARED_SMALL (99 * 1024)
#define GPU_SHARED_A100  (163 * 1024)
#define GPU_SHARED_H100  (227 * 1024)

/* One of the three: for tests that have many runs to spread over the devices. */
static inline int gpu_limit(int i)
{
    return i % 3 == 0 ? GPU_SHARED_SMALL : i % 3 == 1 ? GPU_SHARED_A100 : GPU_SHARED_H100;
}

typedef struct gpu_settings {
    int      shared_bytes_max;
    uint64_t seed;   /* of the emulated schedule */
    int      defect; /* the planted fault to show, 0 for none */
} gpu_settings;

/* Why there is no GPU to run on, in a sentence; empty if there is one. */
const char *gpu_missing(void);

/* Whether the device shows planted faults, counts, and runs other schedules: tests of that do
 * GPU_EMULATED_ONLY() first. */
bool gpu_emulated(void);
#define GPU_EMULATED_ONLY()                                                                        \
    do {                                                                                           \
        if (!gpu_emulated()) cr_skip_test("this needs the emulated device");                       \
    } while (0)

/* Counted since gpu_use; NULL on a GPU. */
const emu_counters *gpu_counts(void);

/* Also forgets faults and counts; the result lives until the next call. */
const rf_gpu *gpu_use(gpu_settings settings);

/* The choice table of devices used from now on; NULL, as at first: none. */
void gpu_choose(const struct rf_choices *table);

/* Whether every access of a kernel is looked at. */
bool gpu_checked(void);

void *gpu_upload(const void *host, size_t bytes); /* a copy; NULL of NULL */
void *gpu_upload_at(const void *host, size_t bytes,
                    size_t offset); /* not aligned beyond `offset` */
void *gpu_unwritten(size_t bytes);  /* for workspaces: reading it is a fault */
void  gpu_download(void *host, const void *from, size_t bytes);
void  gpu_free_all(void);

/* What went wrong since gpu_use, one fault a line; empty if nothing did. */
const char *gpu_faults(void);

#endif
