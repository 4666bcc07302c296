/* `refinery version`: the version of the library that is linked. */
#include <stdio.h>

#include "engine/refinery.h"
#include "tools/json.h"
#include "tools/verbs.h"

typedef struct version_values {
    rf_common common;
} version_values;

static const rf_option        ROWS[] = {RF_COMMON_OPTIONS(version_values, RF_PLACE_HELP)};
static const rf_option *const OPTIONS[] = {ROWS, NULL};

static rf_status run_version(rf_invocation *in)
{
    if (in->console.json)
        return rf_json_print(json_pack("{s:i, s:s}", "schema", 1, "version", rf_version()),
                             &in->trouble.error);
    printf("refinery %s\n", rf_version());
    return RF_OK;
}

const rf_verb rf_verb_version = {
    .name = "version",
    .summary = "prints the version",
    .examples = "refinery version\n"
                "refinery version --json\n",
    .usage = "[options]",
    .options = OPTIONS,
    .values_bytes = sizeof(version_values),
    .run = run_version,
};
