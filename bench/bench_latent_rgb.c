/* latent_rgb.  bytes: x once, one byte a channel written. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "kernels/latent_rgb/latent_rgb.h"

#define ROW(name, n, hw, why) {#name, n, hw},
static const struct {
    const char *name;
    int         n, hw;
} rows[] = {RF_LATENT_RGB_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_latent_rgb_cpu(stream, args);
}

static double error(bench *b, const void *args)
{
    const rf_latent_rgb_args *got = args;
    rf_latent_rgb_args        a = *got;
    const size_t              bytes = (size_t)a.n * a.hw * 3;
    a.y = bench_output(b, bytes);
    if (rf_latent_rgb_ref(NULL, &a) != RF_OK) return INFINITY;
    return memcmp(got->y, a.y, bytes) ? INFINITY : 0;
}

void bench_latent_rgb(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!bench_wants(b, "latent_rgb", rows[i].name)) continue;
        rf_latent_rgb_args a = {.n = rows[i].n, .hw = rows[i].hw};
        const size_t       pixels = (size_t)a.n * a.hw;
        a.x = bench_input(b, RF_F32, pixels * 4);
        a.map = bench_input(b, RF_F32, 15);
        a.scale = bench_input(b, RF_F32, (size_t)a.n);
        a.y = bench_output(b, pixels * 3);
        bench_run(b, &(bench_case){.op = "latent_rgb",
                                   .row = rows[i].name,
                                   .dtype = RF_F32,
                                   .bytes = (4 * sizeof(float) + 3) * (double)pixels,
                                   .args = &a,
                                   .run = run,
                                   .error = error});
    }
}
