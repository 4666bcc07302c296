/* groupnorm with silu.  bytes: both sources once, the output once; the second reading of x, which
 * large maps take from memory again, is the op's own affair. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/groupnorm/groupnorm.h"

#define ROW(name, n, hw, c, c1, groups, why) {#name, n, hw, c, c1, groups},
static const struct {
    const char *name;
    int         n, hw, c, c1, groups;
} rows[] = {RF_GROUPNORM_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_groupnorm_cpu(stream, args);
}

/* The reference on one image. */
static double error(bench *b, const void *args)
{
    rf_groupnorm_args a = *(const rf_groupnorm_args *)args;
    const size_t      hw = (size_t)a.hw;
    const int         c1 = a.c1 ? a.c1 : a.c;
    a.n = 1;
    a.x = bench_widened(b, a.x, a.dtype, hw * c1);
    if (a.x2) a.x2 = bench_widened(b, a.x2, a.dtype, hw * (a.c - c1));
    a.y = bench_output(b, hw * a.c * sizeof(float));
    a.dtype = RF_F32;
    if (rf_groupnorm_ref(NULL, &a) != RF_OK) return INFINITY;
    const rf_groupnorm_args *got = args;
    return bench_relative_l2(got->y, got->dtype, a.y, hw * a.c);
}

static void bench_row(bench *b, size_t i, rf_dtype dtype)
{
    const size_t      pixels = (size_t)rows[i].n * rows[i].hw;
    const int         c1 = rows[i].c1 ? rows[i].c1 : rows[i].c;
    size_t            workspace_bytes;
    rf_groupnorm_args a = {.n = rows[i].n,
                           .hw = rows[i].hw,
                           .c = rows[i].c,
                           .c1 = rows[i].c1,
                           .groups = rows[i].groups,
                           .eps = 1e-5f,
                           .silu = 1,
                           .dtype = dtype};
    if (rf_groupnorm_prepare_cpu(bench_host(b), &a, &workspace_bytes) != RF_OK) return;
    a.x = bench_input(b, dtype, pixels * c1);
    if (a.c1) a.x2 = bench_input(b, dtype, pixels * (a.c - c1));
    a.gamma = bench_input(b, RF_F32, (size_t)a.c);
    a.beta = bench_input(b, RF_F32, (size_t)a.c);
    a.y = bench_output(b, pixels * a.c * rf_dtype_bytes(dtype));
    a.workspace = bench_output(b, workspace_bytes);
    bench_run(b, &(bench_case){.op = "groupnorm",
                               .row = rows[i].name,
                               .dtype = dtype,
                               .bytes = 2.0 * (double)pixels * a.c * (double)rf_dtype_bytes(dtype),
                               .args = &a,
                               .run = run,
                               .error = error});
}

void bench_groupnorm(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wants(b, "groupnorm", rows[i].name)) {
            bench_row(b, i, RF_BF16);
            bench_row(b, i, RF_F32);
        }
}
