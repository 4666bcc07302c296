/* Streams of the stand-in: work is queued, and done when somebody waits for it and no sooner.
 *
 * A captured stream collects the same pieces of work into a graph; launching the graph queues one
 * piece that does them all. */
#include "tests/emulator/runtime.hh"

#include <chrono>
#include <cstring>

using emu::enter_call;
using emu::leave_call;
using emu::runtime;

namespace emu
{
namespace
{
double now_ms()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

bool alive(cudaStream_t s)
{
    return runtime.streams.count(s);
}

/* Does a stream's work up to its n-th piece.  A stream that no longer exists has done all. */
void finish(cudaStream_t s, uint64_t n)
{
    while (alive(s) && s->done < n && !s->queue.empty()) {
        const Work work = std::move(s->queue.front());
        s->queue.pop_front();
        s->done++;
        if (runtime.sticky == cudaSuccess) work(); /* what comes after a fault is lost */
    }
}

void queue(cudaStream_t s, Work work)
{
    if (s->capture) {
        s->capture->nodes.push_back(std::move(work));
        return;
    }
    s->queue.push_back(std::move(work));
    s->queued++;
}

/* Runs a copy; what the emulated memory reports of it breaks the device. */
void guarded(const Work &copy)
{
    const int before = report_count();
    new_launch_reports();
    copy();
    runtime.done.copies++;
    if (report_count() != before) break_device(cudaErrorIllegalAddress);
}
} // namespace

void finish_everything()
{
    for (cudaStream_t s : runtime.streams) finish(s, s->queued);
}

rf_status put_off_launch(const Launch &l)
{
    auto *s = static_cast<cudaStream_t>(l.stream);
    if (enter_call()) return RF_E_DEVICE;
    if (!alive(s)) {
        report("runtime", nullptr, "a launch on %p, which is no stream", l.stream);
        leave_call(cudaErrorInvalidResourceHandle);
        return RF_E_DEVICE;
    }
    if (s->device != runtime.device) { /* CUDA C++ Programming Guide, "Stream and Event Behavior" */
        leave_call(cudaErrorInvalidResourceHandle);
        return RF_E_DEVICE;
    }
    /* The caller's parameters are gone by then. */
    struct alignas(64) Line {
        unsigned char byte[64];
    };
    auto parameters = std::make_shared<std::vector<Line>>((l.bound_bytes + 63) / 64);
    memcpy(parameters->data(), l.bound, l.bound_bytes);
    queue(s, [l, parameters] {
        Launch copy = l;
        copy.bound = parameters->data();
        runtime.done.kernels++;
        runtime.done.profiled_kernels += runtime.profiling;
        if (runtime.skip == EMU_SKIP_KERNELS) return;
        if (run_grid(copy) != RF_OK)
            break_device(emu_reported("bounds") ? cudaErrorIllegalAddress : cudaErrorLaunchFailure);
    });
    return RF_OK;
}

void note_refused_launch()
{
    leave_call(cudaErrorInvalidConfiguration);
}
} // namespace emu

extern "C" {

/* ---- streams --------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    (void)flags;
    if (const cudaError_t e = enter_call()) return e;
    *out = new CUstream_st;
    (*out)->device = runtime.device;
    runtime.streams.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const cudaError_t e = enter_call();
    if (!emu::alive(stream)) return leave_call(cudaErrorInvalidResourceHandle);
    emu::finish(stream, stream->queued);
    for (cudaEvent_t event : runtime.events)
        if (event->stream == stream) event->stream = nullptr;
    if (stream->capture) {
        runtime.graphs.erase(stream->capture);
        delete stream->capture;
    }
    runtime.streams.erase(stream);
    delete stream;
    return e;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream)) return leave_call(cudaErrorInvalidResourceHandle);
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    runtime.done.waits++;
    emu::finish(stream, stream->queued);
    return leave_call(runtime.sticky);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream) || !runtime.events.count(event))
        return leave_call(cudaErrorInvalidResourceHandle);
    if (stream->capture && event->stream) { /* the graph would depend on work outside it */
        stream->broken = true;
        return leave_call(cudaErrorStreamCaptureUnsupported);
    }
    if (event->stream)
        emu::queue(stream, [other = event->stream, at = event->at] { emu::finish(other, at); });
    return cudaSuccess;
}

