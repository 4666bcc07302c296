/* `refinery devices`: what this build can compute on, on this machine. */
#include <stdio.h>

#include "engine/refinery.h"
#include "tools/json.h"
#include "tools/verbs.h"

typedef struct devices_values {
    rf_common common;
} devices_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(devices_values, RF_PLACE_HELP)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

/* ---- the CPU ------------------------------------------------------------------------------ */

static rf_status show_cpu(json_t *list, rf_error *err)
{
    rf_engine      *engine = NULL;
    const rf_status st = rf_engine_create(&engine, &(rf_options){.device = "cpu"}, err);
    if (st != RF_OK) return st;
    const char *name = rf_engine_device(engine), *dtype = rf_engine_dtype(engine);
    if (list)
        json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "device", "cpu", "name",
                                              rf_json_text(name), "dtype", dtype));
    else
        printf("%s, %s\n", name, dtype);
    rf_engine_destroy(engine);
    return RF_OK;
}

/* ---- GPUs --------------------------------------------------------------------------------- */

static json_t *gpu_json(int ordinal, const rf_gpu_info *gpu)
{
    return json_pack("{s:o, s:o, s:s?, s:i, s:i, s:o, s:s?}", "device",
                     json_sprintf("cuda:%d", ordinal), "name", rf_json_text(gpu->name), "dtype",
                     *gpu->refused ? NULL : "f16", "major", gpu->major, "minor", gpu->minor,
                     "memory_bytes", rf_json_bytes(gpu->memory_bytes), "refused",
                     *gpu->refused ? gpu->refused : NULL);
}

static void print_gpu(int ordinal, const rf_gpu_info *gpu)
{
    if (*gpu->refused)
        printf("cuda:%d: cannot be used: %s\n", ordinal, gpu->refused);
    else
        printf("cuda:%d: %s (%d.%d, %.1f GiB), f16\n", ordinal, gpu->name, gpu->major, gpu->minor,
               (double)gpu->memory_bytes / (1 << 30));
}

/* All of them; if there is none, `none` says why. */
static void show_gpus(json_t *list, rf_error *none)
{
    int count = 1;
    for (int i = 0; i < count; i++) {
        rf_gpu_info gpu;
        if (rf_gpu_get_info(i, &gpu, &count, none) != RF_OK) return;
        if (list)
            json_array_append_new(list, gpu_json(i, &gpu));
        else
            print_gpu(i, &gpu);
    }
}

static rf_status run_devices(rf_invocation *in)
{
    rf_status st = RF_OK;
    rf_error  none = {0};
    json_t   *list = in->console.json ? json_array() : NULL;
    RF_TRY(show_cpu(list, &in->trouble.error));
    show_gpus(list, &none);
    if (list) {
        json_t *object = json_pack("{s:i, s:o, s:s?}", "schema", 1, "devices", list, "no_gpu",
                                   none.status != RF_OK ? none.message : NULL);
        list = NULL; /* the object's, or gone with it */
        RF_TRY(rf_json_print(object, &in->trouble.error));
    } else if (none.status != RF_OK) {
        printf("no GPU: %s\n", none.message);
    }
done:
    json_decref(list);
    return st;
}

const rf_verb rf_verb_devices = {
    .name = "devices",
    .summary = "lists what this build can compute on here",
    .examples = "refinery devices\n"
                "refinery devices --json\n",
    .usage = "[options]",
    .options = OPTIONS,
    .values_bytes = sizeof(devices_values),
    .run = run_devices,
};
