/* A sweep by several processes: MPI ranks that ask rank 0 for the next group of cells, or shards
 * that know theirs from the start (shard.h).
 *
 * Without a launcher there is one rank, MPI is not touched, and all of this is local.  Rank 0 works
 * like the others and serves them in between: a rank that asks waits for at most one call of
 * rank 0's.  Each function is called by the one thread that called rf_ranks_begin. */
#ifndef RF_SWEEP_RANKS_H
#define RF_SWEEP_RANKS_H

#include <stddef.h>
#include <stdint.h>

#include "tools/sweep/journal.h"

/* What a process did in this sitting, or several did together. */
typedef struct rf_ranks_work {
    int64_t calls_naive, calls, launches; /* naive: that the cells would take one by one */
    double  load_s, encode_s, denoise_s, decode_s, write_s;
} rf_ranks_work;

/* {.size = 1, .local_size = 1} is a rank alone: what rf_ranks_begin gives without a launcher, and
 * what a shard takes without asking. */
typedef struct rf_ranks {
    int   rank, size;             /* 0 of 1 without a launcher */
    int   local_rank, local_size; /* likewise, among those on the same machine */
    int   given;                  /* groups that rank 0 has handed out */
    void *inside;                 /* NULL: alone */

    rf_ranks_work mine;   /* the caller counts; rank 0 hears of it when this rank leaves */
    rf_ranks_work others; /* rank 0: of all that have left */

    /* The caller's, once rf_ranks_begin has returned; NULL is fine. */
    int (*signal)(void); /* the exit code of a signal that came, or 0: no waiting after that */
    void (*gave_up)(void *user, int rank, const char *why); /* on rank 0, when it happens */
    void *user;
} rf_ranks;

/* Joins the launcher's world, if this process was started by one (mpirun, srun) as one of several.
 * RF_E_UNSUPPORTED, saying what to do instead: this build has no MPI, or the launcher offers no way
 * to meet that this MPI knows.  Do not call it with --shard: shards need nobody. */
rf_status rf_ranks_begin(rf_ranks *ranks, rf_error *err);

/* This rank gives up: the others go on without it, and its open cells stay open.  Rank 0 hears why,
 * at most RF_ERROR_BYTES of it.  Of rank 0 rf_ranks_end alone tells. */
void rf_ranks_give_up(rf_ranks *ranks, const char *why);

/* The last call; {0} is fine.  Without rf_ranks_finish before, it means that this rank gives up; if
 * rank 0 does, all stop (RF_E_CANCELLED).  It waits until all are here, so print errors first.  If
 * a signal has come rank 0 waits for a moment only: then all processes are ended, this one too,
 * with the signal's exit code.  The journal is right at any moment. */
void rf_ranks_end(rf_ranks *ranks);

/* CPU threads for this rank where the user gave no number: 0 (the engine's default) if it has its
 * machine for itself, else its share of the cores. */
int rf_ranks_threads(const rf_ranks *ranks);

/* All ranks call it: `bytes` of rank 0 become everyone's (random seeds, what is open, a
 * fingerprint).  RF_E_CANCELLED: rank 0 gave up. */
rf_status rf_ranks_share(rf_ranks *ranks, void *bytes, size_t count, rf_error *err);

/* The next group for this rank: *group = its index, or -1: there is none left.  Groups are handed
 * out in order (the caller sorts: largest predicted cost first) to whoever asks.  On rank 0 this
 * answers the others' questions too; what they tell waits for the functions below.  RF_E_CANCELLED
 * as below. */
rf_status rf_ranks_next(rf_ranks *ranks, int groups, int *group, rf_error *err);

/* Tells rank 0 of a finished cell: `write` is called there, with the record, for every rank's
 * cells, its own included, while it works or waits in rf_ranks_tell, rf_ranks_serve and
 * rf_ranks_finish.  What `write` returns is returned.  Of `error` at most RF_ERROR_BYTES arrive,
 * and of `sha256` 64 digits. */
typedef rf_status rf_ranks_write_fn(void *user, int cell, const rf_cell_record *record,
                                    rf_error *err);
rf_status         rf_ranks_tell(rf_ranks *ranks, int cell, const rf_cell_record *record,
                                rf_ranks_write_fn *write, void *user, rf_error *err);
/* Takes what has arrived, without waiting; call it often, on every rank (from the progress
 * callback).  RF_E_CANCELLED: rank 0 gave up, and so should this one. */
rf_status rf_ranks_serve(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                         rf_error *err);
/* Waits until all ranks are done and everything told has been written.  RF_E_CANCELLED: a signal
 * came, on this rank; or rank 0 gave up. */
rf_status rf_ranks_finish(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                          rf_error *err);

#endif
