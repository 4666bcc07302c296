/* What all kinds of devices share: counting, and never calling a device that is lost. */
#include "engine/core/device.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/device_kind.h"

rf_status rf_device_bind(rf_device *device, rf_error *err)
{
    if (device->lost.status != RF_OK) {
        if (err) *err = device->lost;
        return device->lost.status;
    }
    return device->kind->bind(device, err);
}

/* The start of every call that uses the device. */
#define GUARD(device, err)                                                                         \
    do {                                                                                           \
        const rf_status bound_ = rf_device_bind(device, err);                                      \
        if (bound_ != RF_OK) return bound_;                                                        \
    } while (0)

/* The start of every call that gives back, which a lost device allows.  Which GPU is the thread's
 * own matters to CUDA there, too: it would start the first one for it. */
static void bind_to_give(rf_device *device)
{
    if (device->lost.status == RF_OK) (void)device->kind->bind(device, NULL);
}

void rf_device_close(rf_device *device)
{
    if (device->kind) device->kind->close(device);
    *device = (rf_device){0};
}

int rf_device_threads(const rf_device *device)
{
    return device->kind->threads(device);
}

int rf_device_on_host(const rf_device *device)
{
    return device->kind->on_host;
}

size_t rf_device_memory_bytes(const rf_device *device)
{
    return device->kind->memory_bytes(device);
}

rf_status rf_device_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                          rf_error *err)
{
    *out = NULL;
    GUARD(device, err);
    if (bytes == 0) return RF_OK;
    const rf_status st = device->kind->alloc(device, out, bytes, what, err);
    if (st != RF_OK) return st;
    device->allocations++;
    device->bytes_held += bytes;
    if (device->bytes_held > device->bytes_peak) device->bytes_peak = device->bytes_held;
    return RF_OK;
}

void rf_device_free(rf_device *device, void *memory, size_t bytes)
{
    if (!memory) return;
    bind_to_give(device);
    device->kind->free(device, memory, bytes);
    device->bytes_held -= bytes;
}

rf_status rf_device_alloc_staging(rf_device *device, void **out, size_t bytes, const char *what,
                                  rf_error *err)
{
    *out = NULL;
    GUARD(device, err);
    if (bytes == 0) return RF_OK;
    const rf_status st = device->kind->alloc_staging(device, out, bytes, what, err);
    if (st == RF_OK) device->staging_held += bytes;
    return st;
}

void rf_device_free_staging(rf_device *device, void *staging, size_t bytes)
{
    if (!staging) return;
    bind_to_give(device);
    device->kind->free_staging(device, staging, bytes);
    device->staging_held -= bytes;
}

rf_status rf_device_copy(rf_device *device, rf_stream stream, rf_copy direction, void *dst,
                         const void *src, size_t bytes, rf_error *err)
{
    GUARD(device, err);
    if (bytes == 0) return RF_OK;
    return device->kind->copy(device, stream, direction, dst, src, bytes, err);
}

rf_status rf_device_fill(rf_device *device, rf_stream stream, void *dst, int byte, size_t bytes,
                         rf_error *err)
{
    GUARD(device, err);
    if (bytes == 0) return RF_OK;
    return device->kind->fill(device, stream, dst, byte, bytes, err);
}

rf_status rf_device_wait(rf_device *device, rf_error *err)
{
    GUARD(device, err);
    return device->kind->wait(device, err);
}

rf_status rf_event_create(rf_device *device, rf_event **out, rf_error *err)
{
    *out = NULL;
    GUARD(device, err);
    return device->kind->event_create(device, out, err);
}

void rf_event_destroy(rf_device *device, rf_event *event)
{
    if (!event) return;
    bind_to_give(device);
    device->kind->event_destroy(device, event);
}

rf_status rf_event_record(rf_device *device, rf_event *event, rf_stream stream, rf_error *err)
{
    GUARD(device, err);
    return device->kind->event_record(device, event, stream, err);
}

rf_status rf_event_hold(rf_device *device, rf_event *event, rf_stream stream, rf_error *err)
{
    GUARD(device, err);
    return device->kind->event_hold(device, event, stream, err);
}

rf_status rf_event_wait(rf_device *device, rf_event *event, rf_error *err)
{
    GUARD(device, err);
    return device->kind->event_wait(device, event, err);
}

rf_status rf_event_between(rf_device *device, rf_event *from, rf_event *to, float *ms,
                           rf_error *err)
{
    *ms = 0;
    GUARD(device, err);
    return device->kind->event_between(device, from, to, ms, err);
}

rf_status rf_capture_begin(rf_device *device, rf_error *err)
{
    GUARD(device, err);
    return device->kind->capture_begin(device, err);
}

rf_status rf_capture_end(rf_device *device, rf_graph **out, rf_error *err)
{
    *out = NULL;
    const rf_status st = rf_device_bind(device, err);
    if (st == RF_OK) return device->kind->capture_end(device, out, err);
    device->kind->capture_abandon(device);
    return st;
}

void rf_capture_abandon(rf_device *device)
{
    device->kind->capture_abandon(device);
}

rf_status rf_graph_launch(rf_device *device, const rf_graph *graph, const char *note, rf_error *err)
{
    GUARD(device, err);
    rf_device_note(device, note);
    return device->kind->graph_launch(device, graph, err);
}

void rf_graph_destroy(rf_device *device, rf_graph *graph)
{
    if (!graph) return;
    bind_to_give(device);
    device->kind->graph_destroy(device, graph);
}

rf_status rf_device_profile(rf_device *device, int on, rf_error *err)
{
    GUARD(device, err);
    const rf_status st = device->kind->wait(device, err);
    return st == RF_OK ? device->kind->profile(device, on, err) : st;
}

/* ---- errors ------------------------------------------------------------------------------- */

void rf_device_note(rf_device *device, const char *what)
{
    char *note = device->note[device->notes++ % RF_DEVICE_NOTES];
    snprintf(note, RF_DEVICE_NOTE_BYTES, "%s", what);
}

rf_status rf_device_check(rf_device *device, rf_error *err)
{
    GUARD(device, err);
    return device->kind->check(device, err);
}

void rf_device_lose(rf_device *device, const char *message)
{
    if (device->lost.status != RF_OK) return;
    char   last[RF_DEVICE_NOTES * (RF_DEVICE_NOTE_BYTES + 2) + 1] = "";
    size_t used = 0;
    size_t i = device->notes < RF_DEVICE_NOTES ? 0 : device->notes - RF_DEVICE_NOTES;
    for (; i < device->notes; i++)
        used += (size_t)snprintf(last + used, sizeof last - used, "%s%s", used ? ", " : "",
                                 device->note[i % RF_DEVICE_NOTES]);
    rf_fail(&device->lost, RF_E_LOST, "%s%s%s%s", message, used ? " (launched last: " : "", last,
            used ? ")" : "");
}
