/* `--save-relay NAME`: what was asked for, as a relay that `--relay NAME` asks for again. */
#ifndef RF_RELAY_SAVE_H
#define RF_RELAY_SAVE_H

#include "tools/request.h"

/* Writes the stages of a settled request, with its sampler, schedule, steps and rule, to the folder
 * of named relays; files by their absolute paths.  Seed, size and output are no part of a relay.
 * Nothing to do without q->save_relay.  RF_E_ARG: no such name can be; RF_E_EXISTS unless
 * `overwrite`; what writing gives. */
rf_status rf_relay_save(rf_invocation *in, const rf_request *q);

#endif
