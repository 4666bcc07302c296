/* layernorm on the CPU: a row per step, three passes over it while it is in L1.
 *
 * Sums run in 64 lanes, a fixed number for every CPU: four AVX-512 chains, for with one (16 lanes)
 * each addition waits for the last, at 2.2 times the time (Zen 4, 1024 x 1280, one thread).  The
 * deviations are taken from a centre that f32 sums give, and their own sum corrects mean and
 * variance (Chan, Golub & LeVeque 1983, eq. 1.7).  Bound by memory: x read once, y written once. */
#include "kernels/layernorm/layernorm.h"

#include <math.h>

#include "kernels/cpu_rows.h"
#include "kernels/host.h"

enum { LANES = 64 };

static double sum_of(const float *x)
{
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += (double)x[i];
    return sum;
}

/* x[i] of a row, the row's end filled up with `outside`. */
RF_INLINE float lane(const void *x, rf_dtype t, int i, int c, float outside)
{
    return i < c ? rf_load(x, t, (size_t)i) : outside;
}

RF_INLINE void row_body(const rf_layernorm_args *a, size_t at, const rf_dtype t)
{
    const int   c = a->c, whole = c / LANES * LANES;
    const void *x = rf_at(a->x, t, at);
    float       sum[LANES] = {0}, shift[LANES] = {0}, squares[LANES] = {0};
    for (int i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++) sum[l] += rf_load(x, t, (size_t)i + l);
    for (int l = 0; l < LANES; l++) sum[l] += lane(x, t, whole + l, c, 0);
    const float centre = (float)(sum_of(sum) / c);
    for (int i = 0; i < whole; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float d = rf_load(x, t, (size_t)i + l) - centre;
            shift[l] += d;
            squares[l] += d * d;
        }
    for (int l = 0; l < LANES; l++) {
        const float d = lane(x, t, whole + l, c, centre) - centre;
        shift[l] += d;
        squares[l] += d * d;
    }
    const double off = sum_of(shift), variance = (sum_of(squares) - off * off / c) / c;
    const float  mean = (float)((double)centre + off / c);
    const float  rstd = (float)(1 / sqrt(fmax(variance, 0) + (double)a->eps));

    void *y = rf_at_mut(a->y, t, at);
    float out[LANES];
    for (int i = 0; i < whole; i += LANES) {
        for (int l = 0; l < LANES; l++)
            out[l] =
                (rf_load(x, t, (size_t)i + l) - mean) * rstd * a->gamma[i + l] + a->beta[i + l];
        rf_narrow_row(rf_at_mut(y, t, (size_t)i), out, t, LANES);
    }
    for (int i = whole; i < c; i++)
        rf_store(y, t, (size_t)i,
                 (rf_load(x, t, (size_t)i) - mean) * rstd * a->gamma[i] + a->beta[i]);
}

RF_INLINE void rows_body(const rf_layernorm_args *a, size_t first, size_t end)
{
    for (size_t r = first; r < end; r++) {
        if (a->dtype == RF_F32)
            row_body(a, r * a->c, RF_F32);
        else if (a->dtype == RF_BF16)
            row_body(a, r * a->c, RF_BF16);
        else
            row_body(a, r * a->c, RF_F16);
    }
}

RF_MULTIVERSION(rows, (const rf_layernorm_args *a, size_t first, size_t end), (a, first, end))

rf_status rf_layernorm_cpu(void *stream, const rf_layernorm_args *a)
{
    if (rf_layernorm_check(a) != RF_OK) return RF_E_SHAPE;
    const int threads = rf_host_threads(stream);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < threads; i++)
        rows(a, (size_t)a->m * i / threads, (size_t)a->m * (i + 1) / threads);
    return RF_OK;
}
