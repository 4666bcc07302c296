/* Schedules of edits; see edit_schedule.h. */
#include "engine/text/edit_schedule.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FROM_FOREVER = INT_MAX, NEVER_FROM = -1 };

int rf_clock_total(const rf_prompt_options *options)
{
    const rf_prompt_clock *clock = &options->clock;
    /* The old rule schedules the hires pass over the first pass's steps. */
    return clock->hires_nominal > 0 && !options->old_edits ? clock->hires_nominal : clock->nominal;
}

static double when_value(const char *text, const rf_edit_when *when)
{
    return strtod(text + when->start, NULL); /* white space or ']' ends it */
}

/* A1111's boundary: the last step that shows `from`, at most the total; 0 or less: none does. */
static int boundary(const rf_prompt_options *options, double v, bool is_fraction)
{
    const rf_prompt_clock *clock = &options->clock;
    const int              total = rf_clock_total(options);
    const bool             hires = clock->hires_nominal > 0;
    double                 step;
    if (options->old_edits)
        step = v < 1 ? v * total : v;
    else if (is_fraction)
        step = (hires ? v - 1.0 : v) * total;
    else
        step = hires ? v - clock->nominal : v;
    if (step >= total) return total;
    return step < 1 ? 0 : (int)step;
}

/* The hand-over (from 0 on) that the user's switch point and this number both mean, or -1. */
static int aligned_handover(const rf_prompt_clock *clock, double v, bool is_fraction)
{
    if (!clock->aligned || is_fraction == (clock->aligned_is_count != 0)) return -1;
    /* numbers of a hires pass begin where the first pass's end */
    const double before = clock->hires_nominal <= 0 ? 0 : is_fraction ? 1 : clock->nominal;
    for (int k = 0; k < clock->handovers; k++)
        if (clock->handover[k] >= 0 && clock->aligned[k] + before == v) return k;
    return -1;
}

static int last_call(const rf_prompt_clock *clock, int total)
{
    if (clock->calls > 0) return clock->calls - 1;
    int last = total - 1; /* not known: as many as nominal, and what a hand-over needs */
    for (int k = 0; k < clock->handovers; k++)
        if (clock->handover[k] > last) last = clock->handover[k];
    return last;
}

/* An edit with a number that misses a hand-over by up to a tenth of the steps was meant to hit it.
 */
static void warn_near_miss(rf_prompt_context *context, int begins)
{
    const rf_prompt_clock *clock = &context->options->clock;
    const int              total = rf_clock_total(context->options);
    const int              reach = total / 10 > 2 ? total / 10 : 2;
    for (int k = 0; k < clock->handovers; k++) {
        const int handover = clock->handover[k];
        const int off = abs(begins - handover);
        if (handover < 0 || off == 0 || off > reach) continue;
        char change[40] = "at no call any more", keyword[24] = "switch";
        if (begins <= last_call(clock, total))
            snprintf(change, sizeof change, "at call %d", begins);
        if (k > 0) snprintf(keyword, sizeof keyword, "switch%d", k + 1);
        rf_prompt_warn(context, RF_TRAP_NEAR_MISS,
                       "an edit changes the text %s, but the model changes at call %d; write %s "
                       "instead of the number to change both at the same call",
                       change, handover, keyword);
        return;
    }
}

static int resolve_keyword(rf_prompt_context *context, int k)
{
    const rf_prompt_clock *clock = &context->options->clock;
    const int              handover = k <= clock->handovers ? clock->handover[k - 1] : -1;
    if (handover >= 0) return handover - 1;
    if (context->options->may_stay && k <= clock->handovers) return FROM_FOREVER;
    if (k == 1)
        rf_prompt_warn(context, RF_TRAP_NO_HANDOVER,
                       "`switch` means the call at which the next model takes over, but none does "
                       "here; the text before it stays");
    else
        rf_prompt_warn(context, RF_TRAP_NO_HANDOVER,
                       "`switch%d` means hand-over number %d, but there is none here; the text "
                       "before it stays",
                       k, k);
    return FROM_FOREVER;
}

static int resolve_number(rf_prompt_context *context, double v, bool is_fraction)
{
    const rf_prompt_options *options = context->options;
    const int                last = boundary(options, v, is_fraction);
    if (options->exact_a1111) return last;
    const int aligned = aligned_handover(&options->clock, v, is_fraction);
    if (aligned >= 0) return options->clock.handover[aligned] - 1;
    if (last == rf_clock_total(options)) return FROM_FOREVER; /* also in calls beyond it */
    warn_near_miss(context, last > 0 ? last + 1 : 0);
    return last > 0 ? last : NEVER_FROM;
}

rf_edit_when rf_edit_when_of(const char *text, const rf_edits *edits, size_t i, bool exact)
{
    const rf_edit_mark *mark = edits->mark;
    int32_t             colon = mark[i].next;
    rf_edit_when        when;
    if (mark[i].kind == RF_EDIT_FROM_TO) colon = mark[colon].next;
    const size_t close = (size_t)mark[mark[colon].value].at;
    rf_edit_when_read(text, (size_t)mark[colon].at + 1, close + 1, exact, &when);
    return when;
}

static bool is_schedule(const rf_edit_mark *mark)
{
    return mark->kind == RF_EDIT_TO || mark->kind == RF_EDIT_FROM_TO;
}

