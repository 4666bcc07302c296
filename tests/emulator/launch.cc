/* A launch: the blocks of a grid one after the other, in random order if there is a seed. */
#include <algorithm>
#include <cstring>
#include <numeric>

#include "tests/emulator/runtime.hh"

namespace emu
{
namespace
{
/* Limits of every device of compute capability 8.0 and later (CUDA C++ Programming Guide). */
const char *refusal(const Launch &l)
{
    if (l.threads < 1 || l.threads > THREADS_MAX) return "block size out of range";
    if (l.shared_bytes < 0 || l.shared_bytes > l.shared_limit)
        return "more shared memory than the device has";
    if (static_cast<size_t>(l.shared_limit) > SHARED_MAX)
        return "no device has so much shared memory";
    if (!l.grid.x || !l.grid.y || !l.grid.z || l.grid.x > 0x7FFFFFFFu || l.grid.y > 65535 ||
        l.grid.z > 65535)
        return "grid size out of range";
    return nullptr;
}

void start_thread(int t)
{
    Fiber &f = machine.fibers[static_cast<size_t>(t)];
    f.thread = t;
    f.warp = t / WARP;
    f.lane = t % WARP;
    f.copies_open.clear();
    f.copy_groups.clear();
    f.wait = Wait{};
    Warp &w = machine.warps[static_cast<size_t>(f.warp)];
    w.lanes[f.lane] = &f;
    w.live |= 1u << f.lane;
    start_fiber(&f);
}

void run_block(uint32_t index)
{
    const Launch &l = machine.launch;
    machine.block =
        uint3{index % l.grid.x, index / l.grid.x % l.grid.y, index / l.grid.x / l.grid.y};
    machine.block_serial++;
    machine.live = l.threads;
    machine.warps_ready = machine.warp_now = 0;
    machine.barrier = BlockBarrier{};
    machine.warps.assign(static_cast<size_t>((l.threads + WARP - 1) / WARP), Warp{});
    if (machine.settings.seed)
        for (Warp &w : machine.warps) {
            w.priority = static_cast<int>(random_bits() & 0xFFFF);
            w.lane_order = static_cast<int>(random_bits() % 3);
        }
    new_block_shared();
    init_clocks();
    for (int t = 0; t < l.threads; t++) start_thread(t);
    machine.counters.threads += static_cast<uint64_t>(l.threads);
    run_fibers();
}
} // namespace

rf_status launch(const Launch &l)
{
    new_launch_reports();
    if (const char *why = refusal(l)) {
        report("launch", nullptr, "%s: %d threads, %d bytes of %d, grid (%u,%u,%u)", why, l.threads,
               l.shared_bytes, l.shared_limit, l.grid.x, l.grid.y, l.grid.z);
        note_refused_launch();
        return RF_E_DEVICE;
    }
    return l.stream ? put_off_launch(l) : run_grid(l);
}

rf_status run_grid(const Launch &l)
{
    new_launch_reports();
    const int before = report_count();
    machine.launch = l;
    machine.launch_serial++;
    machine.fibers.resize(static_cast<size_t>(std::max<int>(l.threads, 1)));
    make_stacks(l.threads);
    machine.random = machine.settings.seed * 0x9E3779B97F4A7C15u + 88172645463325252u;

    std::vector<uint32_t> order(static_cast<size_t>(l.grid.x) * l.grid.y * l.grid.z);
    std::iota(order.begin(), order.end(), 0u);
    for (size_t i = order.size(); machine.settings.seed && i > 1; i--)
        std::swap(order[i - 1], order[random_bits() % i]);
    for (const uint32_t index : order) {
        run_block(index);
        if (abandoned()) break;
    }
    current = nullptr;
    return report_count() == before ? RF_OK : RF_E_DEVICE;
}

uint3 thread_index()
{
    return uint3{static_cast<unsigned>(current->thread), 0, 0};
}

uint3 block_index()
{
    return machine.block;
}

dim3 block_size()
{
    return dim3(static_cast<unsigned>(machine.launch.threads));
}

dim3 grid_size()
{
    return machine.launch.grid;
}

int planted_defect()
{
    return machine.settings.defect;
}

int lane()
{
    return current->lane;
}
} // namespace emu

extern "C" void emu_configure(const emu_settings *settings)
{
    emu::machine.settings = *settings;
}

extern "C" bool emu_checked(void)
{
    return emu::checked_build;
}

extern "C" const emu_counters *emu_counts(void)
{
    return &emu::machine.counters;
}
