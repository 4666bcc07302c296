/* Which sweep a folder is of: FOLDER/sweep.identity, which every process that works there compares
 * with its own identity before it does anything else.
 *
 * The file comes before any journal, whole and once: it is written under another name, synced, and
 * renamed to its own without replacing anything.  Of processes that begin at the same moment one
 * makes it, and the others compare. */
#ifndef RF_SWEEP_CLAIM_H
#define RF_SWEEP_CLAIM_H

#include "tools/console.h"
#include "tools/sweep/fingerprint.h"

#define RF_CLAIM_NAME "sweep.identity"

/* Compares, if it is there.  RF_E_ARG: of another sweep, saying what differs; RF_E_FORMAT: damaged;
 * RF_E_EXISTS: a file of that name that is none of ours; what reading gives. */
rf_status rf_claim_compare(const char *folder, const rf_identity *ours, int *there,
                           rf_trouble *trouble);

/* Makes it.  replace: in place of another sweep's, or of a damaged one; else RF_E_ARG as above if
 * somebody else made it meanwhile.  What writing gives. */
rf_status rf_claim_make(const char *folder, const rf_identity *ours, int replace,
                        rf_trouble *trouble);

/* RF_E_ARG: what is at `path` is of another sweep; with the first line in which the summaries
 * differ. */
rf_status rf_claim_refuse(const char *path, const char *theirs, const char *ours,
                          rf_trouble *trouble);

#endif
