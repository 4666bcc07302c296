/* What an expert predicts, and its table of noise levels: found once while it is opened, or as the
 * user says.  Variants have their parent's. */
#include <stdio.h>
#include <string.h>

#include "engine/relay/engine.h"
#include "engine/relay/variants.h"

static const rf_expert *origin(const rf_expert *e)
{
    return e->parent ? e->parent : e;
}

const rf_prediction *rf_expert_prediction(const rf_expert *expert)
{
    return &origin(expert)->prediction;
}

const rf_sigma_table *rf_expert_table(const rf_expert *expert)
{
    return &origin(expert)->table;
}

static void take(rf_expert *e, const rf_prediction *prediction)
{
    e->prediction = *prediction;
    e->x0_seen = 0;
    rf_sigma_table_make(&e->table, &prediction->is);
}

rf_status rf_expert_find_prediction(rf_expert *e, rf_error *err)
{
    const rf_status st = rf_prediction_find(&e->found, rf_model_file_list(e->file),
                                            rf_model_file_header(e->file), e->path, err);
    if (st == RF_OK) take(e, &e->found);
    return st;
}

void rf_expert_get_prediction(const rf_expert *expert, rf_prediction_info *out)
{
    const rf_prediction  *p = rf_expert_prediction(expert);
    const rf_sigma_table *table = rf_expert_table(expert);
    *out = (rf_prediction_info){.prediction = p->is.v ? "v" : "epsilon",
                                .ztsnr = p->is.range == RF_RANGE_ZTSNR,
                                .continuous = p->is.range == RF_RANGE_EDM,
                                .by_user = p->source == RF_SAID_BY_USER,
                                .sigma_min = table->sigma[0],
                                .sigma_max = table->sigma[RF_TRAIN_STEPS - 1],
                                .reason = p->reason};
}

rf_status rf_expert_set_prediction(rf_expert *expert, const char *prediction, rf_error *err)
{
    rf_expert    *e = rf_expert_parent(expert);
    rf_prediction named;
    if (rf_expert_is_used(e))
        return rf_fail(err, RF_E_ARG, "%s: a plan that uses it knows what it predicts already",
                       e->path);
    if (!prediction) {
        take(e, &e->found);
        return RF_OK;
    }
    const rf_status st = rf_prediction_named(&named, prediction, err);
    if (st == RF_OK) take(e, &named);
    return st;
}

/* What a replay cannot find out from the weights, whose hash is all it has. */
const char *rf_expert_told_prediction(const rf_expert *expert)
{
    const rf_prediction *p = rf_expert_prediction(expert);
    switch (p->source) {
    case RF_SAID_BY_SCHEDULER:
    case RF_SAID_BY_SIDECAR:
    case RF_SAID_BY_USER: return rf_prediction_name(&p->is);
    default: return NULL;
    }
}
