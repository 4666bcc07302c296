/* What can be said of the sm80 groupnorm without a GPU or its compiler: which sizes it takes, how
 * it divides them, and how many bytes that needs. */
#include "kernels/groupnorm/sm80_groupnorm_plan.h"

#include "kernels/device/gpu.h"

enum {
    SLAB_LEAST = 16,  /* pixels: at 32 x 32 pixels 64 blocks an image */
    SLABS_MOST = 512, /* an image: some blocks for each multiprocessor, and a join of 16 steps */
};

rf_status rf_groupnorm_plan_of_sm80(rf_groupnorm_plan_sm80 *out, const rf_groupnorm_args *a)
{
    enum { MOST_IMAGES = 65535, MOST_PIXELS = 1 << 30, MOST_CHANNELS = 1 << 16 };
    rf_groupnorm_plan_sm80 p = {0};
    *out = p;
    if (rf_groupnorm_check(a) != RF_OK || (a->dtype != RF_F16 && a->dtype != RF_BF16))
        return RF_E_SHAPE;
    if (a->n > MOST_IMAGES || a->hw > MOST_PIXELS || a->c > MOST_CHANNELS) return RF_E_SHAPE;
    p.slab = (a->hw + SLABS_MOST - 1) / SLABS_MOST;
    if (p.slab < SLAB_LEAST) p.slab = SLAB_LEAST;
    p.slabs = (a->hw + p.slab - 1) / p.slab;
    p.pieces = (a->c + RF_GROUPNORM_PIECE_SM80 - 1) / RF_GROUPNORM_PIECE_SM80;
    p.rows = p.pieces < RF_GROUPNORM_THREADS_SM80 ? RF_GROUPNORM_THREADS_SM80 / p.pieces : 1;
    p.shared_bytes = p.rows * a->c * 2 * (int)sizeof(float);
    p.stats_elems = 2 * (size_t)a->n * (size_t)a->groups;
    p.slab_stats_elems = p.stats_elems * (size_t)p.slabs;
    *out = p;
    return RF_OK;
}

rf_status rf_groupnorm_prepare_sm80(void *stream, const rf_groupnorm_args *a,
                                    size_t *workspace_bytes)
{
    const rf_gpu          *gpu = stream;
    rf_groupnorm_plan_sm80 plan;
    *workspace_bytes = 0;
    const rf_status st = rf_groupnorm_plan_of_sm80(&plan, a);
    if (st != RF_OK || plan.shared_bytes > gpu->shared_bytes_max) return RF_E_SHAPE;
    *workspace_bytes = (plan.slab_stats_elems + plan.stats_elems) * sizeof(float);
    return RF_OK;
}
