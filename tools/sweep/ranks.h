/* A sweep by several processes: MPI ranks that ask rank 0 for the next group of cells, or shards
 * that know theirs from the start.
 *
 * Without MPI in the build, and without a launcher, there is one rank and all of this is local. */
#ifndef RF_SWEEP_RANKS_H
#define RF_SWEEP_RANKS_H

#include "tools/sweep/journal.h"

typedef struct rf_ranks {
    int   rank, size; /* 0 of 1 without a launcher */
    void *inside;
} rf_ranks;

/* Joins the launcher's world, if this process was started by one (mpirun, srun). */
rf_status rf_ranks_begin(rf_ranks *ranks, rf_error *err);
void      rf_ranks_end(rf_ranks *ranks);

/* The next group for this rank: *group = its index, or -1: there is none left.  Groups are handed
 * out in order (the caller sorts: largest predicted cost first) to whoever asks.  On rank 0 this
 * serves the others too. */
rf_status rf_ranks_next(rf_ranks *ranks, int groups, int *group, rf_error *err);

/* Tells rank 0 of a finished cell: `write` is called there, with the record, for every rank's
 * cells, its own included, while it works or waits in rf_ranks_next, rf_ranks_tell, rf_ranks_serve.
 */
typedef rf_status rf_ranks_write_fn(void *user, int cell, const rf_cell_record *record,
                                    rf_error *err);
rf_status         rf_ranks_tell(rf_ranks *ranks, int cell, const rf_cell_record *record,
                                rf_ranks_write_fn *write, void *user, rf_error *err);
/* Takes what has arrived, without waiting; call it often (from the progress callback). */
rf_status rf_ranks_serve(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                         rf_error *err);
/* Waits until all ranks are done and everything told has been written. */
rf_status rf_ranks_finish(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                          rf_error *err);

#endif