/* ---- events ---------------------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    (void)flags;
    if (const cudaError_t e = enter_call()) return e;
    *out = new CUevent_st;
    runtime.events.insert(*out);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    const cudaError_t e = enter_call();
    if (!runtime.events.erase(event)) return leave_call(cudaErrorInvalidResourceHandle);
    emu::finish_everything(); /* marks that are put off write into it */
    delete event;
    return e;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream) || !runtime.events.count(event))
        return leave_call(cudaErrorInvalidResourceHandle);
    if (stream->capture) {
        stream->broken = true;
        return leave_call(cudaErrorStreamCaptureUnsupported);
    }
    emu::queue(stream, [event] { event->ms = emu::now_ms(); });
    event->stream = stream;
    event->at = stream->queued;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!runtime.events.count(event)) return leave_call(cudaErrorInvalidResourceHandle);
    if (emu::forbidden_by_capture()) return leave_call(cudaErrorStreamCaptureUnsupported);
    runtime.done.waits++;
    if (event->stream) emu::finish(event->stream, event->at);
    return leave_call(runtime.sticky);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (const cudaError_t e = enter_call()) return e;
    for (cudaEvent_t event : {from, to}) {
        if (!runtime.events.count(event) || !event->stream)
            return leave_call(cudaErrorInvalidResourceHandle);
        if (event->stream->done < event->at) return leave_call(cudaErrorNotReady);
    }
    *ms = static_cast<float>(to->ms - from->ms);
    return cudaSuccess;
}

/* ---- copies ---------------------------------------------------------------------------------- */

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream)) return leave_call(cudaErrorInvalidResourceHandle);
    const void *host = kind == cudaMemcpyHostToDevice   ? src
                       : kind == cudaMemcpyDeviceToHost ? dst
                                                        : nullptr;
    if (host && !emu::in_pinned(host, bytes)) {
        emu::report("runtime", nullptr, "a copy from or to host memory that is not pinned");
        return leave_call(cudaErrorInvalidValue);
    }
    emu::queue(stream, [=] {
        emu::guarded([=] {
            if (kind == cudaMemcpyHostToDevice) {
                emu_upload(dst, src, bytes);
            } else if (kind == cudaMemcpyDeviceToHost) {
                emu_download(dst, src, bytes);
            } else {
                std::vector<unsigned char> between(bytes);
                emu_download(between.data(), src, bytes);
                emu_upload(dst, between.data(), bytes);
            }
        });
    });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *dst, int byte, size_t bytes, cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream)) return leave_call(cudaErrorInvalidResourceHandle);
    emu::queue(stream, [=] {
        emu::guarded([=] {
            const std::vector<unsigned char> from(bytes, static_cast<unsigned char>(byte));
            emu_upload(dst, from.data(), bytes);
        });
    });
    return cudaSuccess;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)mode;
    if (const cudaError_t e = enter_call()) return e;
    if (!emu::alive(stream)) return leave_call(cudaErrorInvalidResourceHandle);
    if (stream->capture) return leave_call(cudaErrorIllegalState);
    stream->capture = new CUgraph_st;
    stream->broken = false;
    runtime.graphs.insert(stream->capture);
    return cudaSuccess;
}

/* Ends the capture even where it fails, and then gives no graph. */
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    *out = nullptr;
    cudaError_t e = enter_call();
    if (!emu::alive(stream) || !stream->capture) return leave_call(cudaErrorIllegalState);
    cudaGraph_t graph = stream->capture;
    stream->capture = nullptr;
    if (e == cudaSuccess && stream->broken) e = leave_call(cudaErrorStreamCaptureInvalidated);
    if (e != cudaSuccess) return cudaGraphDestroy(graph), e;
    *out = graph;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    if (const cudaError_t e = enter_call()) return e;
    if (!runtime.graphs.count(graph)) return leave_call(cudaErrorInvalidValue);
    *out = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->nodes)};
    runtime.executables.insert(*out);
    runtime.done.graphs++;
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t graph, cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    const bool fine = runtime.executables.count(graph) && emu::alive(stream);
    return leave_call(fine ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream)
{
    if (const cudaError_t e = enter_call()) return e;
    if (!runtime.executables.count(graph) || !emu::alive(stream))
        return leave_call(cudaErrorInvalidValue);
    if (stream->capture) {
        stream->broken = true;
        return leave_call(cudaErrorStreamCaptureUnsupported);
    }
    emu::queue(stream, [nodes = graph->nodes] {
        runtime.done.graph_launches++;
        runtime.done.profiled_launches += runtime.profiling;
        if (runtime.skip != EMU_SKIP_NOTHING) return;
        for (const Work &work : *nodes)
            if (runtime.sticky == cudaSuccess) work();
    });
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    const cudaError_t e = enter_call();
    if (!runtime.graphs.erase(graph)) return leave_call(cudaErrorInvalidValue);
    delete graph;
    return e;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph)
{
    const cudaError_t e = enter_call();
    if (!runtime.executables.erase(graph)) return leave_call(cudaErrorInvalidValue);
    delete graph;
    return e;
}
}
