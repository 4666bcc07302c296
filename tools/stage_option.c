/* Stages from text; see stage_option.h. */
#include "tools/stage_option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/prediction_report.h"
#include "tools/suggest.h"
#include "tools/text_input.h"

enum { FLAG_BYTES = 60 };

typedef enum key { EXPERT, UNTIL, CFG, SAMPLER, LORA, PREDICTION, NEGATIVE, PROMPT, KEYS } key;

static const char *const KEY_NAMES[KEYS + 1] = {
    "expert", "until", "cfg", "sampler", "lora", "prediction", "negative", "prompt", NULL};

typedef struct reader {
    rf_relay   *relay;
    int         stage;
    unsigned    given; /* a bit for each key */
    rf_trouble *trouble;
} reader;

/* "--stage (2) until" */
static const char *name_pair(const reader *r, key k, char out[FLAG_BYTES])
{
    snprintf(out, FLAG_BYTES, "--stage (%d) %s", r->stage + 1, KEY_NAMES[k]);
    return out;
}

static rf_status own(reader *r, char *text)
{
    if (!text) return rf_fail(&r->trouble->error, RF_E_NOMEM, "no memory for a stage");
    r->relay->owned[r->relay->owned_count++] = text;
    return RF_OK;
}

/* ---- values ------------------------------------------------------------------------------- */

static rf_status read_real(reader *r, key k, const char *text, double min, double max, double *out)
{
    char            flag[FLAG_BYTES];
    const rf_option real = {.name = KEY_NAMES[k], .kind = RF_OPTION_REAL, .min = min, .max = max};
    return rf_option_convert(&real, name_pair(r, k, flag), text, out, r->trouble);
}

static rf_status read_prompt(reader *r, key k, const char *text, const char **out)
{
    rf_status st = RF_OK;
    char      flag[FLAG_BYTES], *file = NULL;
    name_pair(r, k, flag);
    *out = text;
    if (*text != '@') return rf_text_check(text, flag, r->trouble);
    RF_TRY(rf_prompt_read(&file, text + 1, flag, 0, r->trouble));
    *out = file;
    RF_TRY(own(r, file));
done:
    return st;
}

static rf_status add_lora(reader *r, const char *text)
{
    rf_relay *relay = r->relay;
    if (relay->loras == RF_RELAY_LORAS)
        return rf_fail(&r->trouble->error, RF_E_ARG, "--stage: more than %d LoRAs", RF_RELAY_LORAS);
    relay->lora[relay->loras++] = (rf_relay_lora){r->stage, text};
    return RF_OK;
}

static rf_status read_prediction(reader *r, const char *text)
{
    char            flag[FLAG_BYTES];
    const rf_option choice = {
        .name = KEY_NAMES[PREDICTION], .kind = RF_OPTION_CHOICE, .choices = rf_prediction_choices};
    return rf_option_convert(&choice, name_pair(r, PREDICTION, flag), text,
                             &r->relay->prediction[r->stage], r->trouble);
}

static rf_status read_value(reader *r, key k, const char *text)
{
    rf_status st = RF_OK;
    char      flag[FLAG_BYTES];
    double    cfg = 0;
    rf_stage *stage = &r->relay->stage[r->stage];
    if (!*text && k != PROMPT && k != NEGATIVE)
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: there is nothing behind the '='",
                       name_pair(r, k, flag));
    if (r->given & 1u << k && k != LORA)
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: given twice", name_pair(r, k, flag));
    r->given |= 1u << k;
    switch (k) {
    case EXPERT: r->relay->expert[r->stage] = text; break;
    case UNTIL: RF_TRY(read_real(r, k, text, -1e9, 1e9, &stage->until)); break;
    case CFG:
        RF_TRY(read_real(r, k, text, 0, 1000, &cfg));
        stage->cfg_scale = (float)cfg;
        break;
    case SAMPLER: stage->sampler = text; break;
    case PREDICTION: RF_TRY(read_prediction(r, text)); break;
    case LORA: RF_TRY(add_lora(r, text)); break;
    case NEGATIVE: RF_TRY(read_prompt(r, k, text, &stage->negative)); break;
    default: RF_TRY(read_prompt(r, k, text, &stage->prompt)); break;
    }
done:
    return st;
}

/* ---- pairs -------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    text += strspn(text, " \t\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\n", text[n - 1])) text[--n] = '\0';
    return text;
}

static rf_status find_key(const reader *r, const char *name, key *out)
{
    rf_suggest suggest = rf_suggest_begin(name);
    for (int k = 0; k < KEYS; k++) {
        *out = (key)k;
        if (strcmp(KEY_NAMES[k], name) == 0) return RF_OK;
        rf_suggest_offer(&suggest, KEY_NAMES[k]);
    }
    if (suggest.best) rf_trouble_hint(r->trouble, "did you mean '%s'?", suggest.best);
    return rf_fail(&r->trouble->error, RF_E_ARG,
                   "--stage (%d): '%.80s' is not one of: expert, until, cfg, sampler, lora, "
                   "prediction, negative, prompt",
                   r->stage + 1, name);
}

/* Reads the pair at *at, and moves on behind its ';' or to NULL. */
static rf_status read_pair(reader *r, char **at)
{
    rf_status st = RF_OK;
    char     *pair = *at, *semicolon = strchr(pair, ';'), *equals = strchr(pair, '=');
    key       k = EXPERT;
    *at = semicolon ? semicolon + 1 : NULL;
    if (!equals || (semicolon && semicolon < equals)) {
        if (semicolon) *semicolon = '\0';
        if (!*trim(pair)) return RF_OK;
        return rf_fail(&r->trouble->error, RF_E_ARG, "--stage (%d): '%.80s' is no KEY=VALUE",
                       r->stage + 1, trim(pair));
    }
    *equals = '\0';
    RF_TRY(find_key(r, trim(pair), &k));
    if (k == PROMPT)
        *at = NULL;
    else if (semicolon)
        *semicolon = '\0';
    RF_TRY(read_value(r, k, k == PROMPT ? equals + 1 : trim(equals + 1)));
done:
    return st;
}

static rf_status read_stage(reader *r, const char *text, int last)
{
    rf_status st = RF_OK;
    char     *copy = strdup(text), *at = copy;
    RF_TRY(own(r, copy));
    r->relay->stage[r->stage] = (rf_stage){.until = 1, .cfg_scale = -1};
    while (at) RF_TRY(read_pair(r, &at));
    if (last)
        r->relay->last_until = (r->given & 1u << UNTIL) != 0;
    else if (!(r->given & 1u << UNTIL))
        st = rf_fail(&r->trouble->error, RF_E_ARG,
                     "--stage (%d): until= is missing, which says where the next stage takes over",
                     r->stage + 1);
done:
    return st;
}

rf_status rf_relay_read(rf_relay *out, const rf_texts *texts, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *out = (rf_relay){.stages = texts->count};
    for (int i = 0; i < texts->count; i++) {
        reader r = {.relay = out, .stage = i, .trouble = trouble};
        RF_TRY(read_stage(&r, texts->item[i], i + 1 == texts->count));
    }
done:
    return st;
}

void rf_relay_free(rf_relay *relay)
{
    for (int i = 0; i < relay->owned_count; i++) free(relay->owned[i]);
    relay->owned_count = 0;
}
