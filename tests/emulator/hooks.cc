/* The compiler's hooks: kernel files of the checked build are compiled with -fsanitize=thread and
 * some of -fsanitize=undefined, but linked without those libraries.  The calls that the compiler
 * put into them arrive here, with the address of every load and store of kernel code.
 *
 * This file and the rest of the emulator are compiled without them. */
#include <cstring>
#include <link.h>

#include "tests/emulator/machine.hh"

namespace emu
{
bool checked_build; /* set before any constructor runs, so it has none itself */

namespace
{
struct Range {
    uintptr_t lo = 0, hi = 0;
};

/* The program itself: constants lie there. */
const Range &program()
{
    static const Range range = [] {
        Range r;
        dl_iterate_phdr(
            [](struct dl_phdr_info *info, size_t, void *out) {
                auto *found = static_cast<Range *>(out);
                for (int i = 0; i < info->dlpi_phnum; i++) {
                    const auto &part = info->dlpi_phdr[i];
                    if (part.p_type != PT_LOAD) continue;
                    const uintptr_t lo = info->dlpi_addr + part.p_vaddr;
                    if (!found->lo || lo < found->lo) found->lo = lo;
                    if (lo + part.p_memsz > found->hi) found->hi = lo + part.p_memsz;
                }
                return 1;
            },
            &r);
        return r;
    }();
    return range;
}

bool within(const void *p, int bytes, uintptr_t lo, uintptr_t hi)
{
    const auto at = reinterpret_cast<uintptr_t>(p);
    return at >= lo && at + static_cast<uintptr_t>(bytes) <= hi;
}

void other_access(const void *p, int bytes, Access kind, void *pc)
{
    const auto params = reinterpret_cast<uintptr_t>(machine.launch.bound);
    const bool constant = within(p, bytes, params, params + machine.launch.bound_bytes) ||
                          within(p, bytes, program().lo, program().hi);
    if (constant && kind == Access::READ) return;
    report("host-memory", pc, "a kernel %s host memory at %p",
           kind == Access::READ ? "reads" : "writes", p);
    abandon_block();
}
} // namespace

void plain_access(const void *p, int bytes, Access kind, void *pc)
{
    const auto stack = reinterpret_cast<uintptr_t>(current->stack);
    if (within(p, bytes, stack, stack + STACK_BYTES)) return; /* registers, local memory */
    count_step(pc);
    machine.counters.plain_accesses++;
    if (machine.steps % 256 == 0 && machine.settings.seed && random_bits() % 4 == 0)
        maybe_yield(); /* preemption between any two accesses */
    if (is_shared(p))
        shared_plain_access(p, bytes, kind, pc);
    else if (is_global(p))
        global_access(p, bytes, kind, pc);
    else
        other_access(p, bytes, kind, pc);
}

namespace
{
/* What -fsanitize=undefined passes first: where in the source. */
struct SourcePlace {
    const char *file;
    unsigned    line, column;
};

void undefined(const char *what, const void *data, bool fatal)
{
    if (!current) return; /* launch code of the same file: the compiler's warnings and tests */
    const auto *place = static_cast<const SourcePlace *>(data);
    const char *slash = place->file ? strrchr(place->file, '/') : nullptr;
    /* The line stands for the address: one report a line. */
    report("undefined", nullptr, "%s at %s:%u", what,
           slash         ? slash + 1
           : place->file ? place->file
                         : "?",
           place->line);
    if (fatal) abandon_block();
}
} // namespace
} // namespace emu

/* ---- what the compiler calls ----------------------------------------------------------------- */

using emu::Access;

#define HOOK(name, bytes, kind)                                                                    \
    extern "C" void name(void *p)                                                                  \
    {                                                                                              \
        if (emu::current) emu::plain_access(p, bytes, kind, EMU_CALLER);                           \
    }
#define HOOKS(bytes)                                                                               \
    HOOK(__tsan_read##bytes, bytes, Access::READ)                                                  \
    HOOK(__tsan_write##bytes, bytes, Access::WRITE)                                                \
    HOOK(__tsan_unaligned_read##bytes, bytes, Access::READ)                                        \
    HOOK(__tsan_unaligned_write##bytes, bytes, Access::WRITE)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

extern "C" {
void __tsan_init()
{
    emu::checked_build = true;
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit()
{
}
void __tsan_read_range(void *p, unsigned long bytes)
{
    if (emu::current) emu::plain_access(p, static_cast<int>(bytes), Access::READ, EMU_CALLER);
}
void __tsan_write_range(void *p, unsigned long bytes)
{
    if (emu::current) emu::plain_access(p, static_cast<int>(bytes), Access::WRITE, EMU_CALLER);
}

struct TypeMismatch {
    emu::SourcePlace place;
    const void      *type;
    unsigned char    log_alignment, kind;
};
void __ubsan_handle_type_mismatch_v1(TypeMismatch *d, unsigned long p)
{
    const bool aligned = !(p & ((1ul << d->log_alignment) - 1));
    emu::undefined(!p        ? "null pointer"
                   : aligned ? "object too small"
                             : "misaligned access",
                   &d->place, !p);
}
#define UNDEFINED(name, what, fatal, ...)                                                          \
    void __ubsan_handle_##name(void *d, ##__VA_ARGS__)                                             \
    {                                                                                              \
        emu::undefined(what, d, fatal);                                                            \
    }
using word = unsigned long;
UNDEFINED(out_of_bounds, "array index out of bounds", true, word)
UNDEFINED(shift_out_of_bounds, "shift count out of range", false, word, word)
UNDEFINED(add_overflow, "integer overflow", false, word, word)
UNDEFINED(sub_overflow, "integer overflow", false, word, word)
UNDEFINED(mul_overflow, "integer overflow", false, word, word)
UNDEFINED(negate_overflow, "integer overflow", false, word)
UNDEFINED(divrem_overflow, "division by zero or overflow", true, word, word)
UNDEFINED(pointer_overflow, "pointer overflow", false, word, word)
UNDEFINED(load_invalid_value, "invalid bool or enum", false, word)
UNDEFINED(float_cast_overflow, "float to integer out of range", false, word)
}
