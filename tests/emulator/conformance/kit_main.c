/* refinery-conformance FOLDER: runs the kit on a GPU and writes one file for each entry there.
 *
 * The same program is built against the emulated device, to try it where there is no GPU; what it
 * writes then is no recording and says so.  Exit code 77: there is no GPU to run on. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/emulator/conformance/kit.h"
#ifdef RF_ON_EMULATED_GPU
#include "tests/emulator/runtime.h"
#endif

enum { EXIT_SKIPPED = 77 };

static int write_entry(kit_id id, rf_device *device, const char *folder, const char *date)
{
    uint32_t out[KIT_OUT_MOST * KIT_MMA_CASES];
    char     path[1024];
    rf_error err = {0};
    if (kit_run(id, device, out, &err) != RF_OK) {
        printf("%-20s FAILED: %s\n", kit_entries[id].name, err.message);
        return 1;
    }
    snprintf(path, sizeof path, "%s/%s.txt", folder, kit_entries[id].name);
    FILE *f = fopen(path, "w");
    if (!f) return perror(path), 1;
    kit_write(f, id, out, device->name, date);
    if (ferror(f) | fclose(f)) return perror(path), 1;
    printf("%-20s written\n", kit_entries[id].name);
    return 0;
}

int main(int argc, char **argv)
{
    rf_device device;
    rf_error  err = {0};
    char      date[16];
    time_t    now = time(NULL);
    int       failed = 0;
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: refinery-conformance FOLDER   (it gets one file for each entry)\n");
        return 2;
    }
#ifdef RF_ON_EMULATED_GPU
    emu_runtime_start(&emu_gpu_h100);
#endif
    if (rf_device_open_cuda(&device, 0, 1, &err) != RF_OK) {
        printf("skipped: %s\n", err.message);
        return EXIT_SKIPPED;
    }
#ifdef RF_ON_EMULATED_GPU
    snprintf(device.name, sizeof device.name, "emulated, not a GPU");
#endif
    (void)mkdir(argv[1], 0777); /* it may be there; if it cannot be made, the first file says so */
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    printf("%s, %s\n", device.name, date);
    for (int id = 0; id < KIT_COUNT; id++)
        failed += write_entry((kit_id)id, &device, argv[1], date);
    rf_device_close(&device);
    printf("%d of %d entries written\n", KIT_COUNT - failed, KIT_COUNT);
    return failed ? 1 : 0;
}
