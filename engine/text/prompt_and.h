/* The parts of a composed prompt, `cat:1.2 AND dog`, and their weights. */
#ifndef RF_PROMPT_AND_H
#define RF_PROMPT_AND_H

#include "engine/text/prompt_context.h"

/* Appends the stretches between the words AND; there is always one, and never two in a negative
 * prompt. */
rf_status rf_and_split(rf_polarity polarity, const char *text, rf_spans *parts, rf_error *err);

/* Takes a trailing weight, if there is one, and the white space at the end off one of `parts`
 * parts; *weight is 1 without one.  A part that is the whole prompt has a weight in A1111 only. */
rf_status rf_and_weigh(rf_prompt_context *context, const char *text, size_t parts, rf_span *part,
                       double *weight, rf_error *err);

#endif
