/* See prediction_report.h. */
#include "tools/prediction_report.h"

#include <stdio.h>
#include <string.h>

const char *const rf_prediction_choices[] = {"epsilon", "v", "v-ztsnr", NULL};

const char *rf_prediction_text(const rf_expert *expert, char out[RF_PREDICTION_BYTES])
{
    rf_prediction_info p;
    char               levels[60] = "";
    rf_expert_get_prediction(expert, &p);
    if (p.ztsnr)
        snprintf(levels, sizeof levels, ", zero terminal SNR");
    else if (p.continuous)
        snprintf(levels, sizeof levels, " on EDM noise levels, sigma %.4g to %.4g", p.sigma_min,
                 p.sigma_max);
    snprintf(out, RF_PREDICTION_BYTES, "%s-prediction%s (%.90s)", p.prediction, levels, p.reason);
    return out;
}

/* Whether it is as everyone expects. */
static int is_plain(const rf_expert *expert)
{
    rf_prediction_info p;
    rf_expert_get_prediction(expert, &p);
    return strcmp(p.prediction, "epsilon") == 0 && !p.by_user;
}

void rf_prediction_tell(rf_console *console, const rf_job *job)
{
    char line[RF_PREDICTION_BYTES + 300], text[RF_PREDICTION_BYTES];
    for (int i = 0; i < job->stage_count; i++) {
        const rf_expert *expert = job->stages[i].expert;
        int              told = !expert || is_plain(expert);
        for (int k = 0; k < i; k++) told |= job->stages[k].expert == expert;
        if (told) continue;
        snprintf(line, sizeof line, "%.200s: %s", rf_expert_name(expert),
                 rf_prediction_text(expert, text));
        rf_console_note(console, line);
    }
}

json_t *rf_prediction_json(const rf_expert *expert)
{
    rf_prediction_info p;
    rf_expert_get_prediction(expert, &p);
    return json_pack("{s:s, s:b, s:o, s:o, s:s}", "prediction", p.prediction, "ztsnr", p.ztsnr,
                     "sigma_min", rf_json_real(p.sigma_min), "sigma_max", rf_json_real(p.sigma_max),
                     "reason", p.reason);
}
