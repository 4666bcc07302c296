/* Shared memory, and who may touch it when.
 *
 * Races are found by happens-before (Flanagan & Freund 2009, "FastTrack"): every thread has a
 * vector clock with a component for each thread and for each thread's copies under way.  Barriers,
 * __syncwarp and cp.async waits order; shuffles, votes, ldmatrix and mma order nothing.  A cell of
 * shadow per two bytes remembers the last writer, and the last reader of each warp: two lanes of
 * one warp that read the same cell count as one.
 *
 * Clocks and shadow are kept only where the compiler's hooks show every access. */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>

#include "tests/emulator/machine.hh"

namespace emu
{
namespace
{
constexpr size_t   ARENA = 1 << 20; /* more than shared memory: what lies beyond is a fault, told */
constexpr uint32_t NOBODY = 0xFFFFFFFFu;

struct Epoch {
    uint32_t who, clock;
};

/* Two bytes of shared memory. */
struct Cell {
    uint32_t block = 0;   /* serial of the block that the rest is about */
    uint32_t readers = 0; /* warps whose entry in `read` counts */
    Epoch    written{NOBODY, 0};
    Epoch    read[THREADS_MAX / WARP] = {};
};

alignas(4096) unsigned char arena[ARENA];
Cell    *cells;
uint32_t copies_issued;

uint32_t start_of_shared()
{
    return machine.settings.odd_base ? ODD_BASE : 0;
}

uint32_t offset_of(uint32_t address)
{
    return address - SHARED_START - start_of_shared();
}

Cell *cell_at(uint32_t offset)
{
    Cell *c = &cells[offset / 2];
    if (c->block != machine.block_serial) {
        c->block = machine.block_serial;
        c->readers = 0;
        c->written = {NOBODY, 0};
    }
    return c;
}

std::string name_of(uint32_t who)
{
    const uint32_t threads = static_cast<uint32_t>(machine.launch.threads), t = who % threads;
    return std::string(who < threads ? "" : "a cp.async of ") + "thread " + std::to_string(t) +
           " (warp " + std::to_string(t / WARP) + ")";
}

bool ordered(const Fiber *f, const Epoch &e)
{
    return f->clock[e.who] >= e.clock;
}

void check_read(Fiber *f, uint32_t offset, int bytes, void *pc)
{
    const uint32_t me = static_cast<uint32_t>(f->thread);
    for (uint32_t o = offset & ~1u; o < offset + static_cast<uint32_t>(bytes); o += 2) {
        Cell *c = cell_at(o);
        if (c->written.who == NOBODY)
            report("uninitialised", pc, "read of shared+%u, which nobody has written", o);
        else if (c->written.who != me && !ordered(f, c->written))
            report("race", pc, "the read of shared+%u is not ordered after the write by %s", o,
                   name_of(c->written.who).c_str());
        c->readers |= 1u << f->warp;
        c->read[f->warp] = {me, f->clock[me]};
    }
}

void check_write(const Fiber *f, uint32_t offset, int bytes, Epoch by, void *pc)
{
    const char *what = by.who == static_cast<uint32_t>(f->thread) ? "write" : "copy";
    for (uint32_t o = offset & ~1u; o < offset + static_cast<uint32_t>(bytes); o += 2) {
        Cell *c = cell_at(o);
        if (c->written.who != NOBODY && c->written.who != by.who && !ordered(f, c->written))
            report("race", pc, "the %s to shared+%u is not ordered after the write by %s", what, o,
                   name_of(c->written.who).c_str());
        for (uint32_t warps = c->readers; warps; warps &= warps - 1) {
            const Epoch &r = c->read[__builtin_ctz(warps)];
            if (r.who == static_cast<uint32_t>(f->thread) || ordered(f, r)) continue;
            report("race", pc, "the %s to shared+%u is not ordered after the read by %s", what, o,
                   name_of(r.who).c_str());
            break;
        }
        c->written = by;
        c->readers = 0;
    }
}
} // namespace

bool races_on()
{
    return checked_build && !machine.settings.no_races;
}

void new_block_shared()
{
    memset(arena, 0xFF, start_of_shared() + static_cast<size_t>(machine.launch.shared_bytes));
    copies_issued = 0;
    if (!races_on() || cells) return;
    /* Untouched pages cost nothing, and zero is a block that never was. */
    void *p = mmap(nullptr, SHARED_MAX / 2 * sizeof(Cell), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    cells = static_cast<Cell *>(p);
}

void init_clocks()
{
    if (!races_on()) return;
    const size_t threads = static_cast<size_t>(machine.launch.threads);
    machine.clock_length = machine.launch.threads;
    machine.clocks.resize(threads * 2 * threads);
    for (size_t t = 0; t < threads; t++) {
        Fiber &f = machine.fibers[t];
        f.clock = &machine.clocks[t * 2 * threads];
        std::fill_n(f.clock, threads, 0u);
        f.clock[t] = 1;
    }
}

namespace
{
/* The copies' components, from the block's first copy on: most kernels have none. */
void lengthen_clocks()
{
    const int threads = machine.launch.threads;
    if (machine.clock_length > threads) return;
    machine.clock_length = 2 * threads;
    for (int t = 0; t < threads; t++)
        std::fill_n(machine.fibers[static_cast<size_t>(t)].clock + threads, threads, 0u);
}
} // namespace

void release_clock(Fiber *f, std::vector<uint32_t> *into)
{
    if (!races_on()) return;
    const size_t length = static_cast<size_t>(machine.clock_length);
    into->resize(length, 0);
    for (size_t i = 0; i < length; i++)
        if ((*into)[i] < f->clock[i]) (*into)[i] = f->clock[i];
    f->clock[f->thread]++;
}

void acquire_clock(Fiber *f, const std::vector<uint32_t> &from)
{
    if (!races_on()) return;
    for (size_t i = 0; i < from.size(); i++)
        if (f->clock[i] < from[i]) f->clock[i] = from[i];
}

unsigned char *shared_memory()
{
    return arena + start_of_shared();
}

bool is_shared(const void *p)
{
    const auto *c = static_cast<const unsigned char *>(p);
    return c >= arena && c < arena + ARENA;
}

uint32_t shared_address(const void *p)
{
    if (!is_shared(p)) {
        report("bounds", EMU_CALLER, "%p is not in shared memory", p);
        abandon_block();
    }
    return SHARED_START + static_cast<uint32_t>(static_cast<const unsigned char *>(p) - arena);
}

unsigned char *shared_at(uint32_t address, int bytes, void *pc)
{
    const int64_t offset = static_cast<int64_t>(address) - SHARED_START - start_of_shared();
    if (offset < 0 || offset + bytes > machine.launch.shared_bytes) {
        report("bounds", pc, "%d bytes at shared%+lld: outside the block's %d bytes", bytes,
               static_cast<long long>(offset), machine.launch.shared_bytes);
        abandon_block();
    }
    return shared_memory() + offset;
}

void shared_plain_access(const void *p, int bytes, Access kind, void *pc)
{
    const uint32_t address = shared_address(p);
    shared_at(address, bytes, pc);
    if (!(bytes & (bytes - 1)) && reinterpret_cast<uintptr_t>(p) % static_cast<unsigned>(bytes))
        report("alignment", pc, "%d bytes at the misaligned shared+%u", bytes, offset_of(address));
    if (!races_on()) return;
    const uint32_t me = static_cast<uint32_t>(current->thread);
    if (kind == Access::READ)
        check_read(current, offset_of(address), bytes, pc);
    else
        check_write(current, offset_of(address), bytes, {me, current->clock[me]}, pc);
}

void shared_read(Fiber *f, uint32_t address, int bytes, void *pc)
{
    if (races_on()) check_read(f, offset_of(address), bytes, pc);
}

/* The copy writes as an agent of its own: only the thread that waits for it comes to know. */
void shared_copy_begins(uint32_t address, int bytes, void *pc)
{
    if (!races_on()) return;
    lengthen_clocks();
    const uint32_t agent = static_cast<uint32_t>(machine.launch.threads + current->thread);
    check_write(current, offset_of(address), bytes, {agent, ++copies_issued}, pc);
}

void shared_copy_lands(uint32_t address, int bytes)
{
    if (!races_on()) return;
    const uint32_t agent = static_cast<uint32_t>(machine.launch.threads + current->thread);
    const uint32_t first = offset_of(address);
    for (uint32_t o = first; o < first + static_cast<uint32_t>(bytes); o += 2) {
        const Epoch &w = cell_at(o)->written;
        if (w.who == agent && current->clock[agent] < w.clock) current->clock[agent] = w.clock;
    }
}
} // namespace emu
