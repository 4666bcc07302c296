/* The prompt language, from text to pieces; see prompt.h. */
#include "engine/text/prompt.h"

#include "engine/text/edit_schedule.h"
#include "engine/text/prompt_and.h"
#include "engine/text/prompt_attention.h"
#include "engine/text/prompt_context.h"
#include "engine/text/prompt_tags.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const emphasis_names[] = {
    [RF_EMPHASIS_ORIGINAL] = "Original",
    [RF_EMPHASIS_NO_NORM] = "No norm",
    [RF_EMPHASIS_IGNORE] = "Ignore",
    [RF_EMPHASIS_NONE] = "None",
};

rf_status rf_emphasis_find(rf_emphasis *out, const char *name, rf_error *err)
{
    for (int i = RF_EMPHASIS_ORIGINAL; i <= RF_EMPHASIS_NONE; i++) {
        if (strcasecmp(name, emphasis_names[i]) != 0) continue;
        *out = (rf_emphasis)i;
        return RF_OK;
    }
    return rf_fail(err, RF_E_ARG, "emphasis '%s' is none of Original, No norm, Ignore, None", name);
}

const char *rf_emphasis_name(rf_emphasis emphasis)
{
    return emphasis_names[emphasis];
}

/* What is freed as one. */
typedef struct parsed {
    rf_prompt               prompt; /* first: its address is the caller's */
    struct rf_prompt_block *blocks; /* this struct's own among them */
} parsed;

void rf_prompt_free(const rf_prompt *prompt)
{
    if (prompt) rf_prompt_release(((const parsed *)prompt)->blocks);
}

/* Buffers that the parts of a prompt share. */
typedef struct scratch {
    rf_schedule  schedule;
    rf_attention attention;
} scratch;

/* Repairs that only matter if there is something that they keep working. */
static void warn_of_edits(rf_prompt_context *context, const rf_edits *edits)
{
    if (edits->schedules + edits->alternations == 0) return;
    if (edits->stray_bar)
        rf_prompt_warn(context, RF_TRAP_STRAY_BAR,
                       "a '|' outside of [a|b] is a plain character (A1111 would use the whole "
                       "prompt literally and ignore every edit in it)");
    if (edits->stray_backslash)
        rf_prompt_warn(context, RF_TRAP_STRAY_BACKSLASH,
                       "a backslash at the end of a line hides nothing (A1111 would use the whole "
                       "prompt literally and ignore every edit in it)");
}

static void note_whens(rf_prompt *prompt, const char *text, const rf_edits *edits, bool exact)
{
    for (size_t i = 0; i < edits->length; i++) {
        const int32_t kind = edits->mark[i].kind;
        if (kind != RF_EDIT_TO && kind != RF_EDIT_FROM_TO) continue;
        if (rf_edit_when_of(text, edits, i, exact).handover > 0)
            prompt->uses_switch = 1;
        else
            prompt->has_numeric_when = 1;
    }
}

/* A1111 has entries up to its total; in calls beyond it, it goes back to the first one. */
static void warn_of_the_end(rf_prompt_context *context, const rf_prompt_part *part)
{
    const int calls = context->options->clock.calls, total = rf_clock_total(context->options);
    if (part->entries > 1 && calls - 1 > total)
        rf_prompt_warn(context, RF_TRAP_PAST_THE_END,
                       "calls %d to %d, beyond the %d that edits count, keep the last text (A1111 "
                       "would go back to the first)",
                       total + 1, calls - 1, total);
}

static rf_status make_entries(rf_prompt_context *context, scratch *work, rf_prompt_part *part,
                              const rf_edits *edits, rf_error *err)
{
    rf_status        st = RF_OK;
    rf_prompt_entry *entry = NULL;
    const size_t     length = strlen(part->text);
    rf_schedule     *s = &work->schedule;
    RF_TRY(rf_schedule_cut(context, edits, s, err));
    RF_TRY(rf_prompt_take(context, s->entries, sizeof *entry, &entry, err));
    for (size_t i = 0; i < s->entries; i++) {
        entry[i].until = s->until[i];
        entry[i].text = part->text;
        RF_TRY(rf_schedule_render(context, part->text, length, edits, s->until[i], s, err));
        if (edits->schedules + edits->alternations > 0)
            RF_TRY(rf_prompt_copy(context, s->text, s->length, &entry[i].text, err));
        RF_TRY(rf_attention_parse(context, &work->attention, entry[i].text, strlen(entry[i].text),
                                  &entry[i].piece, &entry[i].pieces, err));
    }
    part->entry = entry;
    part->entries = (int)s->entries;
done:
    return st;
}

static rf_status make_part(rf_prompt_context *context, scratch *work, rf_prompt *prompt,
                           rf_prompt_part *part, rf_error *err)
{
    const bool exact = context->options->exact_a1111;
    rf_status  st = RF_OK;
    rf_edits   edits = {0};
    RF_TRY(rf_edits_parse(&edits, part->text, strlen(part->text), exact, err));
    warn_of_edits(context, &edits);
    note_whens(prompt, part->text, &edits, exact);
    RF_TRY(rf_edits_resolve(context, part->text, &edits, err));
    RF_TRY(make_entries(context, work, part, &edits, err));
    warn_of_the_end(context, part);
done:
    rf_edits_free(&edits);
    return st;
}

static rf_status make_parts(rf_prompt_context *context, const char *text, rf_prompt *prompt,
                            rf_error *err)
{
    rf_status       st = RF_OK;
    rf_spans        spans = {0};
    scratch         work = {0};
    rf_prompt_part *part = NULL;
    RF_TRY(rf_and_split(context->options->polarity, text, &spans, err));
    RF_TRY(rf_prompt_take(context, spans.length, sizeof *part, &part, err));
    for (size_t i = 0; i < spans.length; i++) {
        rf_span *span = &spans.at[i];
        RF_TRY(rf_and_weigh(context, text, spans.length, span, &part[i].weight, err));
        RF_TRY(rf_prompt_copy(context, text + span->start, span->end - span->start, &part[i].text,
                              err));
        RF_TRY(make_part(context, &work, prompt, &part[i], err));
    }
    prompt->part = part;
    prompt->parts = (int)spans.length;
done:
    rf_schedule_free(&work.schedule);
    rf_attention_free(&work.attention);
    free(spans.at);
    return st;
}

rf_status rf_prompt_parse(const rf_prompt **out, const char *text, const rf_prompt_options *options,
                          rf_error *err)
{
    rf_status         st = RF_OK;
    rf_prompt_context context = {.options = options};
    parsed           *made = NULL;
    rf_spans          tags = {0};
    const char       *rest = NULL;
    *out = NULL;
    RF_TRY(rf_prompt_check(text, err));
    RF_TRY(rf_prompt_take(&context, 1, sizeof *made, &made, err));
    RF_TRY(rf_tags_find(&context, text, &tags, err));
    RF_TRY(rf_tags_read(&context, text, &tags, &made->prompt.tag, err));
    made->prompt.tags = (int)tags.length;
    RF_TRY(rf_tags_remove(&context, text, &tags, &rest, err));
    RF_TRY(make_parts(&context, rest, &made->prompt, err));
    made->blocks = context.blocks;
    context.blocks = NULL;
    *out = &made->prompt;
done:
    free(tags.at);
    rf_prompt_release(context.blocks);
    return st;
}

int rf_prompt_entry_at(const rf_prompt_part *part, int k, int exact_a1111)
{
    int low = 0, high = part->entries; /* the entry is in [low, high) if there is one */
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (part->entry[middle].until < k)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < part->entries) return low;
    return exact_a1111 ? 0 : part->entries - 1;
}
