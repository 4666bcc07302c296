/* The runtime's stand-in from inside.
 *
 *   runtime.cc          the machine, errors, memory
 *   runtime_streams.cc  streams, events, copies, graphs: what is put off, and when it is done */
#ifndef RF_EMULATOR_RUNTIME_HH
#define RF_EMULATOR_RUNTIME_HH

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tests/emulator/machine.hh"
#include "tests/emulator/runtime.h"
#include "tests/emulator/runtime/cuda_profiler_api.h"
#include "tests/emulator/runtime/cuda_runtime_api.h"

using Work = std::function<void()>;

struct CUgraph_st {
    std::vector<Work> nodes;
};

struct CUgraphExec_st {
    std::shared_ptr<const std::vector<Work>> nodes; /* a launch that is put off keeps them */
};

struct CUstream_st {
    std::deque<Work> queue;
    uint64_t         queued = 0, done = 0; /* pieces of work */
    cudaGraph_t      capture = nullptr;    /* what is queued goes there instead */
    bool             broken = false;       /* the capture holds something that it cannot */
    int              device = 0;
};

struct CUevent_st {
    cudaStream_t stream = nullptr; /* NULL: no mark, or its stream is gone */
    uint64_t     at = 0;           /* how much of the stream must be done */
    double       ms = 0;           /* when it was; valid once done */
};

namespace emu
{
struct Runtime {
    emu_gpu                   gpu{};
    size_t                    calls = 0, fail_at = 0;
    int                       fail_error = 0;
    cudaError_t               sticky = cudaSuccess, last = cudaSuccess;
    std::map<void *, size_t>  memory, pinned;
    std::set<cudaStream_t>    streams;
    std::set<cudaEvent_t>     events;
    std::set<cudaGraph_t>     graphs;
    std::set<cudaGraphExec_t> executables;
    emu_done                  done{};
    emu_skip                  skip = EMU_SKIP_NOTHING;
    bool                      profiling = false;
    int                       device = 0; /* the thread's own */
};

extern Runtime runtime;

/* The start of every call: counts it; not cudaSuccess if it is the one to fail, or if an earlier
 * one broke the device. */
cudaError_t enter_call();
/* The end of a call that found `error`: remembers it for cudaGetLastError. */
cudaError_t leave_call(cudaError_t error);
/* A kernel or copy went wrong: sticky. */
void break_device(cudaError_t error);
/* Calls that wait, take or give are not allowed while a stream is captured: ends the capture. */
bool forbidden_by_capture();

/* Does all that is put off, on all streams. */
void finish_everything();
bool in_pinned(const void *p, size_t bytes);

/* Called by launch.cc: a launch on a stream, and one that no device would take. */
rf_status put_off_launch(const Launch &l);
void      note_refused_launch();
rf_status run_grid(const Launch &l);
} // namespace emu

#endif
