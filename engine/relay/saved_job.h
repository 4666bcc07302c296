/* A job that was read back from a picture, while it is being filled: rf_saved_job of refinery.h
 * from the inside.
 *
 * All its strings are its own copies, kept in one list, so that whatever fails half-way is freed by
 * one function.  Two readers fill it: job_json.c and saved_job_infotext.c. */
#ifndef RF_SAVED_JOB_H
#define RF_SAVED_JOB_H

#include <stddef.h>

#include "engine/refinery.h"

typedef struct rf_string_list {
    char **at;
    size_t count, room;
} rf_string_list;

/* Of a stage, whose `loras` are `use`. */
typedef struct rf_saved_loras {
    rf_lora_use *use;  /* [count]; owned */
    rf_file_ref *file; /* [count]; owned */
    int          count;
} rf_saved_loras;

struct rf_saved_job {
    rf_job             job;
    rf_stage          *stage;     /* [job.stage_count]; expert is NULL */
    rf_file_ref       *file;      /* [job.stage_count] */
    rf_saved_loras    *loras;     /* [job.stage_count] */
    rf_stage_sampling *sampling;  /* [job.stage_count]: what stages point to that have their own */
    rf_embedding_use  *embedding; /* [job.embedding_count] */
    rf_file_ref       *embedding_file; /* likewise */
    rf_file_ref        vae;
    rf_init            init; /* job.init points here where there is one */
    const char        *dtype;
    rf_string_list     string, note;
};

/* An empty one with the defaults of rf_job_default, and `stages` stages with those of a stage: no
 * text of its own, the previous stage's guidance. */
rf_status rf_saved_job_create(rf_saved_job **out, int stages, rf_error *err);

/* Gives a stage so many LoRAs, once; they are zero. */
rf_status rf_saved_job_add_loras(rf_saved_job *saved, int stage, int count, rf_error *err);

/* *out = a copy of `text` that lives as long as `saved`. */
rf_status rf_saved_job_keep(rf_saved_job *saved, const char **out, const char *text, rf_error *err);

/* Adds a note: one sentence, made safe to show. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
rf_status
rf_saved_job_add_note(rf_saved_job *saved, rf_error *err, const char *format, ...);

#endif
