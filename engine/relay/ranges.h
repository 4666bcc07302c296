/* The relay's ranges in the trace (engine/core/trace.h), and the steps that a profiler is to see.
 *
 * One call where something begins.  What follows ends it, or rf_trace_end where that is not at
 * once; after an error nothing needs to be ended but the request. */
#ifndef RF_RELAY_RANGES_H
#define RF_RELAY_RANGES_H

#include "engine/core/trace.h"
#include "engine/relay/plan.h"

/* Of an engine that has its device and its description: the trace that `options` ask for. */
rf_status rf_ranges_open(rf_engine *engine, const rf_options *options, rf_error *err);
void      rf_ranges_close(rf_engine *engine); /* before its device is closed */

/* A run of a plan.  end: `st` is how it went, and comes back unless that was well and stopping the
 * profiler is not. */
void      rf_range_request(rf_plan *plan);
rf_status rf_range_request_end(rf_plan *plan, rf_status st, rf_error *err);

/* A part of a phase: "load", "pony", "unet".  stage NULL: nobody's. */
void rf_range_part(rf_plan *plan, const char *phase, const char *stage, const char *part);
void rf_range_network(rf_plan *plan, const char *phase, const rf_expert *expert,
                      rf_network network);

/* A launch, and a call of DPM adaptive, which has no steps to count. */
rf_status rf_range_step(rf_plan *plan, const rf_progress *progress, rf_error *err);
void      rf_range_call(rf_plan *plan, const char *expert, double sigma);
/* What comes next is no step: the profiler stops. */
rf_status rf_range_no_step(rf_plan *plan, rf_error *err);

#endif
