/* The device "emulated": the CUDA device over the runtime's stand-in, on a machine with one GPU.
 *
 * A program that has said which machine it wants (emu_runtime_start) has said it for this as well.
 */
#include "engine/core/device.h"
#include "tests/emulator/runtime.h"

rf_status rf_device_open_emulated(rf_device *out, int threads, rf_error *err)
{
    if (!emu_runtime_started()) emu_runtime_start(&emu_gpu_emulated);
    return rf_device_open_cuda(out, 0, threads, err);
}
