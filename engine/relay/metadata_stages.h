/* What A1111's keys cannot say of stages: those between the first and the last, CFG ramps, and
 * numbers of samplers and clip skips that not all stages have.
 *
 * Pairs of our own, "Stage 1", "Stage 2", ..., counted over the stages that make calls; each value
 * is the JSON of what is not said elsewhere: of the first stage with A1111's keys, of the last one
 * with the keys of a refiner.  Without any of that there are no such pairs. */
#ifndef RF_METADATA_STAGES_H
#define RF_METADATA_STAGES_H

#include "engine/relay/plan.h"

enum { RF_STAGE_PAIRS = 64 };

typedef struct rf_stage_pairs {
    char  key[RF_STAGE_PAIRS][24];
    char *value[RF_STAGE_PAIRS]; /* owned */
    int   count;
} rf_stage_pairs;

rf_status rf_stage_pairs_write(rf_stage_pairs *out, const rf_plan_job *job, rf_error *err);
void      rf_stage_pairs_free(rf_stage_pairs *pairs); /* {0} is fine */

/* metadata.c: 64 digits, or NULL if they could not be computed: metadata does without them, after a
 * warning. */
const char *rf_metadata_hash(const rf_engine *engine, rf_file_hash *hash, const char *name);

/* metadata.c: the negative prompt of a stage; "" where none of its calls weighs it. */
const char *rf_metadata_negative(const rf_plan_job *job, int stage);

#endif
