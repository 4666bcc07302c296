/* A sweep's plan over the switch point and prompts, for `refinery sweep --plan`. */
#ifndef RF_PROMPT_PLAN_H
#define RF_PROMPT_PLAN_H

#include <stdio.h>

#include "tools/judge/scene.h"

/* order[0 .. count-1] = the prompts, such that the first N, whatever N, ask for every creature,
 * colour, accessory, place and background about as often as all of them do: each next prompt is the
 * one whose attributes are rarest so far, the first of the list among equals.  RF_E_NOMEM. */
rf_status rf_prompts_order(size_t *order, const rf_asked *asked, size_t count, rf_error *err);

/* Prints the plan of the first `wanted` (1 .. count) prompts of that order; `points` and `seeds`
 * (NULL: no such axis) are lists as an axis has them, "0, 0.5-1 [6]".  RF_E_IO, RF_E_NOMEM. */
rf_status rf_prompt_plan_print(FILE *out, const rf_asked *asked, size_t count, size_t wanted,
                               const char *points, const char *seeds, rf_error *err);

#endif
