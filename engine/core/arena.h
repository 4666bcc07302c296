/* The planner's arena: buffers inside one allocation, taken and given back explicitly.
 *
 * The same code runs twice.  Counting: every take gets a made-up address that is never read, and
 * the arena notes when each buffer lives.  Then rf_arena_settle finds them places: the largest
 * first, each at the lowest offset that is free all its life, which for our networks ends at the
 * most that is alive at once, or close to it (first fit as they come leaves holes between maps
 * whose sizes double).  Placing: the same takes and gives, in the same order, get those places. */
#ifndef RF_ARENA_H
#define RF_ARENA_H

#include <stddef.h>

#include "kernels/status.h"

enum { RF_ARENA_ALIGN = 256 }; /* a row of 4 cache lines; TMA and cp.async need 16 */

typedef struct rf_arena_block {
    size_t bytes, offset; /* offset: made up while counting */
    size_t born, dies;    /* the clock's reading; dies: SIZE_MAX while it lives */
} rf_arena_block;

typedef struct rf_arena {
    char           *base;  /* NULL while counting */
    size_t          peak;  /* bytes the allocation needs; once settled */
    size_t          clock; /* takes and gives so far */
    rf_arena_block *block; /* [count], in the order of the takes; owned */
    size_t          count, cap;
    size_t          taken; /* placing: of those so far */
} rf_arena;

/* A buffer of `bytes`, rounded up to the alignment (0 counts as 1).  NULL: there is no memory for
 * the list, the sizes overflow, or, placing, this is not the take that was counted. */
void *rf_arena_take(rf_arena *arena, size_t bytes);

/* Gives back a buffer by the address that take returned; NULL is fine.  Returns 0, or -1 for an
 * address that is not live (a bug in the caller). */
int rf_arena_give(rf_arena *arena, const void *block);

/* After counting: places and `peak`.  RF_E_NOMEM. */
rf_status rf_arena_settle(rf_arena *arena);

/* After settling: the same takes again, inside `base` (`peak` bytes). */
void rf_arena_place(rf_arena *arena, void *base);

void rf_arena_free(rf_arena *arena); /* the list alone; {0} is fine */

#endif
