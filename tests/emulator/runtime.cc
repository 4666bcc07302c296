/* The stand-in's machine: which GPU, the call that fails, errors that stick, memory. */
#include "tests/emulator/runtime.hh"

#include <cstdlib>
#include <cstring>

namespace emu
{
Runtime runtime;

namespace
{
/* The device is lost with them (files-and-reliability classes of CUDA 13.0's driver_types.h). */
bool sticks(int error)
{
    static const int codes[] = {214, 220, 226, 700, 702, 710, 714, 715,
                                716, 717, 718, 719, 721, 911, 999};
    for (const int code : codes)
        if (code == error) return true;
    return false;
}

size_t bytes_of(const std::map<void *, size_t> &blocks)
{
    size_t bytes = 0;
    for (const auto &block : blocks) bytes += block.second;
    return bytes;
}
} // namespace

cudaError_t enter_call()
{
    runtime.calls++;
    if (runtime.sticky == cudaSuccess && runtime.calls == runtime.fail_at) {
        const auto error = static_cast<cudaError_t>(runtime.fail_error);
        if (sticks(runtime.fail_error)) runtime.sticky = error;
        return leave_call(error);
    }
    return leave_call(runtime.sticky);
}

cudaError_t leave_call(cudaError_t error)
{
    if (error != cudaSuccess) runtime.last = error;
    return error;
}

void break_device(cudaError_t error)
{
    if (runtime.sticky == cudaSuccess) runtime.sticky = error;
}

bool forbidden_by_capture()
{
    bool forbidden = false;
    for (cudaStream_t s : runtime.streams)
        if (s->capture) s->broken = forbidden = true;
    return forbidden;
}

bool in_pinned(const void *p, size_t bytes)
{
    const auto *at = static_cast<const char *>(p);
    for (const auto &block : runtime.pinned) {
        const auto *start = static_cast<const char *>(block.first);
        if (at >= start && at + bytes <= start + block.second) return true;
    }
    return false;
}
} // namespace emu

using emu::enter_call;
using emu::leave_call;
using emu::runtime;

/* ---- what tests say -------------------------------------------------------------------------- */

