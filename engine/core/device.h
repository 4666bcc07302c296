/* The device an engine works on: its memory, its op table, and the stream its ops take.
 *
 * All large memory comes from here, and every allocation is counted: tests prove that nothing is
 * allocated once a request is planned. */
#ifndef RF_DEVICE_H
#define RF_DEVICE_H

#include <stddef.h>

#include "kernels/ops.h"
#include "kernels/status.h"

typedef struct rf_device {
    const rf_ops *ops;
    void         *stream;      /* rf_host * on the CPU */
    size_t        allocations; /* successful rf_device_alloc calls so far */
    size_t        bytes_held, bytes_peak;
} rf_device;

/* A host device of `threads` threads (0: one per core) at `level`. */
rf_status rf_device_open_host(rf_device *out, int threads, rf_level level, rf_error *err);
void      rf_device_close(rf_device *device); /* memory must have been freed; zeroed is fine */
int       rf_device_threads(const rf_device *device); /* host threads for work beside the ops */

/* Memory of the machine in all, bytes; 0 if it does not say. */
size_t rf_device_memory_bytes(const rf_device *device);

/* Page-aligned, zeroed memory; `what` names it in the error.  *out is NULL on failure, and for
 * bytes == 0. */
rf_status rf_device_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                          rf_error *err);
void      rf_device_free(rf_device *device, void *memory, size_t bytes); /* NULL is fine */

#endif
