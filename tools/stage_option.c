/* Stages from text; see stage_option.h. */
#include "tools/stage_option.h"

#include <stdio.h>
#include <string.h>

static char *trim(char *text)
{
    text += strspn(text, " \t\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\n", text[n - 1])) text[--n] = '\0';
    return text;
}

/* Reads the pair at *at, and moves on behind its ';' or to NULL. */
static rf_status read_pair(rf_relay_reader *r, char **at)
{
    rf_status    st = RF_OK;
    char        *pair = *at, *semicolon = strchr(pair, ';'), *equals = strchr(pair, '=');
    rf_relay_key k = RF_KEY_EXPERT;
    *at = semicolon ? semicolon + 1 : NULL;
    if (!equals || (semicolon && semicolon < equals)) {
        if (semicolon) *semicolon = '\0';
        if (!*trim(pair)) return RF_OK;
        return rf_fail(&r->trouble->error, RF_E_ARG, "%s: '%.80s' is no KEY=VALUE", r->where,
                       trim(pair));
    }
    *equals = '\0';
    RF_TRY(rf_relay_find_key(r, trim(pair), &k));
    if (k == RF_KEY_PROMPT)
        *at = NULL;
    else if (semicolon)
        *semicolon = '\0';
    RF_TRY(rf_relay_read_value(r, k, k == RF_KEY_PROMPT ? equals + 1 : trim(equals + 1)));
done:
    return st;
}

static rf_status read_stage(rf_relay_reader *r, const char *text, int last)
{
    rf_status st = RF_OK;
    char     *copy = strdup(text), *at = copy;
    RF_TRY(rf_relay_own(r->relay, copy, r->trouble));
    rf_relay_begin_stage(r);
    while (at) RF_TRY(read_pair(r, &at));
    RF_TRY(rf_relay_end_stage(r, last));
done:
    return st;
}

rf_status rf_relay_read(rf_relay *out, const rf_texts *texts, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *out = (rf_relay){.stages = texts->count};
    for (int i = 0; i < texts->count; i++) {
        char            where[24];
        rf_relay_reader r = {.relay = out, .stage = i, .where = where, .trouble = trouble};
        snprintf(where, sizeof where, "--stage (%d)", i + 1);
        RF_TRY(read_stage(&r, texts->item[i], i + 1 == texts->count));
    }
done:
    return st;
}
