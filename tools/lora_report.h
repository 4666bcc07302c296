/* How the LoRAs of a plan fit its experts. */
#ifndef RF_LORA_REPORT_H
#define RF_LORA_REPORT_H

#include <jansson.h>

#include "engine/refinery.h"
#include "tools/console.h"

/* A note for each LoRA at work: "detail in pony: 722/722 UNet, 72/72 te1, 192/192 te2 modules".
 * `job` is the plan's first. */
void rf_lora_report_tell(rf_console *console, const rf_plan *plan, const rf_job *job);

/* A list per stage of the job. */
json_t *rf_lora_report_json(const rf_plan *plan, const rf_job *job);

#endif
