/* The same prompt with `switch` for its numbers; see rf_prompt_with_switch in prompt.h.
 *
 * Edits are parsed in the text without tags, but the user is to read his prompt with them: they are
 * put back where they were. */
#include "engine/text/edit_schedule.h"
#include "engine/text/prompt_and.h"
#include "engine/text/prompt_tags.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYWORD_BYTES = 24 }; /* "switch" and any int */

typedef struct replacement { /* text[start, end) becomes the keyword of hand-over k */
    size_t start, end;
    int    k;
} replacement;

typedef struct replacements {
    replacement *at;
    size_t       length, capacity;
} replacements;

/* The hand-over (from 0 on) nearest to call `begins`, at most `slack` away; -1 if there is none. */
static int nearest_handover(const rf_prompt_clock *clock, int begins, int slack)
{
    int best = -1, least = INT_MAX;
    for (int k = 0; begins < INT_MAX && k < clock->handovers; k++) {
        const int off = abs(begins - clock->handover[k]);
        if (clock->handover[k] < 0 || off > slack || off >= least) continue;
        least = off;
        best = k;
    }
    return best;
}

/* Appends what is to be replaced in one part. */
static rf_status find_in_part(rf_prompt_context *context, const char *text, const rf_span *part,
                              int slack, replacements *found, rf_error *err)
{
    const bool  exact = context->options->exact_a1111;
    rf_status   st = RF_OK;
    rf_edits    edits = {0};
    const char *own = NULL; /* numbers are read up to a NUL at the latest */
    RF_TRY(rf_prompt_copy(context, text + part->start, part->end - part->start, &own, err));
    RF_TRY(rf_edits_parse(&edits, own, part->end - part->start, exact, err));
    RF_TRY(rf_edits_resolve(context, own, &edits, err));
    for (size_t i = 0; i < edits.length; i++) {
        if (edits.mark[i].kind != RF_EDIT_TO && edits.mark[i].kind != RF_EDIT_FROM_TO) continue;
        const rf_edit_when when = rf_edit_when_of(own, &edits, i, exact);
        const int          k =
            nearest_handover(&context->options->clock, rf_edit_begins(&edits.mark[i]), slack);
        if (when.handover > 0 || k < 0) continue;
        RF_TRY(rf_prompt_reserve(&found->at, &found->capacity, found->length + 1, sizeof *found->at,
                                 err));
        found->at[found->length++] =
            (replacement){part->start + when.start, part->start + when.end, k};
    }
done:
    rf_edits_free(&edits);
    return st;
}

static rf_status find(rf_prompt_context *context, const char *text, int slack, replacements *found,
                      rf_error *err)
{
    rf_status st = RF_OK;
    rf_spans  parts = {0};
    double    weight;
    RF_TRY(rf_and_split(context->options->polarity, text, &parts, err));
    for (size_t i = 0; i < parts.length; i++) {
        RF_TRY(rf_and_weigh(context, text, parts.length, &parts.at[i], &weight, err));
        RF_TRY(find_in_part(context, text, &parts.at[i], slack, found, err));
    }
done:
    free(parts.at);
    return st;
}

/* Nested edits are found from the outside in, but their numbers stand from the inside out. */
static int by_start(const void *a, const void *b)
{
    const size_t x = ((const replacement *)a)->start, y = ((const replacement *)b)->start;
    return (x > y) - (x < y);
}

typedef struct writer {
    const char     *source; /* with tags */
    const rf_spans *tags;
    size_t          next_tag;
    size_t          at, from; /* how far in the source, and in the text without tags */
    char           *out;
} writer;

static void put(writer *w, const char *bytes, size_t count)
{
    memcpy(w->out, bytes, count);
    w->out += count;
}

/* Goes on to `to` of the text without tags, all tags before that being written, the text if
 * `visible`. */
static void go(writer *w, size_t to, bool visible)
{
    for (;;) {
        const rf_span *tag = w->next_tag < w->tags->length ? &w->tags->at[w->next_tag] : NULL;
        const bool     tag_first = tag && tag->start - w->at < to - w->from;
        const size_t   bytes = tag_first ? tag->start - w->at : to - w->from;
        if (visible) put(w, w->source + w->at, bytes);
        w->at += bytes;
        w->from += bytes;
        if (!tag_first) return;
        put(w, w->source + tag->start, tag->end - tag->start);
        w->at = tag->end;
        w->next_tag++;
    }
}

static void write_all(writer *w, const replacements *found)
{
    for (size_t i = 0; i < found->length; i++) {
        const replacement *r = &found->at[i];
        char               keyword[KEYWORD_BYTES] = "switch";
        if (r->k > 0) snprintf(keyword, sizeof keyword, "switch%d", r->k + 1);
        go(w, r->start, true);
        put(w, keyword, strlen(keyword));
        go(w, r->end, false);
    }
    const size_t rest = strlen(w->source + w->at);
    put(w, w->source + w->at, rest + 1);
}

rf_status rf_prompt_with_switch(char **out, const char *text, const rf_prompt_options *options,
                                int slack, rf_error *err)
{
    rf_status         st = RF_OK;
    rf_prompt_options silent = *options;
    rf_prompt_context context = {.options = &silent};
    rf_spans          tags = {0};
    replacements      found = {0};
    const char       *rest = NULL;
    *out = NULL;
    silent.warn = NULL;
    RF_TRY(rf_prompt_check(text, err));
    RF_TRY(rf_tags_find(&context, text, &tags, err));
    RF_TRY(rf_tags_remove(&context, text, &tags, &rest, err));
    RF_TRY(find(&context, rest, slack, &found, err));
    if (found.length) qsort(found.at, found.length, sizeof *found.at, by_start);
    const size_t bytes = strlen(text) + found.length * KEYWORD_BYTES + 1;
    *out = malloc(bytes);
    if (!*out) {
        st = rf_fail(err, RF_E_NOMEM, "prompt: %zu bytes", bytes);
        goto done;
    }
    write_all(&(writer){.source = text, .tags = &tags, .out = *out}, &found);
done:
    free(found.at);
    free(tags.at);
    rf_prompt_release(context.blocks);
    return st;
}
