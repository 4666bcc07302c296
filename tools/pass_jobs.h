/* The jobs of one pass, for some of the pictures, and the pictures that the next one begins from.
 */
#ifndef RF_PASS_JOBS_H
#define RF_PASS_JOBS_H

#include "tools/passes.h"

typedef struct rf_pass_picture { /* zeroed: none */
    uint8_t *rgb;                /* of the job's size */
    char    *job;                /* its JSON */
} rf_pass_picture;

typedef struct rf_pass_jobs {
    rf_job  *job;  /* one of `pictures` pictures, or as many of one each */
    rf_init *init; /* of the latter */
    int      count, pictures;
} rf_pass_jobs;

/* Whether the pass begins from the picture of the one before. */
int rf_pass_continues(const rf_pass_spec *pass);

/* Of pictures first .. first + pictures - 1 of all; `before` has those of the pass before, the
 * first one first, and must outlive the jobs.  RF_E_NOMEM. */
rf_status rf_pass_jobs_make(rf_pass_jobs *out, const rf_pass_spec *pass, int first, int pictures,
                            const rf_pass_picture *before, rf_error *err);
void      rf_pass_jobs_release(rf_pass_jobs *jobs); /* {0} is fine */

/* Keeps a copy in place of what is there. */
rf_status rf_pass_picture_keep(rf_pass_picture *out, const rf_image *image, rf_error *err);
void      rf_pass_pictures_free(rf_pass_picture *pictures, int count); /* NULL is fine */

#endif
