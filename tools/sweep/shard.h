/* A sweep in n parts that never talk to each other: --shard i/n.
 *
 * Every shard divides the whole sweep in the same way (rf_plan_divide of all its cells, done or
 * not), so that each knows its groups and nobody else's.  It has a journal of its own beside the
 * common pictures: SQLite's locks cannot be trusted on a file system that several machines share.
 */
#ifndef RF_SWEEP_SHARD_H
#define RF_SWEEP_SHARD_H

#include <stdint.h>

#include "tools/console.h"

enum { RF_SHARDS_MAX = 4096 };

typedef struct rf_shard {
    int index, count; /* 1 <= index <= count; {0}: the sweep is not sharded */
} rf_shard;

/* `text`: "i/n", 1 <= i <= n <= RF_SHARDS_MAX, nothing else.  RF_E_ARG; *out is zeroed then. */
rf_status rf_shard_parse(rf_shard *out, const char *text, rf_trouble *trouble);

/* owner[g] = the shard of group g, 1 .. shards.  cost [groups], the largest first: each group goes
 * to the shard that has least so far, the lowest of several (Graham 1969: at most 4/3 of the best
 * possible).  A pure function.  1 <= shards <= RF_SHARDS_MAX. */
void rf_shard_assign(int *owner, const int64_t *cost, int groups, int shards);

/* The journal's file name: "journal.sqlite", or "journal-3-of-8.sqlite". */
enum { RF_JOURNAL_NAME_BYTES = 40 };
void rf_shard_journal(char name[RF_JOURNAL_NAME_BYTES], rf_shard shard);

/* The shards that have left a journal in `folder`, sorted by count and index; free() *out.  A sweep
 * without --shard gathers what they say; `--shard i/n` goes on with its own journal alone.  A
 * folder that does not exist has none.  RF_E_IO, RF_E_PERMISSION, RF_E_NOMEM. */
rf_status rf_shard_find(rf_shard **out, int *count, const char *folder, rf_error *err);

#endif
