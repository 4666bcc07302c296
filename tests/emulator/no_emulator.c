/* emulator.h and runtime.h where tests run on a real GPU: nothing is planted, counted or seen.
 *
 * A test that wants a machine of its own making, or a call to fail, is skipped by the call that
 * asks for it; what was held is not known and told as nothing. */
#include <criterion/criterion.h>

#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

/* all of them: the GPU that is there */
const emu_gpu emu_gpu_a100, emu_gpu_rtx4090, emu_gpu_h100, emu_gpu_emulated;

bool emu_runtime_stands_in(void)
{
    return false;
}

void emu_runtime_start(const emu_gpu *gpu)
{
    if (gpu != &emu_gpu_a100 && gpu != &emu_gpu_rtx4090 && gpu != &emu_gpu_h100 &&
        gpu != &emu_gpu_emulated)
        cr_skip_test("this needs a machine with GPUs of its own");
}

void emu_runtime_fail(size_t n, int error)
{
    (void)error;
    if (n) cr_skip_test("no call of a real runtime can be made to fail");
}

void emu_runtime_skip(emu_skip what)
{
    (void)what; /* a real one is quick */
}

size_t emu_runtime_calls(void)
{
    return 0;
}

emu_held emu_runtime_held(void)
{
    return (emu_held){0};
}

int emu_runtime_device(void)
{
    return 0;
}

emu_done emu_runtime_done(void)
{
    return (emu_done){0};
}

void emu_configure(const emu_settings *settings)
{
    (void)settings;
}

bool emu_checked(void)
{
    return false;
}

int emu_reports(void)
{
    return 0;
}

emu_report emu_report_at(int i)
{
    (void)i;
    return (emu_report){"", ""};
}

bool emu_reported(const char *kind)
{
    (void)kind;
    return false;
}

void emu_clear(void)
{
}
