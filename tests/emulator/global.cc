/* Device memory: one range of addresses, 4 KiB apart so that an overrun meets nobody's memory.
 *
 * A word of shadow per byte says who wrote it last: nobody, the host, or a block of a launch.  So
 * reads of what nobody wrote are found, and blocks of one launch that touch what another of them
 * wrote; a write after another block's read is not. */
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>

#include "tests/emulator/machine.hh"

namespace emu
{
namespace
{
constexpr size_t   SPACE = size_t{8} << 30, GAP = 4096;
constexpr uint32_t BLOCK_BITS = 20, BLOCK_MASK = (1u << BLOCK_BITS) - 1;
constexpr uint32_t BY_HOST = BLOCK_MASK; /* launch 0: no launch has that number */

struct Allocation {
    size_t start, bytes;
    bool   freed;
};

unsigned char               *space;
uint32_t                    *writers;
size_t                       used = GAP;
std::map<size_t, Allocation> allocations;
Allocation                   latest{0, 0, true}; /* the one that was asked for last */

bool make_space()
{
    if (space) return true;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void     *s = mmap(nullptr, SPACE, PROT_READ | PROT_WRITE, flags, -1, 0);
    void     *w = mmap(nullptr, SPACE * sizeof *writers, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (s == MAP_FAILED || w == MAP_FAILED) return false;
    space = static_cast<unsigned char *>(s);
    writers = static_cast<uint32_t *>(w);
    return true;
}

const Allocation *allocation_before(size_t offset)
{
    auto after = allocations.upper_bound(offset);
    return after == allocations.begin() ? nullptr : &(--after)->second;
}

bool allowed(size_t offset, size_t bytes)
{
    if (latest.freed || offset < latest.start || offset + bytes > latest.start + latest.bytes) {
        const Allocation *a = allocation_before(offset);
        if (!a || a->freed || offset + bytes > a->start + a->bytes) return false;
        latest = *a;
    }
    return true;
}

size_t offset_of(const void *p)
{
    return static_cast<size_t>(static_cast<const unsigned char *>(p) - space);
}

uint32_t this_block()
{
    const dim3    &g = machine.launch.grid;
    const uint32_t index = (machine.block.z * g.y + machine.block.y) * g.x + machine.block.x + 1;
    const uint32_t serial = machine.launch_serial % 0xFFF + 1;
    return serial << BLOCK_BITS | (index & BLOCK_MASK);
}

[[noreturn]] void report_outside(const void *p, int bytes, const char *what, void *pc)
{
    const size_t      at = offset_of(p);
    const Allocation *a = allocation_before(at);
    if (a)
        report("bounds", pc, "global %s of %d bytes at offset %zd of an allocation of %zu bytes%s",
               what, bytes, static_cast<ssize_t>(at - a->start), a->bytes,
               a->freed ? ", which was freed" : "");
    else
        report("bounds", pc, "global %s of %d bytes before every allocation", what, bytes);
    abandon_block();
}

void drop_pages(void *start, size_t bytes)
{
    const uintptr_t first = (reinterpret_cast<uintptr_t>(start) + 4095) & ~uintptr_t{4095};
    const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + bytes) & ~uintptr_t{4095};
    if (end > first) madvise(reinterpret_cast<void *>(first), end - first, MADV_DONTNEED);
}

bool host_may(const void *device, size_t bytes)
{
    if (is_global(device) && allowed(offset_of(device), bytes)) return true;
    report("bounds", nullptr, "the host copies %zu bytes outside an allocation", bytes);
    return false;
}
} // namespace

bool is_global(const void *p)
{
    return space && p >= space && p < space + SPACE;
}

void global_access(const void *p, int bytes, Access kind, void *pc)
{
    const char  *what = kind == Access::READ ? "read" : "write";
    const size_t at = offset_of(p);
    if (!allowed(at, static_cast<size_t>(bytes))) report_outside(p, bytes, what, pc);
    if (!(bytes & (bytes - 1)) && at % static_cast<size_t>(bytes))
        report("alignment", pc, "global %s of %d bytes at a misaligned address", what, bytes);

    emu_counters &count = machine.counters;
    (kind == Access::READ ? count.global_read_bytes : count.global_written_bytes) +=
        static_cast<uint64_t>(bytes);
    count.global_accesses++;
    count.global_accesses_16 += bytes == 16;
    if (!checked_build) return;

    const uint32_t me = this_block();
    for (size_t i = at; i < at + static_cast<size_t>(bytes); i++) {
        const uint32_t writer = writers[i];
        if (kind == Access::READ && !writer)
            report("uninitialised", pc, "read of global memory that nobody has written");
        if (writer != me && writer >> BLOCK_BITS == me >> BLOCK_BITS)
            report("race", pc, "%s of global memory that block %u of the same launch has written",
                   what, (writer & BLOCK_MASK) - 1);
        if (kind == Access::WRITE) writers[i] = me;
    }
}

namespace
{
void wide_access(const void *p, Access kind, void *pc)
{
    count_step(pc);
    if (!is_global(p)) {
        report("host-memory", pc, "%p is not device memory", p);
        abandon_block();
    }
    if (reinterpret_cast<uintptr_t>(p) % 16) {
        report("alignment", pc, "16 bytes at a misaligned global address");
        abandon_block();
    }
    global_access(p, 16, kind, pc);
}
} // namespace

void global_load_16(void *dst, const void *src_g)
{
    wide_access(src_g, Access::READ, EMU_CALLER);
    memcpy(dst, src_g, 16);
}

void global_store_16(void *dst_g, const void *src)
{
    wide_access(dst_g, Access::WRITE, EMU_CALLER);
    memcpy(dst_g, src, 16);
}

/* What another block of the launch has stored there must be the same. */
void global_store_same(int32_t *dst_g, int32_t value)
{
    count_step(EMU_CALLER);
    if (!is_global(dst_g)) {
        report("host-memory", EMU_CALLER, "%p is not device memory", static_cast<void *>(dst_g));
        abandon_block();
    }
    const size_t at = offset_of(dst_g);
    if (!allowed(at, sizeof value)) report_outside(dst_g, sizeof value, "write", EMU_CALLER);
    if (at % sizeof value == 0 && *dst_g == value) return; /* no race, whoever it was */
    global_access(dst_g, sizeof value, Access::WRITE, EMU_CALLER);
    *dst_g = value;
}
} // namespace emu

