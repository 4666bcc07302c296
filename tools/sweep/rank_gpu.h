/* Which GPU a rank takes where several share a machine. */
#ifndef RF_SWEEP_RANK_GPU_H
#define RF_SWEEP_RANK_GPU_H

#include "tools/sweep/ranks.h"

enum { RF_RANK_DEVICE = 24 };

/* `device` as the user gave it (NULL: auto), or `name` with the GPU of this rank in it: the ranks
 * of a machine take its GPUs in turn.  A GPU that was named, the CPU, and a machine without a GPU
 * stay what they are; so does a rank that has its machine for itself.  A launcher that shows every
 * rank its own GPU alone (CUDA_VISIBLE_DEVICES) has done the work already: that one is number 0. */
const char *rf_rank_device(const rf_ranks *ranks, const char *device, char name[RF_RANK_DEVICE]);

#endif
