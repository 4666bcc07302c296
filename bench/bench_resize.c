/* resize.  bytes: the output twice (every output pixel is read once and written once). */
#include "bench/bench.h"

#include <math.h>

#include "kernels/resize/resize.h"

#define ROW(name, n, h, w, c, ho, wo, why) {#name, n, h, w, c, ho, wo},
static const struct {
    const char *name;
    int         n, h, w, c, ho, wo;
} rows[] = {RF_RESIZE_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_resize_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_resize_args *got = args;
    rf_resize_args        a = *got;
    const size_t          elems = (size_t)a.n * a.ho * a.wo * a.c;
    a.x = bench_widened(b, a.x, a.dtype, (size_t)a.n * a.h * a.w * a.c);
    a.y = bench_output(b, elems * sizeof(float));
    a.dtype = RF_F32;
    if (rf_resize_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(got->y, got->dtype, a.y, elems);
}

void bench_resize(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "resize", rows[i].name)) continue;
        rf_resize_args a = {.n = rows[i].n,
                            .h = rows[i].h,
                            .w = rows[i].w,
                            .c = rows[i].c,
                            .ho = rows[i].ho,
                            .wo = rows[i].wo,
                            .dtype = RF_BF16};
        const size_t   elems = (size_t)a.n * a.ho * a.wo * a.c;
        a.x = bench_input(b, RF_BF16, (size_t)a.n * a.h * a.w * a.c);
        a.y = bench_output(b, elems * 2);
        bench_run(b, &(bench_case){.op = "resize",
                                   .row = rows[i].name,
                                   .dtype = RF_BF16,
                                   .bytes = 2.0 * 2 * (double)elems,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
