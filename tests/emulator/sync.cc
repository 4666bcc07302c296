/* What threads of a block do together: the block barrier, and warp instructions. */
#include <cstring>

#include "tests/emulator/machine.hh"

namespace emu
{
/* ---- block barrier (9.7.13.1 bar.sync 0) ----------------------------------------------------- */
namespace
{
void open_barrier()
{
    BlockBarrier &b = machine.barrier;
    for (Fiber *f : b.waiting) {
        acquire_clock(f, b.clock);
        if (f != current) make_ready(f);
    }
    b.waiting.clear();
    b.clock.clear();
    b.arrived = 0;
    machine.counters.barriers++;
}
} // namespace

void barrier()
{
    BlockBarrier &b = machine.barrier;
    b.arrived++;
    b.waiting.push_back(current);
    release_clock(current, &b.clock);
    if (b.arrived < machine.live) {
        block_on("__syncthreads", 0xFFFFFFFFu, EMU_CALLER);
        return;
    }
    open_barrier();
    maybe_yield();
}

/* Threads that ended no longer count: those that wait may be all that is left. */
void barrier_thread_done()
{
    if (machine.barrier.arrived && machine.barrier.arrived == machine.live) open_barrier();
}

/* ---- warp instructions ----------------------------------------------------------------------- */
namespace
{
/* Lanes of one instruction must be at one place of the source.  The host compiler may have copied
 * the code, so different addresses are compared by their source lines. */
bool same_place(const void *a, const void *b)
{
    return a == b || source_of(const_cast<void *>(a)) == source_of(const_cast<void *>(b));
}

Collective *slot_for(Warp *w, Collective::Execute execute, const char *name, uint32_t mask,
                     void *pc)
{
    for (Collective &c : w->slots) {
        if (!c.arrived || !(c.mask & (1u << current->lane))) continue;
        if (c.mask != mask || c.execute != execute) {
            report("warp", pc,
                   "%s with mask %08x while other lanes are in another instruction "
                   "(mask %08x)",
                   name, mask, c.mask);
            abandon_block();
        }
        if (strcmp(name, "__syncwarp") && !same_place(c.pc, pc)) {
            report("warp", pc, "lanes of a warp meet in %s at different places, the others at %s",
                   name, source_of(c.pc).c_str());
            abandon_block();
        }
        return &c;
    }
    for (Collective &c : w->slots)
        if (!c.arrived) {
            c.mask = mask;
            c.execute = execute;
            c.pc = pc;
            return &c;
        }
    report("warp", pc, "%s: too many parts of a warp in instructions of their own", name);
    abandon_block();
}
} // namespace

void collect(Collective::Execute execute, const char *name, uint32_t mask, void *arg, void *pc)
{
    Warp          &w = machine.warps[static_cast<size_t>(current->warp)];
    const uint32_t me = 1u << current->lane;
    if (!(mask & me)) {
        report("warp", pc, "%s: the calling lane is not in its own mask %08x", name, mask);
        abandon_block();
    }
    Collective *c = slot_for(&w, execute, name, mask, pc);
    c->args[current->lane] = arg;
    c->arrived |= me;
    if (c->arrived != mask) {
        if (mask & ~w.live) {
            report("warp", pc, "%s: mask %08x names lanes that have ended (live %08x)", name, mask,
                   w.live);
            abandon_block();
        }
        block_on(name, mask, pc);
        return;
    }
    c->execute(c->args, mask);
    c->arrived = 0;
    for (uint32_t others = mask & ~me; others; others &= others - 1)
        make_ready(w.lanes[__builtin_ctz(others)]);
    maybe_yield();
}

/* __syncwarp orders memory among its lanes (9.7.13.4 bar.warp.sync). */
void warp_barrier(uint32_t mask)
{
    collect(
        [](void *const *, uint32_t lanes) {
            const Warp           &w = machine.warps[static_cast<size_t>(current->warp)];
            std::vector<uint32_t> joined;
            for (uint32_t m = lanes; m; m &= m - 1)
                release_clock(w.lanes[__builtin_ctz(m)], &joined);
            for (uint32_t m = lanes; m; m &= m - 1)
                acquire_clock(w.lanes[__builtin_ctz(m)], joined);
        },
        "__syncwarp", mask, nullptr, EMU_CALLER);
}

namespace
{
struct Shuffle {
    uint32_t in, out;
    int      source;
    void    *pc;
};
struct Vote {
    int      predicate;
    uint32_t out;
};
} // namespace

/* shfl.sync (9.7.9.6).  Orders no memory.  Reading a lane outside the mask is undefined. */
uint32_t shuffle(uint32_t mask, uint32_t value, int source_lane)
{
    Shuffle s{value, 0, source_lane, EMU_CALLER};
    collect(
        [](void *const *args, uint32_t lanes) {
            for (uint32_t m = lanes; m; m &= m - 1) {
                auto *mine = static_cast<Shuffle *>(args[__builtin_ctz(m)]);
                if (mine->source < 0 || mine->source >= WARP || !(lanes >> mine->source & 1)) {
                    report("warp", mine->pc, "shuffle reads lane %d, which is not in the mask %08x",
                           mine->source, lanes);
                    mine->out = 0xFFFFFFFFu;
                } else {
                    mine->out = static_cast<Shuffle *>(args[mine->source])->in;
                }
            }
        },
        "shuffle", mask, &s, s.pc);
    return s.out;
}

/* vote.sync.ballot (9.7.13.10). */
uint32_t ballot(uint32_t mask, int predicate)
{
    Vote v{predicate, 0};
    collect(
        [](void *const *args, uint32_t lanes) {
            uint32_t result = 0;
            for (uint32_t m = lanes; m; m &= m - 1)
                if (static_cast<Vote *>(args[__builtin_ctz(m)])->predicate) result |= m & -m;
            for (uint32_t m = lanes; m; m &= m - 1)
                static_cast<Vote *>(args[__builtin_ctz(m)])->out = result;
        },
        "vote", mask, &v, EMU_CALLER);
    return v.out;
}
} // namespace emu
