/* lincomb, all terms f32.  bytes: every term once, the output once. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/lincomb/lincomb.h"

#define ROW(name, n, e, terms, why) {#name, n, e, terms},
static const struct {
    const char *name;
    int         n, e, terms;
} rows[] = {RF_LINCOMB_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_lincomb_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_lincomb_args *got = args;
    rf_lincomb_args        a = *got;
    const size_t           elems = (size_t)a.n * a.e;
    a.y = bench_output(b, elems * sizeof(float));
    if (rf_lincomb_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(got->y, RF_F32, a.y, elems);
}

void bench_lincomb(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "lincomb", rows[i].name)) continue;
        const size_t    elems = (size_t)rows[i].n * rows[i].e;
        rf_lincomb_args a = {.n = rows[i].n, .e = rows[i].e, .terms = rows[i].terms};
        for (int j = 0; j < a.terms; j++) a.x[j] = bench_input(b, RF_F32, elems);
        a.coef = bench_input(b, RF_F32, (size_t)a.n * a.terms);
        a.y = bench_output(b, elems * sizeof(float));
        bench_run(b, &(bench_case){.op = "lincomb",
                                   .row = rows[i].name,
                                   .dtype = RF_F32,
                                   .bytes = (1.0 + a.terms) * 4 * (double)elems,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
