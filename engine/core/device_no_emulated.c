/* Stands in for tests/emulator/device_emulated.c outside of test programs. */
#include "engine/core/device.h"

rf_status rf_device_open_emulated(rf_device *out, int threads, rf_error *err)
{
    (void)threads;
    *out = (rf_device){0};
    return rf_fail(err, RF_E_DEVICE,
                   "the emulated GPU is part of refinery's tests alone (refinery-emulated): use "
                   "--device cpu, or --device cuda where there is a GPU");
}
