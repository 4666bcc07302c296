/* How the sm80 groupnorm divides a map: what both its kernels and those who only count bytes must
 * know. */
#ifndef RF_SM80_GROUPNORM_PLAN_H
#define RF_SM80_GROUPNORM_PLAN_H

#include "kernels/groupnorm/groupnorm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RF_GROUPNORM_THREADS_SM80 = 256,
    RF_GROUPNORM_PIECE_SM80 = 8, /* channels that move at once */
};

typedef struct rf_groupnorm_plan_sm80 {
    int    slab, slabs;  /* pixels of a slab, and slabs of an image */
    int    pieces, rows; /* pieces of a pixel's channels, and pixels that a block does at once */
    int    shared_bytes; /* of the kernel that joins channels */
    size_t slab_stats_elems; /* the workspace: f32 per slab ... */
    size_t stats_elems;      /* ... and then per image and group */
} rf_groupnorm_plan_sm80;

/* Reads sizes and types of `a`, no pointer.  RF_E_SHAPE: not what the level takes. */
rf_status rf_groupnorm_plan_of_sm80(rf_groupnorm_plan_sm80 *out, const rf_groupnorm_args *a);

#ifdef __cplusplus
}
#endif
#endif
