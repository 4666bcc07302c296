/* Bytes that the host produces, onto a device with memory of its own: through two pinned buffers,
 * so that one is filled while the other is copied. */
#ifndef RF_UPLOAD_H
#define RF_UPLOAD_H

#include "engine/core/device.h"

/* Large enough for the copy engine's full rate, small enough to be pinned quickly. */
enum { RF_UPLOAD_BYTES = 8 << 20, RF_UPLOAD_BUFFERS = 2 };

typedef struct rf_upload {
    rf_device *device;
    void      *buffer[RF_UPLOAD_BUFFERS];
    rf_event  *copied[RF_UPLOAD_BUFFERS]; /* the buffer may be filled again */
    rf_event  *order;                     /* between copies and ops */
    int        turn;
} rf_upload;

/* On failure nothing is held. */
rf_status rf_upload_start(rf_upload *upload, rf_device *device, rf_error *err);
/* Waits for all copies and gives the buffers back; {0} is fine. */
void rf_upload_end(rf_upload *upload);

/* The buffer to fill next, of RF_UPLOAD_BYTES: waits until its last copy is done. */
rf_status rf_upload_buffer(rf_upload *upload, void **out, rf_error *err);
/* Queues the copy of that buffer's first bytes to `dst`. */
rf_status rf_upload_put(rf_upload *upload, void *dst, size_t bytes, rf_error *err);
/* The same for bytes that lie anywhere on the host: as many buffers as it takes. */
rf_status rf_upload_all(rf_upload *upload, void *dst, const void *src, size_t bytes, rf_error *err);

/* Ops launched from now on come after all copies so far ... */
rf_status rf_upload_before_ops(rf_upload *upload, rf_error *err);
/* ... and copies from now on after all ops so far. */
rf_status rf_upload_after_ops(rf_upload *upload, rf_error *err);

#endif
