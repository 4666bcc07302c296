/* Which UNets are in memory when: all of them, or in turns.
 *
 * Where the engine's `memory` does not hold all, the launches are ordered stage by stage
 * (launches.h, by_group).  An expert's turn is then a stretch of launches, known beforehand, so
 * that what has to leave is the UNet whose next turn is farthest (Belady 1966), and loads and peak
 * are counted before anything is read. */
#ifndef RF_RESIDENCY_H
#define RF_RESIDENCY_H

#include "engine/refinery.h"

typedef struct rf_plan_tree rf_plan_tree; /* plan.h */

/* A place among the turns of all rounds. */
typedef struct rf_turn {
    int round, at;
} rf_turn;

enum { RF_RELATIVES_MAX = 4 }; /* of one file, that stay loaded where nobody sets a limit */

/* Lists the UNets' weights; are they to stay?  Sets unet_bytes, memory and resident. */
rf_status rf_residency_settle(rf_plan *plan, rf_error *err);

/* Lists the turns of a tree whose launches are ordered. */
rf_status rf_residency_list_turns(const rf_plan *plan, rf_plan_tree *tree, rf_error *err);

/* What the turns take, with those UNets in memory whose `held` is set; it is left as they leave it.
 * A resident plan loads what is missing, once. */
typedef struct rf_residency {
    int     loads;
    size_t  peak_bytes; /* of UNets */
    int64_t file_bytes; /* to read */
} rf_residency;

rf_residency rf_residency_foresee(const rf_plan *plan, char *held);

/* While running: those that are in memory, into held [expert_count]. */
void rf_residency_look(const rf_plan *plan, char *held);

/* Makes it the turn of `expert`: the cursor moves, and what must leave is unloaded, those of other
 * plans first; but one of its relatives among that (variants.h) is returned, to be loaded over. */
rf_expert *rf_residency_make_room(rf_plan *plan, int expert);

#endif
