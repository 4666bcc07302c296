/* gpu_case.h on the emulated device. */
#include "tests/kernels/gpu_case.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emulator.h"

enum { BUFFERS = 32 };

static rf_gpu                   gpu;
static const struct rf_choices *choices;
static void                    *buffers[BUFFERS];
static int                      buffers_used;

const rf_gpu *gpu_use(gpu_settings settings)
{
    const char    *other = getenv("RF_EMU_SEED"); /* other schedules than the usual ones */
    const uint64_t seed = settings.seed + (other ? strtoull(other, NULL, 10) : 0);
    emu_configure(&(emu_settings){.seed = seed, .odd_base = seed % 2, .defect = settings.defect});
    emu_clear();
    gpu = (rf_gpu){.shared_bytes_max = settings.shared_bytes_max, .choices = choices};
    return &gpu;
}

const char *gpu_missing(void)
{
    return "";
}

void gpu_choose(const struct rf_choices *table)
{
    choices = table;
}

bool gpu_checked(void)
{
    return emu_checked();
}

bool gpu_emulated(void)
{
    return true;
}

const emu_counters *gpu_counts(void)
{
    return emu_counts();
}

void *gpu_unwritten(size_t bytes)
{
    cr_assert_lt(buffers_used, BUFFERS, "raise BUFFERS");
    void *device = emu_alloc(bytes);
    cr_assert_not_null(device);
    return buffers[buffers_used++] = device;
}

void *gpu_upload_at(const void *host, size_t bytes, size_t offset)
{
    if (!host) return NULL;
    char *device = gpu_unwritten(bytes + offset);
    emu_upload(device + offset, host, bytes);
    return device + offset;
}

void *gpu_upload(const void *host, size_t bytes)
{
    return gpu_upload_at(host, bytes, 0);
}

void gpu_download(void *host, const void *from, size_t bytes)
{
    emu_download(host, from, bytes);
}

void gpu_free_all(void)
{
    while (buffers_used) emu_free(buffers[--buffers_used]);
}

const char *gpu_faults(void)
{
    static char text[16384];
    size_t      used = 0;
    text[0] = '\0';
    for (int i = 0; i < emu_reports() && used < sizeof text; i++) {
        const emu_report r = emu_report_at(i);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s: %s\n", r.kind, r.text);
    }
    return text;
}
