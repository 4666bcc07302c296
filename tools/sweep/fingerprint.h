/* Which sweep it is: what its pictures depend on, as a hash for the journal and as lines for
 * people. */
#ifndef RF_SWEEP_FINGERPRINT_H
#define RF_SWEEP_FINGERPRINT_H

#include "tools/sweep/cells.h"

enum { RF_FINGERPRINT_BYTES = 65 }; /* 64 hex digits and NUL */

typedef struct rf_identity {
    char  fingerprint[RF_FINGERPRINT_BYTES];
    char *summary; /* lines "what: value"; free() it */
} rf_identity;

/* `expert` [cells->files] are the opened cells->file.  In it: axes, every cell's job, the SHA-256
 * and the name of every file (both are in the pictures), dtype, device, version.  Not in it: where
 * files lie, threads, batch, memory.  Hashing large files takes seconds: `console` hears of it, and
 * a signal ends it (RF_E_CANCELLED).  What hashing gives. */
rf_status rf_identify(rf_identity *out, const rf_cells *cells, rf_expert *const *expert,
                      const rf_engine *engine, rf_console *console, rf_error *err);

#endif
