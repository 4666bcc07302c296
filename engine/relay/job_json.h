/* The job of one picture as JSON: what `refinery replay` trusts.
 *
 * {"schema":1, "refinery":"0.1.0", "dtype":"bf16", "vae":{file}|null, "steps":30, ...,
 *  "stages":[{"file":{"name","path","sha256"}, "until":0.5, "prompt":..., ...,
 *             "loras":[{"file":{"name","path","sha256","autov3"}, "unet":0.7, ...}]}, ...]}
 *
 * Every field of rf_job and rf_stage is there under its own name, so that later versions with other
 * defaults read the same job.  Seeds are strings of digits (a double does not hold them), other
 * numbers have the digits that read back exactly, "the sampler's own" eta is null.  LoRAs are those
 * at work; a stage without any has no such field, as in versions that had none, nor has one without
 * "cfg_ramp", "clip_skip" and "sampling" (eta, s_churn, ...) of its own.  A file has "prediction"
 * where its weights alone do not say what they predict: somebody gave it, or a file beside them
 * says so.  A picture made on a GPU also has "choice_table", the SHA-256 of the table that chose
 * its kernels: told, not needed for reading. */
#ifndef RF_JOB_JSON_H
#define RF_JOB_JSON_H

#include "engine/refinery.h"

/* What a job does not say about its files. */
typedef struct rf_job_files {
    const rf_file_ref *stage; /* [job's stage_count] */
    const rf_file_ref *lora;  /* of all stages, one after the other; NULL where none has any.  One
                                 without a name is not at work, and left out */
    const rf_file_ref *embedding; /* [job's embedding_count] */
    rf_file_ref        vae;       /* all NULL: the last active stage's */
    const char        *dtype;     /* NULL: not told */
    const char *choice_table; /* SHA-256 of the GPU's table; NULL: none (the CPU), not written */
} rf_job_files;

/* The job that renders picture `index` of `job` alone: one picture, with its own seeds.  Strings
 * and stages stay `job`'s. */
rf_job rf_job_of_picture(const rf_job *job, int index);

/* *out = the JSON of picture `index`, in ASCII; free() it.  RF_E_ARG: a number that is not finite,
 * or text that is not UTF-8; RF_E_NOMEM. */
rf_status rf_job_json(char **out, const rf_job *job, int index, const rf_job_files *files,
                      rf_error *err);

/* *out = the JSON of one stage, as infotexts have it: what is NULL or 0 is left out, but for
 * cfg_scale; `file` (NULL: left out) with its name and hash.  free() it. */
rf_status rf_stage_json(char **out, const rf_stage *stage, const rf_file_ref *file, rf_error *err);

/* Reads such a text into a stage of `saved`; what it does not say stays as it is.  RF_E_FORMAT. */
rf_status rf_stage_json_read(rf_saved_job *saved, int stage, const char *json, rf_error *err);

#endif
