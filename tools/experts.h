/* An engine and the checkpoints opened on it: each file once, however many stages or cells name
 * it. */
#ifndef RF_EXPERTS_H
#define RF_EXPERTS_H

#include "tools/request.h"

typedef struct rf_experts {
    rf_engine   *engine;
    rf_expert  **expert;     /* [count], in the order in which they were opened */
    const char **prediction; /* [count]: asked for; NULL: what the file says */
    int          count, room;
    char        *hash_cache; /* NULL: there is no such place */
} rf_experts;

/* Creates the engine that `request` asks for.  `dtype`: what --dtype auto means; NULL: the engine's
 * choice.  `warn` and `trace` (NULL: none) are rf_options' own.  RF_E_DEVICE, and what
 * rf_engine_create gives. */
rf_status rf_experts_begin(rf_experts *x, const rf_request *request, const char *dtype,
                           void (*warn)(void *user, const char *message),
                           void (*trace)(void *user, const char *text, size_t bytes), void *user,
                           rf_trouble *trouble);

/* Says which device --device auto is; who named one, or makes a plan alone, knows or reads it. */
void rf_experts_say_device(const rf_experts *x, const rf_request *request, rf_console *console);

/* *out = the expert of the file at `path`, which stays the experts'.  `prediction`: as for
 * rf_expert_set_prediction; a file that stages take for different things is opened for each. */
rf_status rf_experts_open(rf_experts *x, const char *path, const char *prediction, rf_expert **out,
                          rf_error *err);

void rf_experts_end(rf_experts *x); /* {0} is fine */

#endif
