/* Names of axes that say more than a row of the table: "Stage 2 CFG Scale", "LoRA pose",
 * "stage2.lora pose"; see axis_parts.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/relay_keys.h"
#include "tools/sweep/axis_parts.h"

static const char *skip_signs(const char *at)
{
    while (*at && !isalnum((unsigned char)*at) && (unsigned char)*at < 0x80) at++;
    return at;
}

/* The number behind "stage", and *at behind it; 0: there is none. */
static int take_stage(const char **at)
{
    const char *digits = skip_signs(*at);
    char       *end = NULL;
    if (strncasecmp(digits, "stage", 5) != 0) return 0;
    digits = skip_signs(digits + 5);
    if (!isdigit((unsigned char)*digits)) return 0;
    const long stage = strtol(digits, &end, 10);
    *at = skip_signs(end);
    return stage > RF_RELAY_STAGES ? RF_RELAY_STAGES + 1 : (int)stage;
}

/* What stands behind "lora " at `at`; NULL: it is no such name. */
static const char *lora_name(const char *at)
{
    at = skip_signs(at);
    if (strncasecmp(at, "lora", 4) != 0 || isalnum((unsigned char)at[4])) return NULL;
    return at + 4 + strspn(at + 4, " \t");
}

/* What a stage calls it; NULL: it has no such thing of its own. */
static const char *name_in_stage(const rf_axis_rule *rule)
{
    switch (rule->kind) {
    case RF_VARY_SWITCH: return "until";
    case RF_VARY_BASE: return "checkpoint";
    case RF_VARY_CFG:
    case RF_VARY_CFG_END:
    case RF_VARY_SAMPLER:
    case RF_VARY_PROMPT:
    case RF_VARY_CLIP_SKIP:
    case RF_VARY_ETA:
    case RF_VARY_S_CHURN:
    case RF_VARY_S_TMIN:
    case RF_VARY_S_TMAX:
    case RF_VARY_S_NOISE:
    case RF_VARY_LORA: return rule->name;
    default: return NULL;
    }
}

static rf_status write_name(rf_axis *axis, const char *in_stage, const char *lora, int lora_bytes,
                            rf_trouble *trouble)
{
    char stage[24] = "";
    if (axis->stage) snprintf(stage, sizeof stage, "Stage %d ", axis->stage);
    if (asprintf(&axis->own_name, "%s%s%s%.*s", stage, in_stage, lora ? " " : "", lora_bytes,
                 lora ? lora : "") < 0) {
        axis->own_name = NULL;
        return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for the name of an axis");
    }
    axis->name = axis->own_name;
    if (lora) axis->lora = axis->own_name + strlen(axis->own_name) - (size_t)lora_bytes;
    return RF_OK;
}

rf_status rf_axis_name_read(rf_axis *axis, const rf_axis_rule **rule, const char *flag,
                            const char *name, rf_trouble *trouble)
{
    rf_status   st = RF_OK;
    const char *at = name;
    axis->stage = take_stage(&at);
    const char *lora = lora_name(at);
    int         bytes = lora ? (int)strlen(lora) : 0;
    while (bytes > 0 && strchr(" \t", lora[bytes - 1])) bytes--;
    RF_TRY(rf_axis_rule_find(rule, flag, lora ? "LoRA" : at, trouble));
    axis->kind = (*rule)->kind;
    axis->name = (*rule)->name;
    if (axis->stage > RF_RELAY_STAGES) {
        st = rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s': a relay has at most %d stages", flag,
                     name, RF_RELAY_STAGES);
        goto done;
    }
    if (lora && bytes == 0) {
        rf_trouble_hint(trouble, "%s \"LoRA pose: 0-1 [5]\"", flag);
        st = rf_fail(&trouble->error, RF_E_ARG, "%s: '%.80s' does not say which LoRA", flag, name);
        goto done;
    }
    if (!axis->stage && !lora) goto done;
    const char *in_stage = name_in_stage(*rule);
    if (!in_stage)
        st = rf_fail(&trouble->error, RF_E_ARG,
                     "%s: '%.80s': a stage has no %s of its own; it has until, checkpoint, CFG "
                     "Scale, CFG end, Sampler, Prompt S/R, Clip skip, Eta, Sigma churn, LoRA and "
                     "others",
                     flag, name, (*rule)->name);
    else
        RF_TRY(write_name(axis, in_stage, lora, bytes, trouble));
done:
    return st;
}
