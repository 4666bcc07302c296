/* The match of LoRAs and experts, told; see lora_report.h. */
#include "tools/lora_report.h"

#include <stdio.h>
#include <string.h>

#include "tools/json.h"

static const char *const KEYS[RF_LORA_TARGETS] = {"unet", "te1", "te2", "elsewhere"};
static const char *const NAMES[RF_LORA_TARGETS] = {"UNet", "te1", "te2", "other"};

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void tell(rf_console *console, const rf_lora_info *info, const rf_lora_use *use,
                 const rf_stage *stage)
{
    char   text[600];
    int    shown = 0;
    size_t at = (size_t)snprintf(text, sizeof text, "%.200s in %.200s:", file_name(use->path),
                                 rf_expert_name(stage->expert));
    for (int i = 0; i < RF_LORA_TARGETS; i++)
        if (info->modules[i])
            at += (size_t)snprintf(text + at, sizeof text - at, "%s %d/%d %s", shown++ ? "," : "",
                                   info->matched[i], info->modules[i], NAMES[i]);
    snprintf(text + at, sizeof text - at, " modules");
    rf_make_printable(text);
    rf_console_note(console, text);
}

void rf_lora_report_tell(rf_console *console, const rf_plan *plan, const rf_job *job)
{
    for (int s = 0; s < job->stage_count; s++)
        for (int i = 0; i < job->stages[s].lora_count; i++) {
            rf_lora_info info;
            if (rf_plan_get_lora(plan, s, i, &info) == RF_OK && info.used)
                tell(console, &info, &job->stages[s].loras[i], &job->stages[s]);
        }
}

static json_t *counts_json(const int count[RF_LORA_TARGETS])
{
    json_t *o = json_object();
    for (int i = 0; i < RF_LORA_TARGETS; i++)
        if (count[i]) json_object_set_new(o, KEYS[i], json_integer(count[i]));
    return o;
}

json_t *rf_lora_report_json(const rf_plan *plan, const rf_job *job)
{
    json_t *all = json_array();
    for (int s = 0; s < job->stage_count; s++) {
        json_t *stage = json_array();
        for (int i = 0; i < job->stages[s].lora_count; i++) {
            const rf_lora_use *use = &job->stages[s].loras[i];
            rf_lora_info       info = {.used = 0};
            (void)rf_plan_get_lora(plan, s, i, &info);
            json_array_append_new(
                stage, json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "path", rf_json_text(use->path),
                                 "unet", rf_json_real(use->unet), "text", rf_json_real(use->text),
                                 "used", info.used, "modules", counts_json(info.modules), "matched",
                                 counts_json(info.matched)));
        }
        json_array_append_new(all, stage);
    }
    return all;
}
