/* The host device: anonymous mappings, on huge pages where the kernel has them; work is done when
 * a call returns, so a stream is nothing and an event is a time of day. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/device_kind.h"
#include "kernels/host.h"

struct rf_event {
    struct timespec at;
};

static void host_close(rf_device *device)
{
    rf_host_destroy(device->stream);
}

static int host_threads(const rf_device *device)
{
    return rf_host_threads(device->stream);
}

static size_t host_memory_bytes(const rf_device *device)
{
    (void)device;
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (size_t)pages * (size_t)bytes : 0;
}

static rf_status host_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                            rf_error *err)
{
    (void)device;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return rf_fail(err, RF_E_NOMEM, "%s: cannot get %.1f MiB of memory", what,
                       (double)bytes / (1 << 20));
    madvise(p, bytes, MADV_HUGEPAGE); /* fewer TLB misses; a refusal costs speed alone */
    *out = p;
    return RF_OK;
}

static void host_free(rf_device *device, void *memory, size_t bytes)
{
    (void)device;
    munmap(memory, bytes);
}

static rf_status host_copy(rf_device *device, rf_stream stream, rf_copy direction, void *dst,
                           const void *src, size_t bytes, rf_error *err)
{
    (void)device, (void)stream, (void)direction, (void)err;
    memcpy(dst, src, bytes);
    return RF_OK;
}

static rf_status host_fill(rf_device *device, rf_stream stream, void *dst, int byte, size_t bytes,
                           rf_error *err)
{
    (void)device, (void)stream, (void)err;
    memset(dst, byte, bytes);
    return RF_OK;
}

static rf_status host_done(rf_device *device, rf_error *err)
{
    (void)device, (void)err;
    return RF_OK;
}

static rf_status host_event_create(rf_device *device, rf_event **out, rf_error *err)
{
    (void)device;
    *out = calloc(1, sizeof **out);
    return *out ? RF_OK : rf_fail(err, RF_E_NOMEM, "event: out of memory");
}

static void host_event_destroy(rf_device *device, rf_event *event)
{
    (void)device;
    free(event);
}

static rf_status host_event_record(rf_device *device, rf_event *event, rf_stream stream,
                                   rf_error *err)
{
    (void)device, (void)stream, (void)err;
    clock_gettime(CLOCK_MONOTONIC, &event->at);
    return RF_OK;
}

static rf_status host_event_hold(rf_device *device, rf_event *event, rf_stream stream,
                                 rf_error *err)
{
    (void)device, (void)event, (void)stream, (void)err;
    return RF_OK;
}

static rf_status host_event_wait(rf_device *device, rf_event *event, rf_error *err)
{
    (void)device, (void)event, (void)err;
    return RF_OK;
}

static rf_status host_event_between(rf_device *device, rf_event *from, rf_event *to, float *ms,
                                    rf_error *err)
{
    (void)device, (void)err;
    *ms = (float)(1e3 * (double)(to->at.tv_sec - from->at.tv_sec) +
                  1e-6 * (double)(to->at.tv_nsec - from->at.tv_nsec));
    return RF_OK;
}

static rf_status host_capture_begin(rf_device *device, rf_error *err)
{
    (void)device;
    return rf_fail(err, RF_E_UNSUPPORTED, "a CPU has no graphs: programs are walked");
}

static rf_status host_capture_end(rf_device *device, rf_graph **out, rf_error *err)
{
    (void)out;
    return host_capture_begin(device, err);
}

static void host_capture_abandon(rf_device *device)
{
    (void)device;
}

static rf_status host_graph_launch(rf_device *device, const rf_graph *graph, rf_error *err)
{
    (void)graph;
    return host_capture_begin(device, err);
}

static void host_graph_destroy(rf_device *device, rf_graph *graph)
{
    (void)device, (void)graph; /* there is none */
}

static rf_status host_profile(rf_device *device, int on, rf_error *err)
{
    (void)device, (void)on, (void)err; /* profilers of CPUs take no orders */
    return RF_OK;
}

static const rf_device_kind host_kind = {
    .on_host = 1,
    .close = host_close,
    .threads = host_threads,
    .memory_bytes = host_memory_bytes,
    .alloc = host_alloc,
    .free = host_free,
    .alloc_staging = host_alloc,
    .free_staging = host_free,
    .copy = host_copy,
    .fill = host_fill,
    .wait = host_done,
    .event_create = host_event_create,
    .event_destroy = host_event_destroy,
    .event_record = host_event_record,
    .event_hold = host_event_hold,
    .event_wait = host_event_wait,
    .event_between = host_event_between,
    .capture_begin = host_capture_begin,
    .capture_end = host_capture_end,
    .capture_abandon = host_capture_abandon,
    .graph_launch = host_graph_launch,
    .graph_destroy = host_graph_destroy,
    .profile = host_profile,
    .bind = host_done,
    .check = host_done,
};

rf_status rf_device_open_host(rf_device *out, int threads, rf_level level, rf_error *err)
{
    *out = (rf_device){.ops = rf_ops_of(level)};
    rf_host        *host = NULL;
    const rf_status st = rf_host_create(&host, threads, err);
    if (st != RF_OK) return st;
    out->stream = host;
    out->kind = &host_kind;
    return RF_OK;
}
