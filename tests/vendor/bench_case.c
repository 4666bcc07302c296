/* See bench_case.h. */
#include "tests/vendor/bench_case.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/device_bench.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

int bench_case(const char *const *arguments)
{
    char *argv[32] = {"refinery-bench"};
    int   argc = 1;
    while (arguments[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
        argc++;
    }
    emu_gpu gpu = emu_gpu_h100;
    gpu.memory_bytes = (size_t)2 << 30; /* what overwrites L2 is a share of it */
    emu_runtime_start(&gpu);
    emu_configure(&(emu_settings){.no_races = true}); /* of each kernel: tests/kernels */
    const int      code = bench_on_device(argc, argv);
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.streams && !held.events &&
              !held.graphs && !held.executables);
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
    return code;
}

const char *bench_file(void)
{
    static char path[32];
    strcpy(path, "/tmp/refinery-bench-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    return path;
}

char *bench_text(const char *name)
{
    FILE  *f = fopen(name, "rb");
    char  *text = calloc(1, 1 << 16);
    size_t used;
    cr_assert(f && text);
    used = fread(text, 1, (1 << 16) - 1, f);
    cr_assert_gt(used, 0);
    fclose(f);
    unlink(name);
    return text;
}
