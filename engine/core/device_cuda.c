/* The CUDA device: two streams of one GPU, and every call of the CUDA runtime outside the kernels.
 *
 * Each call goes through TRY_CUDA, which names it in the error and asks device_fault.h whether the
 * GPU can still be used.  Needs the runtime of CUDA 12 or newer; tests compile this file against
 * the stand-in of tests/emulator/runtime/. */
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/device_fault.h"
#include "engine/core/device_kind.h"
#include "kernels/device/gpu.h"
#include "kernels/device/vendor.h"

#if CUDART_VERSION < 12000
#error "refinery needs CUDA 12 or newer"
#endif

enum {
    DRIVER_LEAST = CUDART_VERSION / 1000, /* a driver runs all runtimes of its major version */
    MEMORY_LEAST_MIB = 1024, /* the pool of keys and values has half of it by default */
};

/* Compute capabilities that there is machine code for, times ten: the build says which.  From the
 * last one on, newer GPUs compile the kernels for themselves (PTX). */
static const int built[] = {RF_CUDA_ARCHITECTURES};
enum { BUILT = sizeof built / sizeof *built };

typedef struct cuda_state {
    rf_gpu       gpu;
    int          ordinal, threads;
    size_t       memory_bytes; /* free when it was opened */
    cudaStream_t stream[RF_STREAMS];
    rf_choices   choices;
} cuda_state;

static cuda_state *state_of(const rf_device *device)
{
    return device->state;
}

/* ---- errors ------------------------------------------------------------------------------- */

/* What a failed call means, in one sentence; loses the device if it must. */
static rf_status fail(rf_device *device, cudaError_t code, const char *call, int line,
                      const char *what, rf_error *err)
{
    const int      number = (int)code;
    const rf_fault fault = rf_fault_of(number);
    const char    *cause = rf_fault_cause(number);
    rf_error       e = {0};
    (void)cudaGetLastError(); /* told here: it must not be blamed on a later call */
    rf_fail(&e, fault == RF_FAULT_MEMORY ? RF_E_NOMEM : RF_E_DEVICE,
            "%s: %s: %s (%s, %d, in %s, device_cuda.c:%d); %s", device->name, what,
            cause ? cause : cudaGetErrorString(code), cudaGetErrorName(code), number, call, line,
            rf_fault_remedy(number));
    if (fault == RF_FAULT_SOFTWARE || fault == RF_FAULT_HARDWARE) {
        rf_device_lose(device, e.message);
        e = device->lost;
    }
    if (err) *err = e;
    return e.status;
}

