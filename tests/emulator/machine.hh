/* The emulated device from inside: threads as fibers, warps, the block's barrier, and who calls
 * whom.  One block runs at a time; everything of it lives in `machine`.
 *
 *   fiber.cc    stacks, switching, the scheduler, deadlock
 *   launch.cc   blocks of a grid, one after the other
 *   sync.cc     block barrier, warp operations, shuffles
 *   tensor.cc   ldmatrix, mma
 *   copy.cc     cp.async
 *   shared.cc   shared memory: addresses, races
 *   global.cc   device memory: bounds, initialisation, races between blocks
 *   hooks.cc    the compiler's hooks
 *   report.cc   reports with source lines
 *   runtime.hh  the stand-in for the CUDA runtime: streams, graphs, failing calls
 *
 * Facts about instructions come from the PTX ISA 9.0; each names its section. */
#ifndef RF_MACHINE_HH
#define RF_MACHINE_HH

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "kernels/device/emulated.cuh"
#include "tests/emulator/emulator.h"

namespace emu
{
enum : int {
    WARP = 32,
    THREADS_MAX = 1024,
    STACK_BYTES = 96 * 1024, /* what kernels keep in registers and local memory */
    SHARED_START = 1024,     /* first shared address: 0 is never valid */
    ODD_BASE = 16 * 5,       /* where shared memory starts with emu_settings.odd_base */
};

constexpr size_t SHARED_MAX = 227 * 1024;

enum class State : uint8_t { READY, BLOCKED, DONE };

/* What a blocked thread waits for, in words. */
struct Wait {
    const char *what = "";
    uint32_t    mask = 0;
    void       *pc = nullptr;
};

/* One cp.async under way. */
struct Copy {
    uint32_t dst_s;
    int      bytes, valid;
    uint8_t  data[16];
};

struct Fiber {
    void                         *sp = nullptr;
    char                         *stack = nullptr;
    State                         state = State::DONE;
    int                           thread = 0, warp = 0, lane = 0;
    uint32_t                     *clock = nullptr; /* vector clock, see shared.cc */
    Wait                          wait;
    std::vector<Copy>             copies_open; /* not yet committed */
    std::deque<std::vector<Copy>> copy_groups; /* committed, oldest first */
};

/* One warp instruction: lanes arrive one by one, the last one executes it for all. */
struct Collective {
    using Execute = void (*)(void *const *args, uint32_t mask);
    Execute  execute = nullptr;
    uint32_t mask = 0, arrived = 0;
    void    *pc = nullptr;
    void    *args[WARP] = {};
};

struct Warp {
    uint32_t   ready = 0, live = 0; /* lanes */
    Collective slots[4];            /* divergent parts of a warp may each be in one */
    Fiber     *lanes[WARP] = {};
    int        priority = 0, lane_order = 0;
};

struct BlockBarrier {
    int                   arrived = 0;
    std::vector<Fiber *>  waiting;
    std::vector<uint32_t> clock; /* joined over those that arrived */
};

struct Machine {
    emu_settings settings{};
    emu_counters counters{};
    Launch       launch{};
    uint3        block{};
    uint32_t     launch_serial = 0, block_serial = 0; /* block_serial: over all launches */

    std::vector<Fiber>    fibers;
    std::vector<Warp>     warps;
    BlockBarrier          barrier;
    std::vector<uint32_t> clocks; /* [threads][2 * threads]: of threads, then of their copies */
    int                   clock_length = 0; /* components in use */

    int      live = 0;        /* threads that have not ended */
    int      warps_ready = 0; /* warps with a ready lane */
    int      warp_now = 0;
    uint64_t random = 0, steps = 0;
};

extern Machine machine;
extern Fiber  *current;       /* NULL: the host */
extern bool    checked_build; /* some kernel file was compiled with the hooks */

#define EMU_CALLER __builtin_return_address(0)

/* report.cc */
__attribute__((format(printf, 3, 4))) void report(const char *kind, void *pc, const char *format,
                                                  ...);
std::string source_of(void *pc); /* "sm80.cu:120", or the chain of inlined calls */
void        new_launch_reports();
int         report_count();

/* fiber.cc */
void              make_stacks(int threads);
void              start_fiber(Fiber *f);
void              run_fibers(); /* until all are done or one gave up */
void              make_ready(Fiber *f);
void              block_on(const char *what, uint32_t mask, void *pc);
void              maybe_yield(); /* with a seed: perhaps let another thread run */
void              count_step(void *pc);
void              thread_done();
[[noreturn]] void abandon_block();
bool              abandoned();
uint64_t          random_bits();

/* sync.cc */
void barrier_thread_done();
void collect(Collective::Execute execute, const char *name, uint32_t mask, void *arg, void *pc);

/* copy.cc */
int  copy_groups_under_way(const Fiber *f);
void check_copies_waited_for(void *pc);

/* shared.cc */
enum class Access { READ, WRITE };
bool           races_on();
void           new_block_shared();
void           init_clocks();
bool           is_shared(const void *p);
void           shared_plain_access(const void *p, int bytes, Access kind, void *pc);
unsigned char *shared_at(uint32_t address, int bytes, void *pc); /* checks bounds */
void           shared_read(Fiber *f, uint32_t address, int bytes, void *pc);
void           shared_copy_begins(uint32_t address, int bytes, void *pc);
void           shared_copy_lands(uint32_t address, int bytes);
void           release_clock(Fiber *f, std::vector<uint32_t> *into);
void           acquire_clock(Fiber *f, const std::vector<uint32_t> &from);

/* global.cc */
bool is_global(const void *p);
void global_access(const void *p, int bytes, Access kind, void *pc);
} // namespace emu

#endif
