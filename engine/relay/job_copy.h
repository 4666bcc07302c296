/* A job with strings and stages of its own, for whoever outlives the caller's. */
#ifndef RF_JOB_COPY_H
#define RF_JOB_COPY_H

#include "engine/refinery.h"

/* *out = a job equal to `job`, in one block at *block, which begins with its stages: free() that
 * and nothing else.  Pixels of rf_init stay the caller's.  RF_E_NOMEM. */
rf_status rf_job_copy(rf_job *out, void **block, const rf_job *job, rf_error *err);

#endif