rf_status rf_edits_resolve(rf_prompt_context *context, const char *text, rf_edits *edits,
                           rf_error *err)
{
    const rf_prompt_options *options = context->options;
    if (options->clock.nominal < 1 || options->clock.hires_nominal < 0)
        return rf_fail(err, RF_E_ARG, "a prompt's schedule of %d steps", options->clock.nominal);
    for (size_t i = 0; i < edits->length; i++) {
        if (!is_schedule(&edits->mark[i])) continue;
        const rf_edit_when when = rf_edit_when_of(text, edits, i, options->exact_a1111);
        edits->mark[i].value =
            when.handover > 0 ? resolve_keyword(context, when.handover)
                              : resolve_number(context, when_value(text, &when), when.is_fraction);
    }
    return RF_OK;
}

int rf_edit_begins(const rf_edit_mark *mark)
{
    if (mark->value == FROM_FOREVER) return INT_MAX;
    return mark->value < 0 ? 0 : mark->value + 1;
}

void rf_schedule_free(rf_schedule *schedule)
{
    free(schedule->until);
    free(schedule->text);
    *schedule = (rf_schedule){0};
}

static int by_value(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void sort_and_unite(rf_schedule *s)
{
    size_t kept = 1; /* there is always the last */
    qsort(s->until, s->entries, sizeof *s->until, by_value);
    for (size_t i = 1; i < s->entries; i++)
        if (s->until[i] != s->until[kept - 1]) s->until[kept++] = s->until[i];
    s->entries = kept;
}

/* A1111: the total, every boundary from 1 on, and every step if there is an alternation.  In the
 * default mode the same as calls that are made: an entry ends before the text may change, and the
 * last entry at the last call. */
rf_status rf_schedule_cut(const rf_prompt_context *context, const rf_edits *edits,
                          rf_schedule *schedule, rf_error *err)
{
    const rf_prompt_options *options = context->options;
    const bool               exact = options->exact_a1111;
    const int                total = rf_clock_total(options);
    const int                last = exact ? total : last_call(&options->clock, total);
    const int                first = exact ? 1 : 0;
    const size_t             steps = edits->alternations ? (size_t)total : 0;
    if (steps > RF_PROMPT_MAX_VARIANTS / sizeof(rf_prompt_entry))
        return rf_fail(err, RF_E_ARG, "an alternation over %d steps is too long", total);
    const rf_status st =
        rf_prompt_reserve(&schedule->until, &schedule->until_max,
                          steps + (size_t)edits->schedules + 1, sizeof *schedule->until, err);
    if (st != RF_OK) return st;
    int   *until = schedule->until;
    size_t count = 0;
    for (int step = 1; step < (int)steps && step < last; step++) until[count++] = step;
    for (size_t i = 0; i < edits->length; i++) {
        const rf_edit_mark *mark = &edits->mark[i];
        if (is_schedule(mark) && mark->value >= first && mark->value < last)
            until[count++] = mark->value;
    }
    until[count++] = last;
    schedule->entries = count;
    sort_and_unite(schedule);
    return RF_OK;
}

static rf_status append(rf_schedule *s, const char *text, size_t length, rf_error *err)
{
    const rf_status st = rf_prompt_reserve(&s->text, &s->text_max, s->length + length, 1, err);
    if (st != RF_OK || length == 0) return st;
    memcpy(s->text + s->length, text, length);
    s->length += length;
    return RF_OK;
}

/* The mark after which to go on from open mark `i`: that before the option shown at `call`, or the
 * closing one if the option is empty by nature.  *steps counts the marks passed. */
static size_t chosen(const rf_edit_mark *mark, size_t i, int call, int total, size_t *steps)
{
    const bool from = call <= mark[i].value;
    if (mark[i].kind == RF_EDIT_FROM_TO) return from ? i : (size_t)mark[i].next;
    if (mark[i].kind == RF_EDIT_TO) return from ? (size_t)mark[mark[i].next].value : i;
    const int step = call < 1 ? 1 : call > total ? total : call;
    for (int skip = (step - 1) % mark[i].value; skip > 0; skip--, ++*steps)
        i = (size_t)mark[i].next;
    return i;
}

rf_status rf_schedule_render(rf_prompt_context *context, const char *text, size_t length,
                             const rf_edits *edits, int call, rf_schedule *schedule, rf_error *err)
{
    const rf_edit_mark *mark = edits->mark;
    const int           total = rf_clock_total(context->options);
    rf_status           st = RF_OK;
    size_t              from = 0, steps = 0; /* the first byte not dealt with; marks passed */
    schedule->length = 0;
    for (size_t i = 0; i < edits->length; i++, steps++) {
        size_t go_on = i;
        if (mark[i].kind == RF_EDIT_PLAIN) continue;
        RF_TRY(append(schedule, text + from, (size_t)mark[i].at - from, err));
        if (mark[i].kind == RF_EDIT_SEPARATE || mark[i].kind == RF_EDIT_CLOSE)
            go_on = (size_t)mark[i].value; /* the option shown ends here */
        else
            go_on = chosen(mark, i, call, total, &steps);
        from = (size_t)mark[go_on].at + 1;
        i = go_on;
    }
    RF_TRY(append(schedule, text + from, length - from, err));
    RF_TRY(rf_prompt_charge(context, steps, err));
done:
    return st;
}
