/* From edits to schedule entries: when each edit takes effect, where entries end, what they say. */
#ifndef RF_EDIT_SCHEDULE_H
#define RF_EDIT_SCHEDULE_H

#include "engine/text/edits.h"

/* A1111's number of calls of the pass (N; H in a hires pass). */
int rf_clock_total(const rf_prompt_options *options);

/* Gives every schedule mark its value: the last call that shows `from`, -1 if none does, INT_MAX if
 * all do.  Warns of hand-overs that are missing or missed by a little. */
rf_status rf_edits_resolve(rf_prompt_context *context, const char *text, rf_edits *edits,
                           rf_error *err);

/* A schedule under construction; {0} is empty, free with rf_schedule_free. */
typedef struct rf_schedule {
    int   *until; /* [entries], ascending */
    size_t entries, until_max;
    char  *text; /* the text rendered last, [length] */
    size_t length, text_max;
} rf_schedule;

void rf_schedule_free(rf_schedule *schedule);

/* Where the entries end, from resolved edits. */
rf_status rf_schedule_cut(const rf_prompt_context *context, const rf_edits *edits,
                          rf_schedule *schedule, rf_error *err);

/* The text of call `call` (for A1111's semantics: of its 1-based step). */
rf_status rf_schedule_render(rf_prompt_context *context, const char *text, size_t length,
                             const rf_edits *edits, int call, rf_schedule *schedule, rf_error *err);

/* The first call that no longer shows `from` of a schedule mark, or INT_MAX. */
int rf_edit_begins(const rf_edit_mark *mark);

/* The `when` of schedule mark `i`. */
rf_edit_when rf_edit_when_of(const char *text, const rf_edits *edits, size_t i, bool exact);

#endif
