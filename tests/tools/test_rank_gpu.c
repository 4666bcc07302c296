/* Ranks of one machine take its GPUs in turn, and nothing else changes. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/refinery.h"
#include "tools/sweep/rank_gpu.h"

static int gpus; /* of this machine */

rf_status rf_gpu_get_info(int ordinal, rf_gpu_info *out, int *count, rf_error *err)
{
    *out = (rf_gpu_info){.major = 9};
    *count = gpus;
    return ordinal < gpus ? RF_OK : rf_fail(err, RF_E_DEVICE, "there is none");
}

static const struct {
    const char *device, *taken;
    int         rank, ranks, gpus;
} rows[] = {
    {"auto", "cuda:0", 0, 8, 4},       {NULL, "cuda:3", 3, 8, 4},     {"cuda", "cuda:1", 5, 8, 4},
    {"cuda", "cuda:7", 7, 8, 8},       {"cuda:2", "cuda:2", 1, 8, 4}, {"cpu", "cpu", 1, 8, 4},
    {"auto", "auto", 0, 1, 4},         {"auto", "auto", 1, 2, 0},     {"cuda", "cuda", 1, 2, 1},
    {"emulated", "emulated", 1, 2, 2},
};

Test(rank_gpu, ranks_take_gpus_in_turn)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char           name[RF_RANK_DEVICE];
        const rf_ranks ranks = {.rank = 100 + rows[i].rank, /* of all machines */
                                .size = 200,
                                .local_rank = rows[i].rank,
                                .local_size = rows[i].ranks};
        gpus = rows[i].gpus;
        const char *taken = rf_rank_device(&ranks, rows[i].device, name);
        cr_expect_str_eq(taken, rows[i].taken, "row %zu: %s", i, taken);
    }
}
