/* timestep.  bytes: the output. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/timestep/timestep.h"

#define ROW(name, m, dim, y_stride, why) {#name, m, dim, y_stride},
static const struct {
    const char *name;
    int         m, dim, y_stride;
} rows[] = {RF_TIMESTEP_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_timestep_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_timestep_args *got = args;
    rf_timestep_args        a = *got;
    const size_t            elems = (size_t)a.m * a.y_stride;
    a.y = bench_output(b, elems * sizeof(float));
    a.dtype = RF_F32;
    if (rf_timestep_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(got->y, got->dtype, a.y, elems);
}

void bench_timestep(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "timestep", rows[i].name)) continue;
        rf_timestep_args a = {
            .m = rows[i].m, .dim = rows[i].dim, .y_stride = rows[i].y_stride, .dtype = RF_BF16};
        a.value = bench_input(b, RF_F32, (size_t)a.m);
        a.y = bench_output(b, (size_t)a.m * a.y_stride * 2);
        bench_run(b, &(bench_case){.op = "timestep",
                                   .row = rows[i].name,
                                   .dtype = RF_BF16,
                                   .bytes = 2.0 * (double)a.m * a.dim,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
