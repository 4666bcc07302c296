/* A GPU that is not there, for plans: sizes are a GPU's, and it is lost from the start, so that
 * every call which would touch it says so. */
#include <stdlib.h>

#include "engine/core/device_kind.h"
#include "kernels/device/gpu.h"

static void plan_close(rf_device *device)
{
    free(device->stream);
}

static int plan_threads(const rf_device *device)
{
    (void)device;
    return 1;
}

static size_t plan_memory_bytes(const rf_device *device)
{
    (void)device;
    return 0;
}

static void plan_capture_abandon(rf_device *device)
{
    (void)device;
}

static const rf_device_kind plan_kind = {
    .close = plan_close,
    .threads = plan_threads,
    .memory_bytes = plan_memory_bytes,
    .capture_abandon = plan_capture_abandon,
};

rf_status rf_device_open_plan(rf_device *out, rf_error *err)
{
    *out = (rf_device){.ops = rf_ops_sm80_plan(),
                       .kind = &plan_kind,
                       .name = "cuda: a GPU that is not here, assumed for this plan"};
    rf_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu) {
        *out = (rf_device){0};
        return rf_fail(err, RF_E_NOMEM, "device: out of memory");
    }
    gpu->shared_bytes_max = 99 << 10; /* what every GPU from 8.0 on has; no size depends on it */
    out->stream = gpu;
    rf_fail(&out->lost, RF_E_DEVICE,
            "this is a plan for a CUDA GPU that is not here: nothing can be rendered");
    return RF_OK;
}

int rf_device_only_plans(const rf_device *device)
{
    return device->kind == &plan_kind;
}
