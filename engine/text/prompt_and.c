/* AND; see prompt_and.h. */
#include "engine/text/prompt_and.h"

#include "engine/text/prompt_chars.h"

#include <string.h>

rf_status rf_and_split(rf_polarity polarity, const char *text, rf_spans *parts, rf_error *err)
{
    const size_t end = strlen(text);
    size_t       start = 0;
    const char  *found = text;
    if (polarity == RF_PROMPT_NEGATIVE) return rf_spans_push(parts, 0, end, err);
    for (; (found = memchr(found, 'A', end - (size_t)(found - text))); found++) {
        const size_t at = (size_t)(found - text);
        if (!rf_word_is(text, 0, end, at, "AND")) continue;
        const rf_status st = rf_spans_push(parts, start, at, err);
        if (st != RF_OK) return st;
        start = at + 3;
    }
    return rf_spans_push(parts, start, end, err);
}

rf_status rf_and_weigh(rf_prompt_context *context, const char *text, size_t parts, rf_span *part,
                       double *weight, rf_error *err)
{
    const rf_prompt_options *options = context->options;
    *weight = 1;
    if (options->polarity == RF_PROMPT_NEGATIVE) return RF_OK;

    part->end = rf_trim_space(text, part->start, part->end);
    /* No number has a colon in it, so the last colon is the one. */
    const char *const colon = memrchr(text + part->start, ':', part->end - part->start);
    if (!colon) return RF_OK;
    const size_t     place = (size_t)(colon - text);
    const size_t     at = rf_skip_space(text, place + 1, part->end);
    const rf_decimal number = rf_decimal_scan(text, at, part->end);
    if (!number.is_number || number.end != part->end) return RF_OK;
    if (parts == 1 && !options->exact_a1111) {
        rf_prompt_warn(context, RF_TRAP_LONE_WEIGHT,
                       "the number after the last colon is text; it is a weight only together with "
                       "AND (A1111 would weigh the whole prompt with it)");
        return RF_OK;
    }
    part->end = rf_trim_space(text, part->start, place);
    return rf_decimal_value(text, at, number.end, weight, err);
}
