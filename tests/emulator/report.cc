/* Reports: a fault of each kind is told once per source position of a launch. */
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <map>
#include <set>
#include <unistd.h>

#include "tests/emulator/machine.hh"

namespace emu
{
namespace
{
constexpr size_t REPORTS_KEPT = 32;

struct Report {
    std::string kind, text;
};
std::vector<Report>                      reports;
std::set<std::pair<std::string, void *>> told;
std::map<void *, std::string>            sources;

/* Where the program is loaded: addr2line wants addresses of the file. */
uintptr_t load_address()
{
    uintptr_t base = 0;
    dl_iterate_phdr(
        [](struct dl_phdr_info *info, size_t, void *out) {
            *static_cast<uintptr_t *>(out) = info->dlpi_addr;
            return 1; /* the first entry is the program itself */
        },
        &base);
    return base;
}

std::string ask_addr2line(void *pc)
{
    char          path[4096], command[4400], line[1024];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return "?";
    path[length] = 0;
    /* The address before the return address still belongs to the call. */
    const uintptr_t at = reinterpret_cast<uintptr_t>(pc) - 1 - load_address();
    snprintf(command, sizeof command, "addr2line -s -i -e '%s' 0x%zx 2>/dev/null", path, at);
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c): of this program's own path
    if (!pipe) return "?";
    std::string chain;
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, " \n")] = 0; /* drops " (discriminator 3)" */
        if (!chain.empty()) chain += " < ";
        chain += line;
    }
    pclose(pipe);
    return chain.empty() ? "?" : chain;
}
} // namespace

std::string source_of(void *pc)
{
    const auto known = sources.find(pc);
    return known != sources.end() ? known->second : sources[pc] = ask_addr2line(pc);
}

void report(const char *kind, void *pc, const char *format, ...)
{
    if (!told.insert({kind, pc}).second || reports.size() >= REPORTS_KEPT) return;
    char    what[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    std::string text = what;
    if (current) {
        char who[128];
        snprintf(who, sizeof who, "; block (%u,%u,%u) thread %d (warp %d lane %d)", machine.block.x,
                 machine.block.y, machine.block.z, current->thread, current->warp, current->lane);
        text += who;
    }
    if (pc) text += " at " + source_of(pc);
    reports.push_back({kind, text});
}

void new_launch_reports()
{
    told.clear();
}

int report_count()
{
    return static_cast<int>(reports.size());
}
} // namespace emu

extern "C" int emu_reports(void)
{
    return emu::report_count();
}

extern "C" emu_report emu_report_at(int i)
{
    const emu::Report &r = emu::reports.at(static_cast<size_t>(i));
    return {r.kind.c_str(), r.text.c_str()};
}

extern "C" bool emu_reported(const char *kind)
{
    for (const emu::Report &r : emu::reports)
        if (r.kind == kind) return true;
    return false;
}

extern "C" void emu_clear(void)
{
    emu::reports.clear();
    emu::told.clear();
    emu::machine.counters = {};
}
