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

static rf_status run_devices(rf_invocation *in)
{
    rf_status  st = RF_OK;
    rf_engine *engine = NULL;
    RF_TRY(rf_engine_create(&engine, &(rf_options){.device = "cpu"}, &in->trouble.error));
    if (in->console.json)
        RF_TRY(rf_json_print(
            json_pack("{s:i, s:[{s:s, s:o, s:s}]}", "schema", 1, "devices", "device", "cpu", "name",
                      rf_json_text(rf_engine_device(engine)), "dtype", rf_engine_dtype(engine)),
            &in->trouble.error));
    else
        printf("%s, %s\n", rf_engine_device(engine), rf_engine_dtype(engine));
done:
    rf_engine_destroy(engine);
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
