/* A plan at work: what its executor (run.c) and the handing out of pictures (finish.c) share. */
#ifndef RF_RELAY_RUN_H
#define RF_RELAY_RUN_H

#include "engine/relay/plan.h"

typedef struct rf_walk {
    rf_plan            *plan;
    const rf_callbacks *callbacks;
    const rf_plan_tree *tree;
    int                 first;    /* index that the tree's picture 0 stands for */
    int64_t             launches; /* done */
} rf_walk;

/* finish.c */
rf_picture  rf_walk_picture(const rf_walk *walk, int picture); /* of the tree's */
rf_progress rf_walk_progress(const rf_walk *walk, rf_phase phase, rf_picture picture, int stage,
                             const char *expert);

/* Where nobody listens for failures, the first run that is known to have gone wrong is an error. */
rf_status rf_walk_check(const rf_walk *walk, rf_error *err);

/* Decodes what that launch has finished, several latents at a time, and hands out the pictures. */
rf_status rf_walk_finish(rf_walk *walk, const rf_launch *launch, rf_error *err);

#endif
