/* See relay_keys.h. */
#include "tools/relay_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/lora_spec.h"
#include "tools/prediction_report.h"
#include "tools/request.h"
#include "tools/suggest.h"
#include "tools/text_input.h"

enum { FLAG_BYTES = 500 };

const char *const rf_relay_key_names[RF_RELAY_KEYS + 1] = {
    "expert",  "until",     "cfg",  "sampler",    "eta",      "s_churn", "s_tmin", "s_tmax",
    "s_noise", "clip_skip", "lora", "prediction", "negative", "prompt",  NULL};

void rf_relay_free(rf_relay *relay)
{
    for (int i = 0; i < relay->owned_count; i++) free(relay->owned[i]);
    free(relay->owned);
    relay->owned = NULL;
    relay->owned_count = 0;
}

rf_status rf_relay_own(rf_relay *relay, char *text, rf_trouble *trouble)
{
    char **more = NULL;
    if (text) more = realloc(relay->owned, ((size_t)relay->owned_count + 1) * sizeof *relay->owned);
    if (!more) {
        free(text);
        return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a stage");
    }
    relay->owned = more;
    relay->owned[relay->owned_count++] = text;
    return RF_OK;
}

/* "--stage (2) until" */
static const char *name_pair(const rf_relay_reader *r, rf_relay_key k, char out[FLAG_BYTES])
{
    snprintf(out, FLAG_BYTES, "%.440s %s", r->where, rf_relay_key_names[k]);
    return out;
}

void rf_relay_begin_stage(rf_relay_reader *r)
{
    r->relay->stage[r->stage] = (rf_stage){.until = 1, .cfg_scale = -1};
    r->relay->given[r->stage] = 0;
}

/* ---- files -------------------------------------------------------------------------------- */

/* Whether the file that begins `text`, up to a ':' or its end, lies in the reader's folder. */
static int is_beside(const rf_relay_reader *r, const char *text)
{
    char        path[4200];
    struct stat info;
    snprintf(path, sizeof path, "%.2000s/%.*s", r->folder, (int)strcspn(text, ":"), text);
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* *text as seen from the reader's folder, in front of what is a path there. */
static rf_status place(rf_relay_reader *r, const char **text, int is_name)
{
    char *placed = NULL;
    if (!r->folder || **text == '/') return RF_OK;
    if (is_name && !strchr(*text, '/') && !is_beside(r, *text)) return RF_OK;
    if (asprintf(&placed, "%s/%s", r->folder, *text) < 0) placed = NULL;
    *text = placed;
    return rf_relay_own(r->relay, placed, r->trouble);
}

static rf_status read_prompt(rf_relay_reader *r, const char *flag, const char *text,
                             const char **out)
{
    rf_status   st = RF_OK;
    char       *read = NULL;
    const char *file = text + 1;
    *out = text;
    if (*text != '@') return rf_text_check(text, flag, r->trouble);
    RF_TRY(place(r, &file, 0));
    RF_TRY(rf_prompt_read(&read, file, flag, 0, r->trouble));
    *out = read;
    RF_TRY(rf_relay_own(r->relay, read, r->trouble));
done:
    return st;
}

static rf_status read_expert(rf_relay_reader *r, const char *text)
{
    const char     *path = text;
    const rf_status st = place(r, &path, 0);
    r->relay->expert[r->stage] = path;
    return st;
}

static rf_status add_lora(rf_relay_reader *r, const char *flag, const char *text)
{
    rf_relay    *relay = r->relay;
    const char  *spec = text;
    rf_lora_spec parts;
    rf_status    st = RF_OK;
    RF_TRY(place(r, &spec, 1));
    RF_TRY(rf_lora_spec_option(&parts, flag, spec, r->trouble));
    if (relay->loras == RF_RELAY_LORAS)
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: more than %d LoRAs", flag,
                       RF_RELAY_LORAS);
    char *where = strdup(flag);
    RF_TRY(rf_relay_own(relay, where, r->trouble));
    relay->lora[relay->loras++] = (rf_relay_lora){r->stage, spec, where};
done:
    return st;
}

/* ---- numbers ------------------------------------------------------------------------------ */

static rf_status read_real(rf_relay_reader *r, rf_relay_key k, const char *text, double min,
                           double max, double *out)
{
    char            flag[FLAG_BYTES];
    const rf_option real = {
        .name = rf_relay_key_names[k], .kind = RF_OPTION_REAL, .min = min, .max = max};
    return rf_option_convert(&real, name_pair(r, k, flag), text, out, r->trouble);
}

/* "6", or "6..4". */
static rf_status read_cfg(rf_relay_reader *r, const char *text)
{
    rf_status   st = RF_OK;
    char        first[40];
    double      from = 0, to = 0;
    rf_stage   *stage = &r->relay->stage[r->stage];
    const char *dots = strstr(text, "..");
    if (dots && dots - text < (long)sizeof first) {
        snprintf(first, sizeof first, "%.*s", (int)(dots - text), text);
        RF_TRY(read_real(r, RF_KEY_CFG, first, 0, 1000, &from));
        RF_TRY(read_real(r, RF_KEY_CFG, dots + 2, 0, 1000, &to));
    } else {
        RF_TRY(read_real(r, RF_KEY_CFG, text, 0, 1000, &from));
        to = from;
    }
    stage->cfg_scale = (float)from;
    stage->cfg_ramp = (float)(to - from);
done:
    return st;
}