extern "C" {
/* Shared memory, memory and names as NVIDIA's data sheets have them. */
const emu_gpu emu_gpu_a100 = {1, 13000,    "NVIDIA A100-SXM4-40GB", 8, 0, size_t{40} << 30,
                              0, 163 << 10};
const emu_gpu emu_gpu_rtx4090 = {1, 13000,   "NVIDIA GeForce RTX 4090", 8, 9, size_t{24} << 30,
                                 0, 99 << 10};
const emu_gpu emu_gpu_h100 = {1, 13000,    "NVIDIA H100 80GB HBM3", 9, 0, size_t{80} << 30,
                              0, 227 << 10};
/* The class with the least shared memory, and as much memory as the emulator has (global.cc). */
const emu_gpu emu_gpu_emulated = {1, 13000, "emulated GPU", 8, 9, size_t{8} << 30, 0, 99 << 10};

bool emu_runtime_stands_in(void)
{
    return true;
}

void emu_runtime_start(const emu_gpu *gpu)
{
    runtime = emu::Runtime{};
    runtime.gpu = *gpu;
}

int emu_runtime_started(void)
{
    return runtime.gpu.name != nullptr;
}

void emu_runtime_fail(size_t n, int error)
{
    runtime.calls = 0;
    runtime.fail_at = n;
    runtime.fail_error = error;
}

size_t emu_runtime_calls(void)
{
    return runtime.calls;
}

void emu_runtime_skip(emu_skip what)
{
    runtime.skip = what;
}

int emu_runtime_device(void)
{
    return runtime.device;
}

emu_held emu_runtime_held(void)
{
    emu_held held = {};
    held.memory_bytes = emu::bytes_of(runtime.memory);
    held.pinned_bytes = emu::bytes_of(runtime.pinned);
    held.streams = static_cast<int>(runtime.streams.size());
    held.events = static_cast<int>(runtime.events.size());
    held.graphs = static_cast<int>(runtime.graphs.size());
    held.executables = static_cast<int>(runtime.executables.size());
    return held;
}

emu_done emu_runtime_done(void)
{
    return runtime.done;
}

/* ---- the machine ----------------------------------------------------------------------------- */

cudaError_t cudaDriverGetVersion(int *version)
{
    if (const cudaError_t e = enter_call()) return e;
    *version = runtime.gpu.driver_version;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    if (const cudaError_t e = enter_call()) return e;
    *count = runtime.gpu.devices;
    if (runtime.gpu.driver_version / 1000 < CUDART_VERSION / 1000)
        return leave_call(cudaErrorInsufficientDriver);
    return leave_call(*count ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    if (const cudaError_t e = enter_call()) return e;
    if (device < 0 || device >= runtime.gpu.devices) return leave_call(cudaErrorInvalidDevice);
    *prop = {};
    strncpy(prop->name, runtime.gpu.name, sizeof prop->name - 1);
    prop->totalGlobalMem = runtime.gpu.memory_bytes;
    prop->major = runtime.gpu.major;
    prop->minor = runtime.gpu.minor;
    prop->sharedMemPerBlockOptin = runtime.gpu.shared_bytes_max;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    if (const cudaError_t e = enter_call()) return e;
    const bool there = device >= 0 && device < runtime.gpu.devices;
    if (there) runtime.device = device;
    return leave_call(there ? cudaSuccess : cudaErrorInvalidDevice);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    if (const cudaError_t e = enter_call()) return e;
    *total_bytes = runtime.gpu.memory_bytes;
    *free_bytes = *total_bytes - runtime.gpu.memory_used - emu::bytes_of(runtime.memory);
    return cudaSuccess;
}

/* ---- errors ---------------------------------------------------------------------------------- */

cudaError_t cudaGetLastError(void)
{
    const cudaError_t last = runtime.sticky ? runtime.sticky : runtime.last;
    runtime.last = cudaSuccess;
    return last;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorECCUncorrectable: return "cudaErrorECCUncorrectable";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    default: return "cudaErrorOther";
    }
}

const char *cudaGetErrorString(cudaError_t error)
{
    (void)error;
    return "as CUDA describes it";
}

/* ---- profiler -------------------------------------------------------------------------------- */

cudaError_t cudaProfilerStart(void)
{
    if (const cudaError_t e = enter_call()) return e;
    runtime.done.profile_starts++;
    runtime.profiling = true;
    return cudaSuccess;
}

cudaError_t cudaProfilerStop(void)
{
    if (const cudaError_t e = enter_call()) return e;
    runtime.done.profile_stops++;
    runtime.profiling = false;
    return cudaSuccess;
}

/* ---- memory ---------------------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    *out = nullptr;
    if (const cudaError_t e = enter_call()) return e;
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    const size_t held = runtime.gpu.memory_used + emu::bytes_of(runtime.memory);
    if (bytes > runtime.gpu.memory_bytes - held) return leave_call(cudaErrorMemoryAllocation);
    void *memory = emu_alloc(bytes);
    if (!memory) return leave_call(cudaErrorMemoryAllocation);
    runtime.memory[memory] = bytes;
    *out = memory;
    return cudaSuccess;
}

/* Gives back even where the call fails: such errors are of earlier work. */
cudaError_t cudaFree(void *memory)
{
    const cudaError_t e = enter_call();
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    if (!memory) return e;
    emu::finish_everything(); /* as cudaFree waits for the device */
    if (!runtime.memory.erase(memory)) {
        emu::report("runtime", nullptr, "cudaFree of %p, which cudaMalloc did not give", memory);
        return leave_call(cudaErrorInvalidValue);
    }
    emu_free(memory);
    return e;
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
    *out = nullptr;
    if (const cudaError_t e = enter_call()) return e;
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    void *memory = malloc(bytes);
    if (!memory) return leave_call(cudaErrorMemoryAllocation);
    memset(memory, 0xFF, bytes);
    runtime.pinned[memory] = bytes;
    *out = memory;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    const cudaError_t e = enter_call();
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    emu::finish_everything();
    if (!runtime.pinned.erase(memory)) {
        emu::report("runtime", nullptr, "cudaFreeHost of %p, which is not pinned", memory);
        return leave_call(cudaErrorInvalidValue);
    }
    free(memory);
    return e;
}
}