#define TRY_CUDA(what, call, ...)                                                                  \
    do {                                                                                           \
        const cudaError_t code_ = call(__VA_ARGS__);                                               \
        if (code_ != cudaSuccess) return fail(device, code_, #call, __LINE__, what, err);          \
    } while (0)

/* The same where nobody can be told: a device that is lost by it says so at the next call. */
#define NOTE_CUDA(what, call, ...)                                                                 \
    do {                                                                                           \
        const cudaError_t code_ = call(__VA_ARGS__);                                               \
        if (code_ != cudaSuccess) fail(device, code_, #call, __LINE__, what, NULL);                \
    } while (0)

static rf_status cuda_check(rf_device *device, rf_error *err)
{
    const cudaError_t code = cudaGetLastError();
    return code == cudaSuccess ? RF_OK
                               : fail(device, code, "a kernel's launch", __LINE__, "ops", err);
}

static rf_status cuda_bind(rf_device *device, rf_error *err)
{
    TRY_CUDA("choosing the GPU", cudaSetDevice, state_of(device)->ordinal);
    return RF_OK;
}

/* ---- memory ------------------------------------------------------------------------------- */

static int cuda_threads(const rf_device *device)
{
    return state_of(device)->threads;
}

static size_t cuda_memory_bytes(const rf_device *device)
{
    return state_of(device)->memory_bytes;
}

static rf_status cuda_alloc(rf_device *device, void **out, size_t bytes, const char *what,
                            rf_error *err)
{
    const cudaError_t code = cudaMalloc(out, bytes);
    if (code == cudaSuccess) return RF_OK;
    *out = NULL;
    if (code != cudaErrorMemoryAllocation)
        return fail(device, code, "cudaMalloc", __LINE__, what, err);
    (void)cudaGetLastError();
    size_t free_bytes = 0, total = 0;
    TRY_CUDA(what, cudaMemGetInfo, &free_bytes, &total);
    return rf_fail(err, RF_E_NOMEM,
                   "%s: %s: cannot get %.1f MiB, the GPU has %.1f of its %.1f MiB free; %s",
                   device->name, what, (double)bytes / (1 << 20), (double)free_bytes / (1 << 20),
                   (double)total / (1 << 20), rf_fault_remedy((int)code));
}

static void cuda_free(rf_device *device, void *memory, size_t bytes)
{
    (void)bytes;
    NOTE_CUDA("giving memory back", cudaFree, memory);
}

static rf_status cuda_alloc_staging(rf_device *device, void **out, size_t bytes, const char *what,
                                    rf_error *err)
{
    const cudaError_t code = cudaMallocHost(out, bytes);
    if (code == cudaSuccess) return RF_OK;
    *out = NULL;
    if (code != cudaErrorMemoryAllocation)
        return fail(device, code, "cudaMallocHost", __LINE__, what, err);
    (void)cudaGetLastError();
    return rf_fail(err, RF_E_NOMEM, "%s: cannot get %.1f MiB of pinned memory", what,
                   (double)bytes / (1 << 20));
}

static void cuda_free_staging(rf_device *device, void *staging, size_t bytes)
{
    (void)bytes;
    NOTE_CUDA("giving staging back", cudaFreeHost, staging);
}

/* ---- work in order ------------------------------------------------------------------------ */

static rf_status cuda_copy(rf_device *device, rf_stream stream, rf_copy direction, void *dst,
                           const void *src, size_t bytes, rf_error *err)
{
    static const enum cudaMemcpyKind kinds[] = {
        [RF_COPY_UP] = cudaMemcpyHostToDevice,
        [RF_COPY_DOWN] = cudaMemcpyDeviceToHost,
        [RF_COPY_WITHIN] = cudaMemcpyDeviceToDevice,
    };
    TRY_CUDA("copying", cudaMemcpyAsync, dst, src, bytes, kinds[direction],
             state_of(device)->stream[stream]);
    return RF_OK;
}

static rf_status cuda_fill(rf_device *device, rf_stream stream, void *dst, int byte, size_t bytes,
                           rf_error *err)
{
    TRY_CUDA("filling", cudaMemsetAsync, dst, byte, bytes, state_of(device)->stream[stream]);
    return RF_OK;
}

static rf_status cuda_wait(rf_device *device, rf_error *err)
{
    for (int i = 0; i < RF_STREAMS; i++)
        TRY_CUDA("waiting", cudaStreamSynchronize, state_of(device)->stream[i]);
    return RF_OK;
}

/* An rf_event is a cudaEvent_t and an rf_graph a cudaGraphExec_t, under names of ours. */
static cudaEvent_t event_of(rf_event *event)
{
    return (cudaEvent_t)(void *)event;
}

static rf_status cuda_event_create(rf_device *device, rf_event **out, rf_error *err)
{
    cudaEvent_t event = NULL;
    /* Threads that wait sleep: the host has little to do and other users. */
    TRY_CUDA("making an event", cudaEventCreateWithFlags, &event, cudaEventBlockingSync);
    *out = (rf_event *)(void *)event;
    return RF_OK;
}

static void cuda_event_destroy(rf_device *device, rf_event *event)
{
    NOTE_CUDA("giving an event back", cudaEventDestroy, event_of(event));
}

static rf_status cuda_event_record(rf_device *device, rf_event *event, rf_stream stream,
                                   rf_error *err)
{
    TRY_CUDA("marking", cudaEventRecord, event_of(event), state_of(device)->stream[stream]);
    return RF_OK;
}

static rf_status cuda_event_hold(rf_device *device, rf_event *event, rf_stream stream,
                                 rf_error *err)
{
    TRY_CUDA("ordering", cudaStreamWaitEvent, state_of(device)->stream[stream], event_of(event), 0);
    return RF_OK;
}

static rf_status cuda_event_wait(rf_device *device, rf_event *event, rf_error *err)
{
    TRY_CUDA("waiting", cudaEventSynchronize, event_of(event));
    return RF_OK;
}

static rf_status cuda_event_between(rf_device *device, rf_event *from, rf_event *to, float *ms,
                                    rf_error *err)
{
    TRY_CUDA("timing", cudaEventElapsedTime, ms, event_of(from), event_of(to));
    return RF_OK;
}

/* ---- graphs ------------------------------------------------------------------------------- */

static rf_status cuda_capture_begin(rf_device *device, rf_error *err)
{
    TRY_CUDA("recording a graph", cudaStreamBeginCapture, state_of(device)->stream[RF_STREAM_OPS],
             cudaStreamCaptureModeThreadLocal);
    return RF_OK;
}

static rf_status instantiate(rf_device *device, cudaGraphExec_t *exec, cudaGraph_t graph,
                             rf_error *err)
{
    TRY_CUDA("making a graph", cudaGraphInstantiate, exec, graph, 0);
    return RF_OK;
}

/* Now rather than at the first launch, which may be the switch of experts. */
static rf_status upload_graph(rf_device *device, cudaGraphExec_t exec, rf_error *err)
{
    TRY_CUDA("placing a graph", cudaGraphUpload, exec, state_of(device)->stream[RF_STREAM_OPS]);
    return RF_OK;
}

static void cuda_graph_destroy(rf_device *device, rf_graph *graph)
{
    NOTE_CUDA("giving a graph back", cudaGraphExecDestroy, (cudaGraphExec_t)(void *)graph);
}

static rf_status cuda_capture_end(rf_device *device, rf_graph **out, rf_error *err)
{
    cudaGraph_t     graph = NULL;
    cudaGraphExec_t exec = NULL;
    TRY_CUDA("recording a graph", cudaStreamEndCapture, state_of(device)->stream[RF_STREAM_OPS],
             &graph);
    rf_status st = instantiate(device, &exec, graph, err);
    NOTE_CUDA("making a graph", cudaGraphDestroy, graph);
    if (st == RF_OK) st = upload_graph(device, exec, err);
    if (st == RF_OK)
        *out = (rf_graph *)(void *)exec;
    else if (exec)
        cuda_graph_destroy(device, (rf_graph *)(void *)exec);
    return st;
}

static void cuda_capture_abandon(rf_device *device)
{
    cudaGraph_t graph = NULL;
    /* The error that led here has been told; this one is only its echo. */
    (void)cudaStreamEndCapture(state_of(device)->stream[RF_STREAM_OPS], &graph);
    (void)cudaGetLastError();
    if (graph) NOTE_CUDA("giving a graph back", cudaGraphDestroy, graph);
}

static rf_status cuda_graph_launch(rf_device *device, const rf_graph *graph, rf_error *err)
{
    TRY_CUDA("launching a graph", cudaGraphLaunch, (cudaGraphExec_t)(void *)(uintptr_t)graph,
             state_of(device)->stream[RF_STREAM_OPS]);
    return RF_OK;
}

static rf_status cuda_profile(rf_device *device, int on, rf_error *err)
{
    const cudaError_t code = on ? cudaProfilerStart() : cudaProfilerStop();
    if (code == cudaSuccess) return RF_OK;
    return fail(device, code, on ? "cudaProfilerStart" : "cudaProfilerStop", __LINE__,
                "telling the profiler", err);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void cuda_close(rf_device *device)
{
    cuda_state *s = state_of(device);
    for (int i = 0; i < RF_STREAMS; i++)
        if (s->stream[i]) NOTE_CUDA("closing", cudaStreamDestroy, s->stream[i]);
    rf_vendor_destroy(s->gpu.vendor);
    rf_choices_free(&s->choices);
    free(s);
}

static const rf_device_kind cuda_kind = {
    .close = cuda_close,
    .threads = cuda_threads,
    .memory_bytes = cuda_memory_bytes,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .alloc_staging = cuda_alloc_staging,
    .free_staging = cuda_free_staging,
    .copy = cuda_copy,
    .fill = cuda_fill,
    .wait = cuda_wait,
    .event_create = cuda_event_create,
    .event_destroy = cuda_event_destroy,
    .event_record = cuda_event_record,
    .event_hold = cuda_event_hold,
    .event_wait = cuda_event_wait,
    .event_between = cuda_event_between,
    .capture_begin = cuda_capture_begin,
    .capture_end = cuda_capture_end,
    .capture_abandon = cuda_capture_abandon,
    .graph_launch = cuda_graph_launch,
    .graph_destroy = cuda_graph_destroy,
    .profile = cuda_profile,
    .bind = cuda_bind,
    .check = cuda_check,
};

/* driver_fails: there is one, but it cannot be used. */
static rf_status check_driver(rf_device *device, int *driver_fails, rf_error *err)
{
    int driver = 0;
    TRY_CUDA("asking for the driver", cudaDriverGetVersion, &driver);
    *driver_fails = driver && driver / 1000 < DRIVER_LEAST;
    if (!driver)
        return rf_fail(err, RF_E_DEVICE,
                       "there is no NVIDIA driver on this machine: install it (CUDA %d or newer), "
                       "or use --device cpu",
                       DRIVER_LEAST);
    if (!*driver_fails) return RF_OK;
    return rf_fail(err, RF_E_DEVICE,
                   "the NVIDIA driver is too old: it supports CUDA %d.%d and this build needs %d.0 "
                   "or newer: update the driver, or use --device cpu",
                   driver / 1000, driver % 1000 / 10, DRIVER_LEAST);
}

static rf_status check_count(rf_device *device, int ordinal, int *out, int *driver_fails,
                             rf_error *err)
{
    int               count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    *out = 0;
    *driver_fails = code != cudaSuccess && code != cudaErrorNoDevice;
    if (code == cudaErrorNoDevice || (code == cudaSuccess && count == 0)) {
        (void)cudaGetLastError();
        return rf_fail(err, RF_E_DEVICE,
                       "there is no NVIDIA GPU that this process may use: nvidia-smi lists those "
                       "of the machine; or use --device cpu");
    }
    if (code != cudaSuccess)
        return fail(device, code, "cudaGetDeviceCount", __LINE__, "looking for GPUs", err);
    *out = count;
    if (ordinal >= 0 && ordinal < count) return RF_OK;
    return rf_fail(err, RF_E_DEVICE, "there is no GPU %d: this machine has %d, counted from 0",
                   ordinal, count);
}

/* Machine code runs on GPUs of its major version and the same or a later minor one (CUDA C++
 * Programming Guide, "Binary Compatibility"), PTX on all later ones. */
static rf_status check_built(const struct cudaDeviceProp *gpu, int ordinal, rf_error *err)
{
    const int have = 10 * gpu->major + gpu->minor;
    char      list[128] = "";
    size_t    used = 0;
    for (int i = 0; i < BUILT; i++) {
        if ((built[i] / 10 == gpu->major && built[i] <= have) || have > built[BUILT - 1])
            return RF_OK;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d.%d", i ? ", " : "",
                                 built[i] / 10, built[i] % 10);
    }
    return rf_fail(err, RF_E_DEVICE,
                   "GPU %d (%s) has compute capability %d.%d, and this build has kernels for %s: "
                   "use another GPU or build, or --device cpu",
                   ordinal, gpu->name, gpu->major, gpu->minor, list);
}

static rf_status check_memory(rf_device *device, rf_error *err)
{
    size_t total = 0;
    TRY_CUDA("asking for its memory", cudaMemGetInfo, &state_of(device)->memory_bytes, &total);
    const double mib = 1.0 / (1 << 20), bytes = (double)state_of(device)->memory_bytes;
    if (bytes * mib >= MEMORY_LEAST_MIB) return RF_OK;
    return rf_fail(err, RF_E_DEVICE,
                   "%s has too little memory: %.0f of its %.0f MiB are free, and nothing can be "
                   "rendered with less than %d: close other programs, or use another GPU or "
                   "--device cpu",
                   device->name, bytes * mib, (double)total * mib, MEMORY_LEAST_MIB);
}

static int wants_vendor(const rf_choices *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->row[i].level == RF_LEVEL_VENDOR) return 1;
    return 0;
}

/* The choice table of its class, and the vendor's libraries if that has rows for them. */
static rf_status open_choices(rf_device *device, const struct cudaDeviceProp *gpu, rf_error *err)
{
    cuda_state           *s = state_of(device);
    const rf_choice_file *f = rf_choice_file_of(gpu->major, gpu->minor);
    rf_status             st = RF_OK;
    if (!f) return RF_OK;
    RF_TRY(rf_choices_read(&s->choices, (const char *)f->text, f->bytes, f->device_class, err));
    s->gpu.choices = device->choices = &s->choices;
    device->choices_hash = f->sha256;
    if (!wants_vendor(&s->choices)) goto done;
    RF_TRY(rf_vendor_create(&s->gpu.vendor, err));
    RF_TRY(rf_vendor_open_for(s->gpu.vendor, &s->choices, err));
done:
    return st;
}

static rf_status open_gpu(rf_device *device, rf_error *err)
{
    cuda_state           *s = state_of(device);
    struct cudaDeviceProp gpu;
    rf_status             st = RF_OK;
    int                   count = 0, driver_fails = 0;
    RF_TRY(check_driver(device, &driver_fails, err));
    RF_TRY(check_count(device, s->ordinal, &count, &driver_fails, err));
    TRY_CUDA("asking what it is", cudaGetDeviceProperties, &gpu, s->ordinal);
    snprintf(device->name, sizeof device->name, "cuda:%d %.128s", s->ordinal, gpu.name);
    RF_TRY(check_built(&gpu, s->ordinal, err));
    RF_TRY(cuda_bind(device, err));
    RF_TRY(check_memory(device, err));
    for (int i = 0; i < RF_STREAMS; i++)
        TRY_CUDA("making a stream", cudaStreamCreateWithFlags, &s->stream[i],
                 cudaStreamNonBlocking);
    s->gpu.stream = s->stream[RF_STREAM_OPS];
    s->gpu.shared_bytes_max = (int)gpu.sharedMemPerBlockOptin;
    RF_TRY(open_choices(device, &gpu, err));
done:
    return st;
}

/* `device` is not open: it has a name for errors and nothing else. */
static rf_status describe_gpu(rf_device *device, int ordinal, rf_device_gpu *out, rf_error *err)
{
    struct cudaDeviceProp gpu;
    TRY_CUDA("asking what it is", cudaGetDeviceProperties, &gpu, ordinal);
    snprintf(out->name, sizeof out->name, "%.127s", gpu.name);
    out->major = gpu.major;
    out->minor = gpu.minor;
    out->memory_bytes = gpu.totalGlobalMem;
    check_built(&gpu, ordinal, &out->refused);
    return RF_OK;
}

rf_status rf_device_find_cuda(rf_device_gpu *out, int ordinal, int *count, rf_error *err)
{
    rf_device device = {.name = "cuda"};
    rf_status st = RF_OK;
    *out = (rf_device_gpu){.name = ""};
    *count = 0;
    RF_TRY(check_driver(&device, &out->driver_fails, err));
    RF_TRY(check_count(&device, ordinal, count, &out->driver_fails, err));
    RF_TRY(describe_gpu(&device, ordinal, out, err));
done:
    return st;
}

static int cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

rf_status rf_device_open_cuda(rf_device *out, int ordinal, int threads, rf_error *err)
{
    *out = (rf_device){.ops = rf_ops_of(RF_LEVEL_SM80), .kind = &cuda_kind};
    cuda_state *s = calloc(1, sizeof *s);
    if (!s) {
        *out = (rf_device){0};
        return rf_fail(err, RF_E_NOMEM, "device: out of memory");
    }
    s->ordinal = ordinal;
    s->threads = threads ? threads : cores();
    snprintf(out->name, sizeof out->name, "cuda:%d", ordinal);
    out->state = s;
    out->stream = &s->gpu;
    const rf_status st = open_gpu(out, err);
    if (st != RF_OK) rf_device_close(out);
    return st;
}
