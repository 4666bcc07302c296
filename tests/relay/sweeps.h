/* For sweep tests: the pictures of many jobs, kept by job, and the same pictures rendered alone. */
#ifndef RF_TEST_SWEEPS_H
#define RF_TEST_SWEEPS_H

#include "tests/relay/relays.h"

enum { SWEEP_JOBS = 64 };

typedef struct sweep {
    rf_plan *plan;
    int      failures;
    pictures cell[SWEEP_JOBS];
    int      failed[SWEEP_JOBS]; /* pictures */
    char     message[RF_ERROR_BYTES];
    /* Before launch number `poison`, its first run gets a NaN; -1: none. */
    int poison;
} sweep;

/* Plans and runs the jobs together, poisoned before launch `at`; a plan that listens to failures if
 * asked. */
rf_status sweep_run(relays *r, const rf_job *jobs, int count, int at, int listens, sweep *s,
                    rf_error *err);
/* Keeps pictures and failures; for a plan of one's own, which s->plan is. */
rf_callbacks sweep_callbacks(sweep *s);
void         sweep_free(sweep *s, int count);

/* Every picture of the sweep is what its job gives alone. */
void sweep_expect_alone(relays *r, const rf_job *jobs, int count, const sweep *s, const char *what);

#endif
