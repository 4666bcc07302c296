/* What experts predict and how this is known, for people and for machines. */
#ifndef RF_PREDICTION_REPORT_H
#define RF_PREDICTION_REPORT_H

#include "engine/refinery.h"
#include "tools/console.h"
#include "tools/json.h"

enum { RF_PREDICTION_BYTES = 200 };

/* What --base-prediction and its like take; ended by NULL. */
extern const char *const rf_prediction_choices[];

/* "v-prediction, zero terminal SNR (tensors v_pred and ztsnr)" */
const char *rf_prediction_text(const rf_expert *expert, char out[RF_PREDICTION_BYTES]);

/* A line for every expert of the job that is no plain epsilon one. */
void rf_prediction_tell(rf_console *console, const rf_job *job);

/* {"prediction", "ztsnr", "sigma_min", "sigma_max", "reason"} */
json_t *rf_prediction_json(const rf_expert *expert);

#endif
