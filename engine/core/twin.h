/* Memory that the host and the device both know: a side each, equal after a copy.
 *
 * The host reads and writes `host` (pinned, so that the device copies by itself), ops read and
 * write `device`.  On a host device both sides are one and copying does nothing, so that code
 * written for two sides costs nothing where there is one. */
#ifndef RF_TWIN_H
#define RF_TWIN_H

#include "engine/core/device.h"

typedef struct rf_twin {
    void *host, *device;
} rf_twin;

/* Queues copying `bytes` from `offset` on, on the ops' stream: ops queued later see them.  The host
 * side must stay as it is until the copy is done. */
rf_status rf_twin_up(rf_device *device, const rf_twin *twin, size_t offset, size_t bytes,
                     rf_error *err);
/* The other way: what ops queued earlier wrote.  The host may read once the stream has come so far
 * (rf_device_wait, or an event). */
rf_status rf_twin_down(rf_device *device, const rf_twin *twin, size_t offset, size_t bytes,
                       rf_error *err);

#endif
