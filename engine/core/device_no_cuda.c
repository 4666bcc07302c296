/* Stands in for device_cuda.c in builds without CUDA. */
#include "engine/core/device.h"

static rf_status refuse(rf_error *err)
{
    return rf_fail(err, RF_E_DEVICE,
                   "this build of refinery has the CPU engine alone: use --device cpu, or a build "
                   "made where the CUDA toolkit is");
}

rf_status rf_device_open_cuda(rf_device *out, int ordinal, int threads, rf_error *err)
{
    (void)ordinal, (void)threads;
    *out = (rf_device){0};
    return refuse(err);
}

rf_status rf_device_find_cuda(rf_device_gpu *out, int ordinal, int *count, rf_error *err)
{
    (void)ordinal;
    *out = (rf_device_gpu){.name = ""};
    *count = 0;
    return refuse(err);
}
