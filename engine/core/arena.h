/* The planner's arena: offsets inside one allocation, taken and given back explicitly.
 *
 * The same code runs twice.  Counting (base NULL): addresses start at a made-up, never dereferenced
 * base, and `peak` says how large the allocation must be.  Placing: the same sequence of calls
 * yields the same offsets inside the real allocation.  First fit, so the order of calls alone
 * decides: what is placed equals what was counted. */
#ifndef RF_ARENA_H
#define RF_ARENA_H

#include <stddef.h>

#include "kernels/status.h"

enum {
    RF_ARENA_ALIGN = 256, /* a row of 4 cache lines; TMA and cp.async need 16 */
    RF_ARENA_BLOCKS =
        128, /* live blocks at once: a UNet holds a dozen skips and a few temporaries */
};

typedef struct rf_arena_block {
    size_t offset, bytes;
} rf_arena_block;

typedef struct rf_arena {
    char          *base;                  /* NULL while counting */
    size_t         peak;                  /* bytes the allocation needs */
    rf_arena_block live[RF_ARENA_BLOCKS]; /* ascending by offset, never overlapping */
    int            live_count;
} rf_arena;

/* The lowest gap of `bytes` (rounded up to the alignment; 0 counts as 1).  NULL only if more than
 * RF_ARENA_BLOCKS blocks are live or the size overflows. */
void *rf_arena_take(rf_arena *arena, size_t bytes);

/* Gives back a block by the address that take returned; NULL is fine.  Returns 0, or -1 for an
 * address that is not live (a bug in the caller). */
int rf_arena_give(rf_arena *arena, const void *block);

#endif
