/* cp.async (9.7.9.25.3): as late as the manual allows.
 *
 * The source is read when the copy is issued, the destination turns into NaN at once, and the bytes
 * arrive when their thread waits for their group: who reads too early, reads NaN. */
#include <cstring>

#include "tests/emulator/machine.hh"

namespace emu
{
void cp_async(uint32_t dst_s, const void *src_g, int bytes, int valid_bytes)
{
    void *pc = EMU_CALLER;
    count_step(pc);
    if (dst_s % static_cast<unsigned>(bytes) ||
        reinterpret_cast<uintptr_t>(src_g) % static_cast<unsigned>(bytes)) {
        report("alignment", pc, "cp.async of %d bytes from or to a misaligned address", bytes);
        abandon_block();
    }
    if (valid_bytes < 0 || valid_bytes > bytes) {
        report("bounds", pc, "cp.async: %d valid bytes of %d", valid_bytes, bytes);
        abandon_block();
    }
    if (valid_bytes) {
        if (!is_global(src_g)) {
            report("host-memory", pc, "cp.async reads host memory at %p", src_g);
            abandon_block();
        }
        global_access(src_g, valid_bytes, Access::READ, pc);
    }
    unsigned char *dst = shared_at(dst_s, bytes, pc);
    shared_copy_begins(dst_s, bytes, pc);
    Copy c{dst_s, bytes, valid_bytes, {}};
    if (valid_bytes) memcpy(c.data, src_g, static_cast<size_t>(valid_bytes));
    memset(dst, 0xFF, static_cast<size_t>(bytes));
    current->copies_open.push_back(c);
    machine.counters.copies++;
}

void cp_async_commit()
{
    current->copy_groups.push_back(std::move(current->copies_open));
    current->copies_open.clear();
}

void cp_async_wait(int groups_left)
{
    Fiber *f = current;
    while (static_cast<int>(f->copy_groups.size()) > groups_left) {
        for (const Copy &c : f->copy_groups.front()) {
            memcpy(shared_at(c.dst_s, c.bytes, EMU_CALLER), c.data, static_cast<size_t>(c.bytes));
            shared_copy_lands(c.dst_s, c.bytes);
        }
        f->copy_groups.pop_front();
    }
}

int copy_groups_under_way(const Fiber *f)
{
    int groups = 0;
    for (const auto &g : f->copy_groups) groups += !g.empty();
    return groups;
}

void check_copies_waited_for(void *pc)
{
    bool waited = current->copies_open.empty();
    for (const auto &g : current->copy_groups) waited = waited && g.empty();
    if (!waited) report("exit", pc, "a thread ends with cp.async copies that it never waited for");
}
} // namespace emu
