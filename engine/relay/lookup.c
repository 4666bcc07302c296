/* Open addressing; a slot keeps its hash, so that growing asks nobody. */
#include "engine/relay/lookup.h"

#include <stdlib.h>

static size_t next_slot(const rf_lookup *t, size_t at)
{
    return (at + 1) & (t->slots - 1);
}

int rf_lookup_find(const rf_lookup *t, uint64_t hash, rf_lookup_same *same, const void *user)
{
    const uint32_t short_hash = (uint32_t)(hash >> 32);
    if (t->slots == 0) return -1;
    for (size_t at = short_hash & (t->slots - 1); t->slot[at].next; at = next_slot(t, at))
        if (t->slot[at].hash == short_hash && same(user, t->slot[at].next - 1))
            return t->slot[at].next - 1;
    return -1;
}

static void put(rf_lookup *t, rf_lookup_slot entry)
{
    size_t at = entry.hash & (t->slots - 1);
    while (t->slot[at].next) at = next_slot(t, at);
    t->slot[at] = entry;
}

/* At most two thirds of the slots are taken. */
static rf_status grow(rf_lookup *t, rf_error *err)
{
    rf_lookup grown = {.slots = t->slots ? 2 * t->slots : 64, .count = t->count};
    if (3 * (t->count + 1) <= 2 * t->slots) return RF_OK;
    grown.slot = calloc(grown.slots, sizeof *grown.slot);
    if (!grown.slot) return rf_fail(err, RF_E_NOMEM, "plan: out of memory");
    for (size_t i = 0; i < t->slots; i++)
        if (t->slot[i].next) put(&grown, t->slot[i]);
    free(t->slot);
    *t = grown;
    return RF_OK;
}

rf_status rf_lookup_add(rf_lookup *t, uint64_t hash, int index, rf_error *err)
{
    const rf_status st = grow(t, err);
    if (st != RF_OK) return st;
    put(t, (rf_lookup_slot){.hash = (uint32_t)(hash >> 32), .next = index + 1});
    t->count++;
    return RF_OK;
}

void rf_lookup_free(rf_lookup *t)
{
    free(t->slot);
    *t = (rf_lookup){0};
}
