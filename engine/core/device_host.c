/* The host device: anonymous mappings, on huge pages where the kernel has them. */
#include "engine/core/device.h"

#include <sys/mman.h>
#include <unistd.h>

#include "kernels/host.h"

rf_status rf_device_open_host(rf_device *out, int threads, rf_level level, rf_error *err)
{
    *out = (rf_device){.ops = rf_ops_of(level)};
    rf_host        *host = NULL;
    const rf_status st = rf_host_create(&host, threads, err);
    out->stream = host;
    return st;
}

void rf_device_close(rf_device *device)
{
    rf_host_destroy(device->stream);
    *device = (rf_device){0};
}

int rf_device_threads(const rf_device *device)
{
    return rf_host_threads(device->stream);
}

size_t rf_device_memory_bytes(const rf_device *device)
{
    (void)device;
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (size_t)pages * (size_t)bytes : 0;
}

rf_status rf_device_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                          rf_error *err)
{
    *out = NULL;
    if (bytes == 0) return RF_OK;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return rf_fail(err, RF_E_NOMEM, "%s: cannot get %.1f MiB of memory", what,
                       (double)bytes / (1 << 20));
    madvise(p, bytes, MADV_HUGEPAGE); /* fewer TLB misses; a refusal costs speed alone */
    device->allocations++;
    device->bytes_held += bytes;
    if (device->bytes_held > device->bytes_peak) device->bytes_peak = device->bytes_held;
    *out = p;
    return RF_OK;
}

void rf_device_free(rf_device *device, void *memory, size_t bytes)
{
    if (!memory) return;
    munmap(memory, bytes);
    device->bytes_held -= bytes;
}
