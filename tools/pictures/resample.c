/* See resample.h. */
#include "tools/pictures/resample.h"

#include <math.h>
#include <stdlib.h>

enum { LOBES = 3 };

static double sinc(double x)
{
    const double pi = 3.14159265358979323846;
    return x == 0 ? 1 : sin(pi * x) / (pi * x);
}

static double lanczos(double x)
{
    return fabs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* Weights of the output place `i`; both grids cover the same length. */
static void fill_place(rf_taps *t, int i, int from, double scale, double reach)
{
    const double centre = (i + 0.5) * scale, widen = scale > 1 ? scale : 1;
    const int    first = clamp((int)floor(centre - reach + 0.5), 0, from - 1);
    const int    end = clamp((int)floor(centre + reach + 0.5), first + 1, from);
    double       sum = 0;
    for (int k = first; k < end; k++) sum += lanczos((k + 0.5 - centre) / widen);
    t->first[i] = first, t->taps[i] = end - first;
    for (int k = first; k < end; k++)
        t->weight[(size_t)i * (size_t)t->most + (size_t)(k - first)] =
            (int32_t)lround(RF_WEIGHT_ONE * lanczos((k + 0.5 - centre) / widen) / sum);
}

rf_status rf_taps_lanczos(rf_taps *out, int from, int to, rf_error *err)
{
    const double scale = (double)from / to, reach = LOBES * (scale > 1 ? scale : 1);
    rf_taps      t = {.count = to, .most = 2 * (int)ceil(reach) + 2};
    t.first = calloc((size_t)to, sizeof *t.first);
    t.taps = calloc((size_t)to, sizeof *t.taps);
    t.weight = calloc((size_t)to * (size_t)t.most, sizeof *t.weight);
    *out = t;
    if (!t.first || !t.taps || !t.weight) {
        rf_taps_release(out);
        return rf_fail(err, RF_E_NOMEM, "no memory to resize a picture");
    }
    for (int i = 0; i < to; i++) fill_place(out, i, from, scale, reach);
    return RF_OK;
}

void rf_taps_release(rf_taps *taps)
{
    free(taps->first);
    free(taps->taps);
    free(taps->weight);
    *taps = (rf_taps){0};
}

/* One value out of the places that begin at `in`, `stride` values apart. */
static uint8_t gather(const uint8_t *in, size_t stride, const int32_t *weight, int taps)
{
    int64_t sum = RF_WEIGHT_ONE / 2;
    for (int k = 0; k < taps; k++) sum += (int64_t)weight[k] * in[(size_t)k * stride];
    if (sum < 0) return 0;
    sum /= RF_WEIGHT_ONE;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

rf_status rf_resample(uint8_t *out, const uint8_t *in, int width, int height, int channels,
                      const rf_taps *x, const rf_taps *y, rf_error *err)
{
    const size_t c = (size_t)channels, row = (size_t)x->count * c;
    uint8_t     *narrow = malloc((size_t)height * row);
    if (!narrow) return rf_fail(err, RF_E_NOMEM, "no memory to resize a picture");
    for (size_t r = 0; r < (size_t)height; r++)
        for (size_t i = 0; i < row; i++) {
            const size_t at = i / c, from = (r * (size_t)width + (size_t)x->first[at]) * c + i % c;
            narrow[r * row + i] =
                gather(in + from, c, x->weight + at * (size_t)x->most, x->taps[at]);
        }
    for (size_t r = 0; r < (size_t)y->count; r++)
        for (size_t i = 0; i < row; i++)
            out[r * row + i] = gather(narrow + (size_t)y->first[r] * row + i, row,
                                      y->weight + r * (size_t)y->most, y->taps[r]);
    free(narrow);
    return RF_OK;
}
