/* Fibers and the scheduler.
 *
 * A fiber runs until it blocks.  With seed 0 warps and lanes take turns in order.  With another
 * seed warps have random priorities that change now and then (Burckhardt et al. 2010, "A randomized
 * scheduler with probabilistic guarantees of finding bugs"), lanes go up, down or at random, and a
 * fiber may be preempted at any access that the emulator sees. */
#include <cstdio>
#include <map>
#include <sys/mman.h>

#if !defined(__x86_64__) || defined(EMU_UCONTEXT)
#define USE_UCONTEXT 1
#include <ucontext.h>
#endif

#include "tests/emulator/machine.hh"

namespace emu
{
Machine machine;
Fiber  *current;

namespace
{
constexpr size_t   GUARD_BYTES = 4096;
constexpr uint64_t STEP_LIMIT = 400000000; /* some seconds; the longest block of the tests: 2e7 */

char  *stacks;
size_t stacks_mapped; /* threads */
bool   gave_up;

#ifdef USE_UCONTEXT
ucontext_t host_context, contexts[THREADS_MAX];

ucontext_t *context_of(Fiber *f)
{
    return f ? &contexts[f->thread] : &host_context;
}

void switch_stacks(Fiber *from, Fiber *to)
{
    swapcontext(context_of(from), context_of(to));
}
#else
void *host_sp;

extern "C" void emu_switch_stacks(void **from_sp, void *to_sp);
/* System V ABI: the registers that a call preserves, then the stack itself. */
asm(R"(
.text
.globl emu_switch_stacks
.type emu_switch_stacks, @function
emu_switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch_stacks, .-emu_switch_stacks
)");

void switch_stacks(Fiber *from, Fiber *to)
{
    emu_switch_stacks(from ? &from->sp : &host_sp, to ? to->sp : host_sp);
}
#endif

/* From whoever runs to `to`; NULL is the host. */
void switch_to(Fiber *to)
{
    Fiber *from = current;
    current = to;
    machine.counters.switches++;
    switch_stacks(from, to);
}

void fiber_main()
{
    machine.launch.entry(machine.launch.bound);
    thread_done();
}

int ready_warp_in_order()
{
    int       w = machine.warp_now;
    const int warps = static_cast<int>(machine.warps.size());
    while (!machine.warps[static_cast<size_t>(w)].ready) w = w + 1 == warps ? 0 : w + 1;
    return w;
}

int ready_warp_by_priority()
{
    std::vector<Warp> &warps = machine.warps;
    if (random_bits() % 64 == 0) /* a priority change point */
        warps[random_bits() % warps.size()].priority = static_cast<int>(random_bits() & 0xFFFF);
    if (warps[static_cast<size_t>(machine.warp_now)].ready && random_bits() % 8)
        return machine.warp_now;
    int best = -1;
    for (int w = 0; w < static_cast<int>(warps.size()); w++)
        if (warps[static_cast<size_t>(w)].ready &&
            (best < 0 ||
             warps[static_cast<size_t>(w)].priority > warps[static_cast<size_t>(best)].priority))
            best = w;
    return best;
}

Fiber *pick()
{
    if (!machine.warps_ready) return nullptr;
    machine.warp_now = machine.settings.seed ? ready_warp_by_priority() : ready_warp_in_order();
    const Warp &w = machine.warps[static_cast<size_t>(machine.warp_now)];
    int         lane = __builtin_ctz(w.ready);
    if (w.lane_order == 1) lane = 31 - __builtin_clz(w.ready);
    if (w.lane_order == 2) {
        const int      from = static_cast<int>(random_bits() & 31);
        const uint32_t above = w.ready >> from;
        if (above) lane = from + __builtin_ctz(above);
    }
    return w.lanes[lane];
}

void report_deadlock()
{
    std::map<std::string, std::pair<int, int>> groups; /* what: how many, the first thread */
    for (const Fiber &f : machine.fibers) {
        if (f.state != State::BLOCKED) continue;
        char what[128];
        snprintf(what, sizeof what, "%s (mask %08x)", f.wait.what, f.wait.mask);
        auto &group =
            groups.try_emplace(what + (" at " + source_of(f.wait.pc)), 0, f.thread).first->second;
        group.first++;
    }
    std::string text;
    for (const auto &g : groups)
        text += "\n    " + std::to_string(g.second.first) + " threads, the first is " +
                std::to_string(g.second.second) + ", wait in " + g.first;
    Fiber *asking = current;
    current = nullptr;
    report("deadlock", nullptr, "block (%u,%u,%u): nobody can go on, %d threads have not ended:%s",
           machine.block.x, machine.block.y, machine.block.z, machine.live, text.c_str());
    current = asking;
}

/* Gives the processor away; returns when this fiber is picked again. */
void reschedule()
{
    Fiber *next = pick();
    if (!next) {
        report_deadlock();
        abandon_block();
    }
    if (next != current) switch_to(next);
}

void make_unready(Fiber *f)
{
    Warp &w = machine.warps[static_cast<size_t>(f->warp)];
    w.ready &= ~(1u << f->lane);
    if (!w.ready) machine.warps_ready--;
}
} // namespace

uint64_t random_bits() /* xorshift (Marsaglia 2003) */
{
    uint64_t &s = machine.random;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s;
}

void make_stacks(int threads)
{
    const size_t size = GUARD_BYTES + STACK_BYTES, wanted = static_cast<size_t>(threads);
    if (stacks_mapped < wanted) {
        if (stacks) munmap(stacks, stacks_mapped * size);
        stacks = static_cast<char *>(mmap(nullptr, wanted * size, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        stacks_mapped = wanted;
        for (size_t i = 0; i < wanted; i++) mprotect(stacks + i * size, GUARD_BYTES, PROT_NONE);
    }
    for (size_t i = 0; i < wanted; i++) machine.fibers[i].stack = stacks + i * size + GUARD_BYTES;
}

void start_fiber(Fiber *f)
{
#ifdef USE_UCONTEXT
    ucontext_t *c = context_of(f);
    getcontext(c);
    c->uc_stack.ss_sp = f->stack;
    c->uc_stack.ss_size = STACK_BYTES;
    makecontext(c, fiber_main, 0);
#else
    enum { SAVED_REGISTERS = 6 };
    void **sp = reinterpret_cast<void **>(f->stack + STACK_BYTES - 64);
    *--sp = nullptr; /* where a call of fiber_main would return to: keeps the ABI's alignment */
    *--sp = reinterpret_cast<void *>(fiber_main);
    for (int i = 0; i < SAVED_REGISTERS; i++) *--sp = nullptr;
    f->sp = sp;
#endif
    make_ready(f);
}

void run_fibers()
{
    gave_up = false;
    machine.steps = 0;
    switch_to(pick());
}

void make_ready(Fiber *f)
{
    f->state = State::READY;
    Warp &w = machine.warps[static_cast<size_t>(f->warp)];
    if (!w.ready) machine.warps_ready++;
    w.ready |= 1u << f->lane;
}

void block_on(const char *what, uint32_t mask, void *pc)
{
    current->state = State::BLOCKED;
    current->wait = Wait{what, mask, pc};
    make_unready(current);
    reschedule();
}

void maybe_yield()
{
    if (machine.settings.seed) reschedule();
}

void count_step(void *pc)
{
    const uint64_t limit = machine.settings.step_limit ? machine.settings.step_limit : STEP_LIMIT;
    if (++machine.steps <= limit) return;
    report("endless", pc, "the block has not ended after %llu steps",
           static_cast<unsigned long long>(limit));
    abandon_block();
}

void thread_done()
{
    check_copies_waited_for(nullptr);
    current->state = State::DONE;
    make_unready(current);
    machine.live--;
    machine.warps[static_cast<size_t>(current->warp)].live &= ~(1u << current->lane);
    barrier_thread_done();
    Fiber *next = pick();
    if (!next && machine.live) {
        report_deadlock();
        gave_up = true;
    }
    switch_to(next); /* NULL: back to the host, for good */
    __builtin_unreachable();
}

void abandon_block()
{
    gave_up = true;
    switch_to(nullptr);
    __builtin_unreachable(); /* nobody resumes an abandoned block */
}

bool abandoned()
{
    return gave_up;
}
} // namespace emu
