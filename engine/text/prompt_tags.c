/* Extra-network tags; see prompt_tags.h. */
#include "engine/text/prompt_tags.h"

#include "engine/text/prompt_chars.h"

#include <string.h>

rf_status rf_tags_find(rf_prompt_context *context, const char *text, rf_spans *tags, rf_error *err)
{
    const size_t end = strlen(text);
    const char  *open = strchr(text, '<');
    while (open) {
        const size_t start = (size_t)(open - text);
        const size_t colon = rf_skip_word(text, start + 1, end);
        size_t       next = colon; /* no '<' before it */
        if (colon > start + 1 && text[colon] == ':') {
            const char *close = strchr(text + colon + 1, '>');
            if (!close) break; /* nor will a later tag find one */
            next = (size_t)(close - text);
            if (next > colon + 1) {
                if (context->options->polarity == RF_PROMPT_NEGATIVE) {
                    rf_prompt_warn(context, RF_TRAP_TAG_IN_NEGATIVE,
                                   "a tag such as <lora:name:1> is plain text in it");
                    break;
                }
                const rf_status st = rf_spans_push(tags, start, ++next, err);
                if (st != RF_OK) return st;
            }
        }
        open = strchr(text + next, '<');
    }
    return RF_OK;
}

/* One tag of the text [start, end), its brackets excluded. */
static rf_status read_tag(rf_prompt_context *context, const char *text, size_t start, size_t end,
                          rf_prompt_tag *tag, rf_error *err)
{
    rf_status    st = RF_OK;
    const char **argument = NULL;
    int          colons = 0;
    for (size_t i = start; i < end; i++) colons += text[i] == ':';
    RF_TRY(rf_prompt_take(context, (size_t)colons, sizeof *argument, &argument, err));
    for (int i = -1; i < colons; i++) { /* the kind is what stands before the first colon */
        const char  *colon = memchr(text + start, ':', end - start);
        const size_t length = colon ? (size_t)(colon - text) - start : end - start;
        RF_TRY(
            rf_prompt_copy(context, text + start, length, i < 0 ? &tag->kind : &argument[i], err));
        start += length + 1;
    }
    tag->argument = argument;
    tag->arguments = colons;
done:
    return st;
}

rf_status rf_tags_read(rf_prompt_context *context, const char *text, const rf_spans *tags,
                       const rf_prompt_tag **out, rf_error *err)
{
    rf_status      st = RF_OK;
    rf_prompt_tag *tag = NULL;
    RF_TRY(rf_prompt_take(context, tags->length, sizeof *tag, &tag, err));
    for (size_t i = 0; i < tags->length; i++)
        RF_TRY(read_tag(context, text, tags->at[i].start + 1, tags->at[i].end - 1, &tag[i], err));
    *out = tag;
done:
    return st;
}

rf_status rf_tags_remove(rf_prompt_context *context, const char *text, const rf_spans *tags,
                         const char **out, rf_error *err)
{
    const size_t length = strlen(text);
    size_t       from = 0, used = 0;
    char        *rest = NULL;
    *out = text;
    if (tags->length == 0) return RF_OK;
    const rf_status st = rf_prompt_take(context, length + 1, 1, &rest, err);
    if (st != RF_OK) return st;
    for (size_t i = 0; i <= tags->length; i++) {
        const size_t to = i < tags->length ? tags->at[i].start : length;
        memcpy(rest + used, text + from, to - from);
        used += to - from;
        if (i < tags->length) from = tags->at[i].end;
    }
    *out = rest;
    return RF_OK;
}
