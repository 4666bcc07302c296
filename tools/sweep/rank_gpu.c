/* GPUs in turn; see rank_gpu.h. */
#include "tools/sweep/rank_gpu.h"

#include <stdio.h>
#include <string.h>

#include "engine/refinery.h"

const char *rf_rank_device(const rf_ranks *ranks, const char *device, char name[RF_RANK_DEVICE])
{
    rf_gpu_info gpu;
    int         count = 0;
    const int   any = !device || strcmp(device, "auto") == 0 || strcmp(device, "cuda") == 0;
    if (!any || ranks->local_size <= 1) return device;
    if (rf_gpu_get_info(0, &gpu, &count, NULL) != RF_OK || count < 2) return device;
    snprintf(name, RF_RANK_DEVICE, "cuda:%d", ranks->local_rank % count);
    return name;
}
