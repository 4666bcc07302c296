/* In which order the nodes of a tree are computed, several at a time, and in which state slots.
 *
 * All of it is decided before anything runs: an executor walks the list.  A node's state lies in
 * its slot until the last of its children has begun: that child takes the slot over, the others
 * copied it.  A leaf's slot is free once its launch is done.
 *
 * Order: a launch that can be full goes first, and among those the one whose runs come first, so
 * that with one node a launch this is plain depth first and the first pictures are early.  Where
 * none can be full, the node that opens most runs is computed, until one can.  With `by_group`
 * everything that is ready for one group (an expert) is computed before the next group's turn:
 * for experts that are not in memory together. */
#ifndef RF_LAUNCHES_H
#define RF_LAUNCHES_H

#include "engine/relay/tree.h"

typedef struct rf_launch_rules {
    const int *group; /* [kinds]: of each kind, below `kinds`; NULL: all 0 */
    int        kinds;
    int        batch;     /* most nodes of a launch, >= 1 */
    int        by_group;  /* group by group */
    int        slots_max; /* of states; 0: no limit.  Near it, plain depth first */
} rf_launch_rules;

typedef struct rf_launch_item {
    int node;
    int from; /* slot of its parent's state; -1: a run begins */
    int slot; /* its own; equal to `from` where it takes over */
    int leaf; /* the slot is free after the launch */
} rf_launch_item;

typedef struct rf_launch {
    int kind, first, count; /* items first .. first + count - 1 */
} rf_launch;

typedef struct rf_launches {
    rf_launch      *launch;
    int             launches;
    rf_launch_item *item; /* [nodes of the tree - 1] */
    int             items;
    int             slots;  /* states that must be held at once */
    int             groups; /* stretches of one group: loads, with by_group */
} rf_launches;

/* RF_E_NOMEM; *out is zeroed on failure. */
rf_status rf_launches_plan(rf_launches *out, const rf_tree *tree, const rf_launch_rules *rules,
                           rf_error *err);
void      rf_launches_free(rf_launches *launches); /* {0} is fine */

#endif
