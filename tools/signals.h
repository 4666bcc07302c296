/* SIGINT, SIGTERM and SIGHUP (unless ignored, as under nohup): the first asks the work to stop
 * soon, the second quits at once.  SIGPIPE and SIGXFSZ are ignored, so that a closed reader or a
 * size limit is an ordinary write error. */
#ifndef RF_SIGNALS_H
#define RF_SIGNALS_H

#include <stdatomic.h>

#include "kernels/status.h"

rf_status rf_signals_install(rf_error *err); /* RF_E_BUG if the system refuses */

/* Between the two, a second signal waits: a picture is written in a moment, and quitting in the
 * middle would leave its temporary file behind. */
void rf_signals_hold(void);
void rf_signals_release(void); /* quits now if one came */

/* 0, or the exit code of the signal that arrived: 130 (SIGINT), 143 (SIGTERM) or 129 (SIGHUP). */
int rf_signals_caught(void);

/* Becomes non-zero when a signal arrives; for work that watches a flag. */
const atomic_int *rf_signals_flag(void);

#endif
