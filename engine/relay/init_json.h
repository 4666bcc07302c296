/* What a run started from, in the JSON of a picture's job (job_json.h):
 *
 *   "init": {"path", "sha256", "denoise":0.5, "exact_steps":false, "resize_mode":1,
 *            "mask":{"path", "sha256", "blur":4, "inverted":true}|null,
 *            "job":{the job whose result it is}|null}
 *
 * Where resize_mode, blur or inverted is 0 it is left out.
 * Pixels are not saved: whoever renders the job again loads the files and puts them into its
 * rf_init. */
#ifndef RF_INIT_JSON_H
#define RF_INIT_JSON_H

#include <jansson.h>

#include "engine/refinery.h"

/* Whether it can be saved.  RF_E_ARG names the field that is not UTF-8, or not a job's JSON. */
rf_status rf_init_json_check(const rf_init *init, rf_error *err);

/* Sets "init" of `job`. */
rf_status rf_init_write_json(json_t *job, const rf_init *init, rf_error *err);

/* Reads the value of "init", if there is one, into the saved job's.  RF_E_FORMAT. */
rf_status rf_init_read_json(rf_saved_job *saved, const json_t *value, rf_error *err);

#endif
