/* Fields of structs as members of JSON objects, and back.
 *
 * A table of fields drives both directions, so that what is written is what is read.  What is no
 * single member (files, LoRAs, a picture to start from) has a function each way, beside job_json.c
 * and job_json_read.c or in a file of its own, made of these. */
#ifndef RF_JOB_FIELDS_H
#define RF_JOB_FIELDS_H

#include <stddef.h>

#include <jansson.h>

#include "engine/refinery.h"
#include "engine/relay/saved_job.h"

typedef enum rf_field_kind {
    RF_FIELD_TEXT,         /* const char *, not NULL */
    RF_FIELD_TEXT_OR_NULL, /* const char * */
    RF_FIELD_INT,
    RF_FIELD_INT64,
    RF_FIELD_UINT64, /* a string of digits: a double does not hold it */
    RF_FIELD_DOUBLE,
    RF_FIELD_DOUBLE_OR_NAN, /* NaN is null */
    RF_FIELD_FLOAT,
    RF_FIELD_FLAG, /* int */
} rf_field_kind;

typedef struct rf_field {
    const char   *name; /* of the member; NULL ends a table */
    rf_field_kind kind;
    size_t        offset;   /* in the struct */
    int           optional; /* not written while it is 0 or NULL */
} rf_field;

/* job_tables.c: rf_file_ref of a model and of a LoRA (which reads a model's, too), rf_lora_use,
 * rf_stage, rf_stage_sampling, and all of rf_job but its stages and files, and but count and batch,
 * which are 1. */
extern const rf_field rf_file_fields[], rf_lora_file_fields[], rf_lora_fields[], rf_stage_fields[];
extern const rf_field rf_sampling_fields[], rf_job_fields[];
extern const rf_field rf_brief_stage_fields[]; /* of an infotext: what is not told is left out */

/* Writes the fields of the struct at `base` into `object`.  RF_E_ARG names one that JSON cannot
 * hold; RF_E_NOMEM. */
rf_status rf_fields_write(json_t *object, const rf_field *fields, const void *base, rf_error *err);

/* Sets `key` of `object` to `made`, new and empty, which `object` then owns and which is returned;
 * NULL: no memory, and `made` is gone. */
json_t *rf_json_add(json_t *object, const char *key, json_t *made);

/* Where a field stands, for messages: "stages[1].prompt". */
typedef struct rf_json_place {
    const char *container; /* "" for the job itself */
    int         index;     /* -1: not an array */
} rf_json_place;

/* RF_E_FORMAT: "a saved job's stages[1].prompt is not text". */
rf_status rf_json_wrong(const rf_json_place *place, const char *name, const char *want,
                        rf_error *err);

/* Reads what `object` has of the fields into the struct at `base`; texts are kept by `saved`.  What
 * it has besides becomes a note, unless it is one of the names in `others`, a list that NULL ends.
 * RF_E_FORMAT, RF_E_NOMEM. */
rf_status rf_fields_read(rf_saved_job *saved, const json_t *object, const rf_field *fields,
                         void *base, const char *const *others, const rf_json_place *place,
                         rf_error *err);

/* A file, {"name", "path", "sha256", "autov3"}, as member `key` of `object`. */
rf_status rf_file_write(json_t *object, const char *key, const rf_field *fields,
                        const rf_file_ref *file, rf_error *err);
/* Likewise from `v`, the member, which may be NULL or null: nothing is read. */
rf_status rf_file_read(rf_saved_job *saved, rf_file_ref *out, const json_t *v,
                       const rf_json_place *place, rf_error *err);

/* The job's embeddings, with what is known of their files, as member of `object`; none: no member.
 */
rf_status rf_embeddings_write(json_t *object, const rf_job *job, const rf_file_ref *file,
                              rf_error *err);
/* Likewise from `v`, which may be NULL. */
rf_status rf_embeddings_read(rf_saved_job *saved, const json_t *v, const rf_json_place *place,
                             rf_error *err);

#endif
