/* From what was typed about a picture to begin with to the job's rf_init. */
#ifndef RF_START_H
#define RF_START_H

#include "tools/init_files.h"
#include "tools/request.h"

typedef struct rf_start {
    rf_init       init;
    rf_init_files files;
} rf_start;

/* After rf_request_settle: reads the files of --init and --mask, gives the job its size where no
 * option does, and its init, which lives as long as `start`.  `warn` hears of options without
 * effect and of what happens to the picture's size.  RF_E_ARG, and what reading pictures gives. */
rf_status rf_start_settle(rf_start *start, rf_invocation *in, rf_request *q,
                          void (*warn)(void *user, const char *message), void *user);
void      rf_start_release(rf_start *start); /* {0} is fine */

/* The strength of a pass that has none of its own: --denoise, else `otherwise`. */
double rf_start_denoise(const rf_request *request, double otherwise);

/* Whether the refiner begins from the base's finished picture. */
int rf_start_refines_picture(const rf_request *request);

#endif
