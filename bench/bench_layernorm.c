/* layernorm.  bytes: x once, y once. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/layernorm/layernorm.h"

#define ROW(name, m, c, why) {#name, m, c},
static const struct {
    const char *name;
    int         m, c;
} rows[] = {RF_LAYERNORM_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_layernorm_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_layernorm_args *got = args;
    rf_layernorm_args        a = *got;
    const size_t             elems = (size_t)a.m * a.c;
    a.x = bench_widened(b, a.x, a.dtype, elems);
    a.y = bench_output(b, elems * sizeof(float));
    a.dtype = RF_F32;
    if (rf_layernorm_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(got->y, got->dtype, a.y, elems);
}

static void bench_row(bench *b, size_t i, rf_dtype dtype)
{
    const size_t            elems = (size_t)rows[i].m * rows[i].c, size = rf_dtype_bytes(dtype);
    const rf_layernorm_args a = {.y = bench_output(b, elems * size),
                                 .x = bench_input(b, dtype, elems),
                                 .gamma = bench_input(b, RF_F32, (size_t)rows[i].c),
                                 .beta = bench_input(b, RF_F32, (size_t)rows[i].c),
                                 .m = rows[i].m,
                                 .c = rows[i].c,
                                 .eps = 1e-5f,
                                 .dtype = dtype};
    bench_run(b, &(bench_case){.op = "layernorm",
                               .row = rows[i].name,
                               .dtype = dtype,
                               .bytes = 2.0 * (double)elems * (double)size,
                               .args = &a,
                               .run = run,
                               .error = error});
}

void bench_layernorm(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wants(b, "layernorm", rows[i].name)) {
            bench_row(b, i, RF_BF16);
            bench_row(b, i, RF_F32);
        }
}
