/* A hash table of indices into a list that somebody else keeps.
 *
 * Contents are compared where they lie, so that an entry costs eight bytes and not a copy of what
 * it stands for: plans list hundreds of thousands of calls. */
#ifndef RF_LOOKUP_H
#define RF_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct rf_lookup_slot {
    uint32_t hash;
    int      next; /* index + 1; 0: empty */
} rf_lookup_slot;

typedef struct rf_lookup {
    rf_lookup_slot *slot;
    size_t          slots, count; /* a power of two, or 0 */
} rf_lookup;

/* Whether entry `index` is what `user` describes. */
typedef int rf_lookup_same(const void *user, int index);

/* The index with that hash that `same` accepts; -1: there is none. */
int rf_lookup_find(const rf_lookup *table, uint64_t hash, rf_lookup_same *same, const void *user);
rf_status rf_lookup_add(rf_lookup *table, uint64_t hash, int index, rf_error *err); /* NOMEM */
void      rf_lookup_free(rf_lookup *table); /* {0} is fine */

/* Folds one more value into a hash; start from 0. */
static inline uint64_t rf_lookup_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, as Knuth's */
    return hash ^ hash >> 29;
}

#endif
