/* Which samplers and schedules there are and how far a switch point may go is the engine's to say:
 * rf_explain is asked about each value on its own, without prompts, which takes microseconds. */
#include <string.h>

#include "tools/sweep/cell_parts.h"

static int engine_judges(const rf_axis *axis)
{
    switch (rf_cell_target_of(axis).kind) {
    case RF_VARY_SWITCH:
    case RF_VARY_SAMPLER:
    case RF_VARY_SCHEDULE:
    case RF_VARY_CFG_END: return 1;
    case RF_VARY_ETA:
    case RF_VARY_S_CHURN:
    case RF_VARY_S_TMIN:
    case RF_VARY_S_TMAX:
    case RF_VARY_S_NOISE: return axis->stage > 0; /* not all samplers can change on the way */
    default: return 0;
    }
}

/* What the engine says of the request with this value; NULL: of the request as it is. */
static rf_status explain(rf_cell_maker *m, rf_engine *engine, rf_cell *cell, int a, int value,
                         rf_error *err)
{
    const rf_explanation *told = NULL;
    rf_cell_begin(m, cell);
    for (int b = 0; b < RF_AXES; b++) cell->at[b] = b == a ? value : 0;
    if (a >= 0) rf_cell_apply(m, cell, &m->cells->axis[a], value);
    rf_cell_finish(m, cell);
    cell->job.stage_count = m->refines ? m->cells->stages : 1;
    const rf_status st = rf_explain(&told, engine, &cell->job, 0, err);
    rf_explanation_free(told);
    return st;
}

static rf_status check_value(rf_cell_maker *m, rf_engine *engine, rf_cell *cell, int a, int value)
{
    const rf_axis *axis = &m->cells->axis[a];
    rf_error       err = {0}, own = {0};
    rf_status      st = explain(m, engine, cell, a, value, &err);
    if (st == RF_OK) return RF_OK;
    if (explain(m, engine, cell, -1, 0, &own) != RF_OK && strcmp(err.message, own.message) == 0)
        return rf_fail(&m->trouble->error, st, "%s", err.message); /* no fault of the axis */
    return rf_fail(&m->trouble->error, st, "axis %c, \"%s: %.60s\": %s", 'x' + a, axis->name,
                   axis->value[value].text, err.message);
}

rf_status rf_cells_check(rf_cell_maker *m)
{
    rf_status        st = RF_OK;
    rf_engine       *engine = NULL;
    rf_cell          cell = {.name = NULL};
    const rf_options options = {.device = "cpu", .dtype = "f32", .threads = 1};
    for (int a = 0; a < RF_AXES; a++) {
        const rf_axis *axis = &m->cells->axis[a];
        if (!engine_judges(axis)) continue;
        if (!cell.stages) RF_TRY(rf_cell_room(m, &cell));
        if (!engine) RF_TRY(rf_engine_create(&engine, &options, &m->trouble->error));
        for (int i = 0; i < axis->count; i++) RF_TRY(check_value(m, engine, &cell, a, i));
    }
done:
    rf_engine_destroy(engine);
    return st;
}
