/* The textual inversions of a plan: which names a stage's prompts know, and the vectors that stand
 * for them.
 *
 * All of a plan's vectors have one numbering, so that a token id says which vector whatever the
 * expert and the encoder; what an encoder reads is a table of that numbering in its own width,
 * filled before its prompts are encoded. */
#ifndef RF_RELAY_INVERSIONS_H
#define RF_RELAY_INVERSIONS_H

#include "engine/core/twin.h"
#include "engine/files/inversion.h"
#include "engine/refinery.h"
#include "engine/text/triggers.h"

typedef struct rf_plan_job rf_plan_job;

/* A file that brings some, read. */
typedef struct rf_inversion_source {
    char             *path, *stem; /* stem: the file's name without folder and extension */
    rf_embedding_file file;
    char              sha256[65];
} rf_inversion_source;

typedef struct rf_plan_inversion {
    int        source, item; /* whose vectors */
    char      *name;         /* its trigger */
    rf_trigger trigger;
} rf_plan_inversion;

typedef struct rf_inversions {
    rf_inversion_source *source;
    int                  sources;
    rf_plan_inversion  **item; /* each by itself: prompts' triggers point to them */
    int                  items;
    int                  vectors; /* of all items */
    rf_twin              table;   /* f32 [vectors, width of the encoder at work] */
} rf_inversions;

/* The job's own, for the stages whose expert they fit, and those that a stage's LoRAs bring, for
 * that stage: fills the job's `triggers`.  RF_E_MODEL: one of the job's fits no stage; RF_E_ARG:
 * two have one name, a name without tokens, too many vectors; errors of rf_embedding_file_read. */
rf_status rf_plan_add_inversions(rf_plan *plan, rf_plan_job *job, rf_error *err);
void      rf_inversions_free(rf_inversions *v); /* {0} is fine */

/* Floats of the table for the widest encoder. */
size_t rf_inversions_room(const rf_plan *plan);

/* The table for one encoder of an expert of the plan, on its way to the device. */
rf_status rf_inversions_fill(rf_plan *plan, int expert, int encoder, rf_error *err);

/* The source at `path`; NULL: it is none of the plan's. */
const rf_inversion_source *rf_inversions_find(const rf_inversions *v, const char *path);

#endif