static rf_status read_clip_skip(rf_relay_reader *r, const char *text)
{
    char            flag[FLAG_BYTES];
    const rf_option whole = {.name = "clip_skip", .kind = RF_OPTION_INT, .min = 1, .max = 12};
    return rf_option_convert(&whole, name_pair(r, RF_KEY_CLIP_SKIP, flag), text,
                             &r->relay->stage[r->stage].clip_skip, r->trouble);
}

static rf_status read_prediction(rf_relay_reader *r, const char *flag, const char *text)
{
    const rf_option choice = {
        .name = "prediction", .kind = RF_OPTION_CHOICE, .choices = rf_prediction_choices};
    return rf_option_convert(&choice, flag, text, &r->relay->prediction[r->stage], r->trouble);
}

/* ---- pairs -------------------------------------------------------------------------------- */

rf_status rf_relay_find_key(const rf_relay_reader *r, const char *name, rf_relay_key *out)
{
    rf_suggest suggest = rf_suggest_begin(name);
    for (int k = 0; k < RF_RELAY_KEYS; k++) {
        *out = (rf_relay_key)k;
        if (strcmp(rf_relay_key_names[k], name) == 0) return RF_OK;
        rf_suggest_offer(&suggest, rf_relay_key_names[k]);
    }
    if (suggest.best) rf_trouble_hint(r->trouble, "did you mean '%s'?", suggest.best);
    return rf_fail(&r->trouble->error, RF_E_ARG,
                   "%s: '%.80s' is not one of: expert, until, cfg, sampler, eta, s_churn, s_tmin, "
                   "s_tmax, s_noise, clip_skip, lora, prediction, negative, prompt",
                   r->where, name);
}

rf_status rf_relay_read_value(rf_relay_reader *r, rf_relay_key k, const char *text)
{
    const double       most = 1e6; /* of what job_check.c of the engine takes */
    char               flag[FLAG_BYTES];
    rf_stage          *stage = &r->relay->stage[r->stage];
    rf_stage_sampling *own = &r->relay->sampling[r->stage];
    unsigned          *given = &r->relay->given[r->stage];
    name_pair(r, k, flag);
    if (!*text && k != RF_KEY_PROMPT && k != RF_KEY_NEGATIVE)
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: there is nothing behind the '='", flag);
    if (*given & 1u << k && k != RF_KEY_LORA)
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: given twice", flag);
    *given |= 1u << k;
    switch (k) {
    case RF_KEY_EXPERT: return read_expert(r, text);
    case RF_KEY_UNTIL: return read_real(r, k, text, -1e9, 1e9, &stage->until);
    case RF_KEY_CFG: return read_cfg(r, text);
    case RF_KEY_SAMPLER:
        stage->sampler = rf_sampling_spelling("sampler", text);
        return rf_text_check(text, flag, r->trouble);
    case RF_KEY_ETA: return read_real(r, k, text, 0, 100, &own->eta);
    case RF_KEY_S_CHURN: return read_real(r, k, text, 0, most, &own->s_churn);
    case RF_KEY_S_TMIN: return read_real(r, k, text, 0, most, &own->s_tmin);
    case RF_KEY_S_TMAX: return read_real(r, k, text, 0, most, &own->s_tmax);
    case RF_KEY_S_NOISE: return read_real(r, k, text, 0, 100, &own->s_noise);
    case RF_KEY_CLIP_SKIP: return read_clip_skip(r, text);
    case RF_KEY_LORA: return add_lora(r, flag, text);
    case RF_KEY_PREDICTION: return read_prediction(r, flag, text);
    case RF_KEY_NEGATIVE: return read_prompt(r, flag, text, &stage->negative);
    default: return read_prompt(r, flag, text, &stage->prompt);
    }
}

rf_status rf_relay_end_stage(rf_relay_reader *r, int last)
{
    if (last || r->relay->given[r->stage] & 1u << RF_KEY_UNTIL) return RF_OK;
    return rf_fail(&r->trouble->error, RF_E_ARG,
                   "%s: until= is missing, which says where the next stage takes over", r->where);
}

void rf_relay_settle_sampling(unsigned given, const rf_stage_sampling *own, const rf_job *job,
                              rf_stage *stage, rf_stage_sampling *out)
{
    const unsigned eta = 1u << RF_KEY_ETA, churn = 1u << RF_KEY_S_CHURN,
                   noise = 1u << RF_KEY_S_NOISE;
    const unsigned tmin = 1u << RF_KEY_S_TMIN, tmax = 1u << RF_KEY_S_TMAX;
    stage->sampling = NULL;
    if (!(given & (eta | churn | noise | tmin | tmax))) return;
    *out = (rf_stage_sampling){.eta = given & eta ? own->eta : job->eta,
                               .s_churn = given & churn ? own->s_churn : job->s_churn,
                               .s_tmin = given & tmin ? own->s_tmin : job->s_tmin,
                               .s_tmax = given & tmax ? own->s_tmax : job->s_tmax,
                               .s_noise = given & noise ? own->s_noise : job->s_noise};
    stage->sampling = out;
}
