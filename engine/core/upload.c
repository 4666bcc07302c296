/* Two buffers taking turns; see upload.h. */
#include "engine/core/upload.h"

#include <string.h>

rf_status rf_upload_start(rf_upload *upload, rf_device *device, rf_error *err)
{
    rf_status st = RF_OK;
    *upload = (rf_upload){.device = device};
    for (int i = 0; i < RF_UPLOAD_BUFFERS; i++) {
        RF_TRY(rf_device_alloc_staging(device, &upload->buffer[i], RF_UPLOAD_BYTES, "upload", err));
        RF_TRY(rf_event_create(device, &upload->copied[i], err));
    }
    RF_TRY(rf_event_create(device, &upload->order, err));
done:
    if (st != RF_OK) rf_upload_end(upload);
    return st;
}

void rf_upload_end(rf_upload *upload)
{
    rf_device *device = upload->device;
    if (!device) return;
    (void)rf_device_wait(device, NULL); /* what failed has been told, or is by the next call */
    rf_event_destroy(device, upload->order);
    for (int i = 0; i < RF_UPLOAD_BUFFERS; i++) {
        rf_event_destroy(device, upload->copied[i]);
        rf_device_free_staging(device, upload->buffer[i], RF_UPLOAD_BYTES);
    }
    *upload = (rf_upload){0};
}

rf_status rf_upload_buffer(rf_upload *upload, void **out, rf_error *err)
{
    *out = upload->buffer[upload->turn];
    return rf_event_wait(upload->device, upload->copied[upload->turn], err);
}

rf_status rf_upload_put(rf_upload *upload, void *dst, size_t bytes, rf_error *err)
{
    const int turn = upload->turn;
    rf_status st = RF_OK;
    RF_TRY(rf_device_copy(upload->device, RF_STREAM_COPIES, RF_COPY_UP, dst, upload->buffer[turn],
                          bytes, err));
    RF_TRY(rf_event_record(upload->device, upload->copied[turn], RF_STREAM_COPIES, err));
    upload->turn = (turn + 1) % RF_UPLOAD_BUFFERS;
done:
    return st;
}

rf_status rf_upload_all(rf_upload *upload, void *dst, const void *src, size_t bytes, rf_error *err)
{
    rf_status st = RF_OK;
    for (size_t from = 0; from < bytes; from += RF_UPLOAD_BYTES) {
        const size_t now = bytes - from < RF_UPLOAD_BYTES ? bytes - from : RF_UPLOAD_BYTES;
        void        *buffer = NULL;
        RF_TRY(rf_upload_buffer(upload, &buffer, err));
        memcpy(buffer, (const char *)src + from, now);
        RF_TRY(rf_upload_put(upload, (char *)dst + from, now, err));
    }
done:
    return st;
}

/* What is queued on `later` from now on comes after what is queued on `first`. */
static rf_status order(rf_upload *upload, rf_stream first, rf_stream later, rf_error *err)
{
    const rf_status st = rf_event_record(upload->device, upload->order, first, err);
    return st == RF_OK ? rf_event_hold(upload->device, upload->order, later, err) : st;
}

rf_status rf_upload_before_ops(rf_upload *upload, rf_error *err)
{
    return order(upload, RF_STREAM_COPIES, RF_STREAM_OPS, err);
}

rf_status rf_upload_after_ops(rf_upload *upload, rf_error *err)
{
    return order(upload, RF_STREAM_OPS, RF_STREAM_COPIES, err);
}