extern "C" void *emu_alloc(size_t bytes)
{
    if (!emu::make_space() || bytes > emu::SPACE - emu::used - 2 * emu::GAP) return nullptr;
    const size_t start = emu::used;
    /* 256 bytes, as cudaMalloc aligns. */
    emu::used += (bytes + 255) / 256 * 256 + emu::GAP;
    emu::allocations[start] = {start, bytes, false};
    memset(emu::space + start, 0xFF, bytes); /* NaN in every float type */
    return emu::space + start;
}

extern "C" void emu_free(void *device)
{
    if (!device) return;
    const auto found = emu::allocations.find(emu::offset_of(device));
    if (found == emu::allocations.end() || found->second.freed) {
        emu::report("bounds", nullptr, "%p is freed but was not allocated", device);
        return;
    }
    found->second.freed = true;
    emu::latest.freed = true;
    /* Whole pages go back to the system; the addresses are never used again. */
    const size_t at = emu::offset_of(device);
    emu::drop_pages(emu::space + at, found->second.bytes);
    emu::drop_pages(emu::writers + at, found->second.bytes * sizeof *emu::writers);
}

extern "C" void emu_upload(void *device, const void *host, size_t bytes)
{
    if (!emu::host_may(device, bytes)) return;
    memcpy(device, host, bytes);
    if (!emu::checked_build) return; /* nobody will ask */
    const size_t at = emu::offset_of(device);
    for (size_t i = at; i < at + bytes; i++) emu::writers[i] = emu::BY_HOST;
}

extern "C" void emu_download(void *host, const void *device, size_t bytes)
{
    if (emu::host_may(device, bytes)) memcpy(host, device, bytes);
}
