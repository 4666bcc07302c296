/* Any bytes as an axis of a sweep, or as a JSON plan where they begin with a brace: values that
 * keep their promises and cells of them, or a sentence. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/cells.h"
#include "tools/text_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, which is how a fuzzer reports. */
static void require(int holds)
{
    if (!holds) abort();
}

static void check_axis(const rf_axis *axis)
{
    rf_trouble trouble = {0};
    require(axis->count >= 1 && axis->count <= RF_AXIS_VALUES_MAX && axis->name);
    require(axis->kind >= RF_VARY_NOTHING && axis->kind < RF_VARY_KINDS);
    for (int i = 0; i < axis->count; i++) {
        const rf_axis_value *v = &axis->value[i];
        require(rf_text_check(v->text, "fuzz", &trouble) == RF_OK);
        if (!isnan(v->number)) require(strtod(v->text, NULL) == v->number);
    }
}

static void check_cells(rf_axis axis[RF_AXES])
{
    rf_trouble trouble = {0};
    rf_cells   cells = {0};
    rf_request request = {0};
    rf_request_prepare(&request);
    request.base = "b";
    request.refiner = "r";
    request.stages[0] = (rf_stage){.prompt = "a cat [b:c:0.5]", .negative = "a", .cfg_scale = 6};
    request.stages[1] = (rf_stage){.until = 1, .cfg_scale = -1};
    const rf_status st = rf_cells_make(&cells, &request, axis, NULL, NULL, &trouble);
    require(st == RF_OK || (st == RF_E_ARG && trouble.error.message[0]));
    for (int i = 0; i < cells.count; i++) {
        const rf_cell *c = &cells.cell[i];
        require(c->name && c->stages[0].prompt && c->job.stages == c->stages);
        require(c->file[0] >= 0 && c->file[0] < cells.files && c->file[1] < cells.files);
        require((c->file[1] >= 0) == (c->job.stage_count == 2));
    }
    rf_cells_release(&cells);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_axis    axis[RF_AXES] = {0};
    rf_trouble trouble = {0};
    char      *text = malloc(size + 1);
    require(text != NULL);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    const int plan = *text == '{';
    rf_status st = RF_OK;
    for (int a = 0; !plan && st == RF_OK && a < RF_AXES; a++)
        st = rf_axis_parse(&axis[a], "--x", a ? NULL : text, &trouble);
    if (plan) st = rf_axes_from_text(axis, "fuzz", text, &trouble);
    if (st == RF_OK) {
        for (int a = 0; a < RF_AXES; a++) check_axis(&axis[a]);
        check_cells(axis);
    } else {
        require(st == (plan ? RF_E_FORMAT : RF_E_ARG) && trouble.error.message[0]);
        for (int a = 0; a < RF_AXES; a++) require(!axis[a].value && !axis[a].block);
    }
    free(text);
    return 0;
}
