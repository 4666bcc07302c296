/* What a kind of device implements, behind device.h: device.c counts, guards and hands on.
 *
 * A call that fails fills the error itself; a kind that finds its device unusable calls
 * rf_device_lose first, and device.c hands out that error from then on. */
#ifndef RF_DEVICE_KIND_H
#define RF_DEVICE_KIND_H

#include "engine/core/device.h"

typedef struct rf_device_kind {
    int on_host; /* of rf_device_on_host */

    void (*close)(rf_device *device);
    int (*threads)(const rf_device *device);
    size_t (*memory_bytes)(const rf_device *device);

    rf_status (*alloc)(rf_device *device, void **out, size_t bytes, const char *what,
                       rf_error *err);
    void (*free)(rf_device *device, void *memory, size_t bytes);
    rf_status (*alloc_staging)(rf_device *device, void **out, size_t bytes, const char *what,
                               rf_error *err);
    void (*free_staging)(rf_device *device, void *staging, size_t bytes);

    rf_status (*copy)(rf_device *device, rf_stream stream, rf_copy direction, void *dst,
                      const void *src, size_t bytes, rf_error *err);
    rf_status (*fill)(rf_device *device, rf_stream stream, void *dst, int byte, size_t bytes,
                      rf_error *err);
    rf_status (*wait)(rf_device *device, rf_error *err);

    rf_status (*event_create)(rf_device *device, rf_event **out, rf_error *err);
    void (*event_destroy)(rf_device *device, rf_event *event);
    rf_status (*event_record)(rf_device *device, rf_event *event, rf_stream stream, rf_error *err);
    rf_status (*event_hold)(rf_device *device, rf_event *event, rf_stream stream, rf_error *err);
    rf_status (*event_wait)(rf_device *device, rf_event *event, rf_error *err);
    rf_status (*event_between)(rf_device *device, rf_event *from, rf_event *to, float *ms,
                               rf_error *err);

    rf_status (*capture_begin)(rf_device *device, rf_error *err);
    rf_status (*capture_end)(rf_device *device, rf_graph **out, rf_error *err);
    void (*capture_abandon)(rf_device *device);
    rf_status (*graph_launch)(rf_device *device, const rf_graph *graph, rf_error *err);
    void (*graph_destroy)(rf_device *device, rf_graph *graph);

    rf_status (*profile)(rf_device *device, int on, rf_error *err);

    rf_status (*bind)(rf_device *device, rf_error *err);
    rf_status (*check)(rf_device *device, rf_error *err);
} rf_device_kind;

/* The device is gone: `message` is what every later call says.  The first cause stays. */
void rf_device_lose(rf_device *device, const char *message);

#endif
