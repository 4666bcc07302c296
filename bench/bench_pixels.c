/* pixels.  bytes: x once, one byte a channel written. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "kernels/pixels/pixels.h"

#define ROW(name, n, hw, why) {#name, n, hw},
static const struct {
    const char *name;
    int         n, hw;
} rows[] = {RF_PIXELS_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_pixels_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_pixels_args *got = args;
    rf_pixels_args        a = *got;
    const size_t          bytes = (size_t)a.n * a.hw * 3;
    a.y = bench_output(b, bytes);
    a.stats = bench_output(b, (size_t)a.n * sizeof *a.stats);
    if (rf_pixels_ref(NULL, &a) != RF_OK) return INFINITY;
    return memcmp(got->y, a.y, bytes) ? INFINITY : 0;
}

void bench_pixels(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "pixels", rows[i].name)) continue;
        rf_pixels_args a = {.n = rows[i].n, .hw = rows[i].hw, .dtype = RF_BF16};
        const size_t   elems = (size_t)a.n * a.hw * 3;
        a.x = bench_input(b, RF_BF16, elems);
        a.y = bench_output(b, elems);
        a.stats = bench_output(b, (size_t)a.n * sizeof *a.stats);
        bench_run(b, &(bench_case){.op = "pixels",
                                   .row = rows[i].name,
                                   .dtype = RF_BF16,
                                   .bytes = 3.0 * (double)elems,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
