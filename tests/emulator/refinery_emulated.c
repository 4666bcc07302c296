/* refinery-emulated: the refinery command with a GPU that is emulated, for tests.
 *
 * Wraps the command's main: which machine it finds itself on, and which call of the CUDA runtime
 * fails, is told by the variable RF_EMULATED, "key=number" between blanks, each key optional:
 *
 *   devices=1 driver=13000 major=8 minor=9 memory=8192 used=0   of the GPU; MiB
 *   fail=12 error=700                                           the 12th call fails with 700
 *
 * What the emulator finds wrong with a kernel is printed at the end, and is a failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

int __real_main(int argc, char **argv); /* tools/main.c's; names are the linker's */
int __wrap_main(int argc, char **argv);

static size_t number_of(const char *key, size_t fallback)
{
    const char  *text = getenv("RF_EMULATED");
    const size_t length = strlen(key);
    for (; text && *text; text += strcspn(text, " "), text += *text == ' ')
        if (strncmp(text, key, length) == 0 && text[length] == '=')
            return strtoul(text + length + 1, NULL, 10);
    return fallback;
}

int __wrap_main(int argc, char **argv)
{
    enum { MIB = 1 << 20, BUG = 70 };
    emu_gpu gpu = emu_gpu_emulated;
    gpu.devices = (int)number_of("devices", 1);
    gpu.driver_version = (int)number_of("driver", (size_t)gpu.driver_version);
    gpu.major = (int)number_of("major", (size_t)gpu.major);
    gpu.minor = (int)number_of("minor", (size_t)gpu.minor);
    gpu.memory_bytes = number_of("memory", gpu.memory_bytes / MIB) * MIB;
    gpu.memory_used = number_of("used", 0) * MIB;
    emu_configure(&(emu_settings){.no_races = true}); /* each kernel's own tests look for them */
    emu_runtime_start(&gpu);
    emu_runtime_fail(number_of("fail", 0), (int)number_of("error", 719));
    const int code = __real_main(argc, argv);
    for (int i = 0; i < emu_reports(); i++)
        fprintf(stderr, "emulator: %s: %s\n", emu_report_at(i).kind, emu_report_at(i).text);
    return emu_reports() && code == 0 ? BUG : code;
}
