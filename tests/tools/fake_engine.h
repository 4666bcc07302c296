/* What the files of the fake engine know of each other. */
#ifndef RF_FAKE_ENGINE_H
#define RF_FAKE_ENGINE_H

#include "engine/refinery.h"

rf_status fake_job_check(const rf_job *job, rf_error *err);
int       fake_first_step(const rf_job *job, int stage); /* of the stage after it */

/* What rf_saved_job_from_json of fake_saved.c reads; to be free()d. */
char *fake_job_to_json(const rf_job *job, uint64_t seed);

#endif
