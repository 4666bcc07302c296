/* gpu_case.h on the first GPU of this machine, through the engine's own device.
 *
 * A limit of shared memory above the GPU's own becomes the GPU's.  Schedules, planted faults and
 * counters are the emulated device's: here they are not looked at. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/core/device.h"
#include "tests/kernels/gpu_case.h"

enum { BUFFERS = 32 };

static rf_device                device;
static rf_gpu                   gpu;
static const struct rf_choices *choices; /* of gpu_choose */
static rf_error                 fault;   /* the first since gpu_use */
static char                    *staging;
static size_t                   staging_bytes;
static struct {
    void  *at;
    size_t bytes;
} buffers[BUFFERS];
static int buffers_used;

const char *gpu_missing(void)
{
    static rf_error why;
    if (!device.kind && rf_device_open_cuda(&device, 0, 1, &why) != RF_OK) return why.message;
    return "";
}

static bool ok(rf_status st, const rf_error *err)
{
    if (st != RF_OK && fault.status == RF_OK) fault = *err;
    return st == RF_OK;
}

const rf_gpu *gpu_use(gpu_settings settings)
{
    cr_assert(!gpu_missing()[0], "%s", gpu_missing());
    fault = (rf_error){0};
    gpu = *(const rf_gpu *)device.stream;
    if (settings.shared_bytes_max < gpu.shared_bytes_max)
        gpu.shared_bytes_max = settings.shared_bytes_max;
    gpu.choices = choices;
    return &gpu;
}

void gpu_choose(const struct rf_choices *table)
{
    choices = table;
}

bool gpu_checked(void)
{
    return false;
}

bool gpu_emulated(void)
{
    return false;
}

const emu_counters *gpu_counts(void)
{
    return NULL;
}

/* Pinned memory of at least `bytes`. */
static char *staged(size_t bytes)
{
    rf_error err = {0};
    if (bytes <= staging_bytes) return staging;
    rf_device_free_staging(&device, staging, staging_bytes);
    staging_bytes = bytes;
    const rf_status st =
        rf_device_alloc_staging(&device, (void **)&staging, bytes, "staging", &err);
    cr_assert_eq(st, RF_OK, "%s", err.message);
    return staging;
}

void *gpu_unwritten(size_t bytes)
{
    rf_error err = {0};
    cr_assert_lt(buffers_used, BUFFERS, "raise BUFFERS");
    void **at = &buffers[buffers_used].at;
    cr_assert_eq(rf_device_alloc(&device, at, bytes, "a test's buffer", &err), RF_OK, "%s",
                 err.message);
    buffers[buffers_used++].bytes = bytes;
    /* initcheck of compute-sanitizer would take the filling for the writing. */
    if (*at && !getenv("RF_GPU_UNFILLED"))
        ok(rf_device_fill(&device, RF_STREAM_OPS, *at, 0xFF, bytes, &err), &err); /* NaN */
    return *at;
}

void *gpu_upload_at(const void *host, size_t bytes, size_t offset)
{
    rf_error err = {0};
    if (!host) return NULL;
    char *to = gpu_unwritten(bytes + offset);
    if (!bytes) return to;
    memcpy(staged(bytes), host, bytes);
    ok(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_UP, to + offset, staging, bytes, &err), &err);
    ok(rf_device_wait(&device, &err), &err); /* the staging is used again */
    return to + offset;
}

void *gpu_upload(const void *host, size_t bytes)
{
    return gpu_upload_at(host, bytes, 0);
}

void gpu_download(void *host, const void *from, size_t bytes)
{
    rf_error err = {0};
    if (!bytes) return;
    ok(rf_device_check(&device, &err), &err); /* a launch that was refused */
    memset(staged(bytes), 0xFF, bytes);       /* what a lost GPU gives */
    if (ok(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_DOWN, staging, from, bytes, &err), &err))
        ok(rf_device_wait(&device, &err), &err);
    memcpy(host, staging, bytes);
}

void gpu_free_all(void)
{
    rf_error err = {0};
    if (!device.kind) return;
    ok(rf_device_wait(&device, &err), &err);
    while (buffers_used) {
        buffers_used--;
        rf_device_free(&device, buffers[buffers_used].at, buffers[buffers_used].bytes);
    }
}

const char *gpu_faults(void)
{
    return fault.message;
}
