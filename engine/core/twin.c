/* Copies between the two sides of a twin; see twin.h. */
#include "engine/core/twin.h"

rf_status rf_twin_up(rf_device *device, const rf_twin *twin, size_t offset, size_t bytes,
                     rf_error *err)
{
    if (twin->host == twin->device || bytes == 0) return RF_OK;
    return rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, (char *)twin->device + offset,
                          (const char *)twin->host + offset, bytes, err);
}

rf_status rf_twin_down(rf_device *device, const rf_twin *twin, size_t offset, size_t bytes,
                       rf_error *err)
{
    if (twin->host == twin->device || bytes == 0) return RF_OK;
    return rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, (char *)twin->host + offset,
                          (const char *)twin->device + offset, bytes, err);
}
