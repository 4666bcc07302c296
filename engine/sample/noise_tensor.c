/* A picture's noise is built from whole tensors of a source and nothing else, so it stays the pure
 * function that each of them is. */
#include <math.h>
#include <string.h>

#include "engine/sample/noise.h"

/* One column of one channel: h values, `step` apart. */
typedef struct column {
    const float *a, *b; /* the seed's, the variation seed's */
    float       *out;   /* may be a */
    int          h;
    size_t       step;
} column;

/* Cosine of the angle between the two; 1 where one of them has no direction. */
static double column_cosine(const column *c)
{
    double ab = 0, aa = 0, bb = 0;
    for (int y = 0; y < c->h; y++) {
        const double a = c->a[y * c->step], b = c->b[y * c->step];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    const double norms = sqrt(aa) * sqrt(bb);
    return norms > 0 ? fmin(fmax(ab / norms, -1), 1) : 1;
}

static void column_mix(const column *c, double of_a, double of_b)
{
    for (int y = 0; y < c->h; y++)
        c->out[y * c->step] = (float)(of_a * c->a[y * c->step] + of_b * c->b[y * c->step]);
}

static void column_slerp(const column *c, double strength)
{
    const double angle = acos(column_cosine(c)), sine = sin(angle);
    if (sine > 1e-6)
        column_mix(c, sin((1 - strength) * angle) / sine, sin(strength * angle) / sine);
    else /* parallel, as every column of height 1: there is no arc to follow */
        column_mix(c, 1 - strength, strength);
}

/* a := between a and b, column by column: [h, w, channels] each. */
static void slerp(const rf_noise_spec *spec, rf_noise_shape shape, const float *b, float *a)
{
    const size_t columns = (size_t)shape.w * (size_t)shape.channels;
    double       sum = 0;
    for (size_t i = 0; i < columns; i++)
        sum += column_cosine(&(column){a + i, b + i, NULL, shape.h, columns});
    const int    alike = sum / (double)columns > 0.9995;
    const double t = spec->variation;
    for (size_t i = 0; i < columns; i++) {
        const column c = {a + i, b + i, a + i, shape.h, columns};
        if (!alike)
            column_slerp(&c, t);
        else if (spec->exact_a1111)
            column_mix(&c, t, 1 - t);
        else
            column_mix(&c, 1 - t, t);
    }
}

/* Draw 0 at one size; `other` has room for a tensor if there is a variation. */
static void first_draw(const rf_noise_spec *spec, rf_noise_shape shape, rf_noise_memo *memo,
                       float *other, float *out)
{
    rf_noise_draw(spec->source, spec->seed, 0, shape, memo, out);
    if (spec->variation == 0) return;
    rf_noise_draw(spec->source, spec->variation_seed, 0, shape, NULL, other);
    slerp(spec, shape, other, out);
}

/* floor((big - small) / 2), also where `small` is the bigger one. */
static int margin(int big, int small)
{
    const int apart = big - small;
    return (apart - (apart < 0 && apart % 2 != 0)) / 2;
}

/* Puts `old` into the middle of `out`; what does not fit is left out. */
static void paste(const float *old, rf_noise_shape from, rf_noise_shape to, float *out)
{
    const int top = margin(to.h, from.h), left = margin(to.w, from.w);
    const int first = left < 0 ? -left : 0; /* column of old */
    const int end = from.w + left > to.w ? to.w - left : from.w;
    for (int y = 0; y < from.h; y++) {
        if (y + top < 0 || y + top >= to.h) continue;
        const size_t source = ((size_t)y * from.w + first) * to.channels;
        const size_t target = ((size_t)(y + top) * to.w + first + left) * to.channels;
        memcpy(out + target, old + source, (size_t)(end - first) * to.channels * sizeof *out);
    }
}

static void initial_noise(const rf_noise_spec *spec, rf_noise_shape shape, rf_noise_memo *memo,
                          float *scratch, float *out)
{
    const rf_noise_shape old = {shape.channels, spec->resize_h, spec->resize_w};
    const int            resized = old.h > 0 && old.w > 0 && (old.h != shape.h || old.w != shape.w);
    if (!resized) {
        first_draw(spec, shape, memo, scratch, out);
        return;
    }
    float *other = scratch ? scratch + (size_t)old.channels * old.h * old.w : NULL;
    first_draw(spec, old, NULL, other, scratch);
    rf_noise_draw(spec->source, spec->seed, 0, shape, memo, out);
    paste(scratch, old, shape, out);
}

void rf_noise_tensor(const rf_noise_spec *spec, uint32_t draw, rf_noise_shape shape,
                     rf_noise_memo *memo, float *scratch, float *out)
{
    if (draw == 0)
        initial_noise(spec, shape, memo, scratch, out);
    else if (spec->ensd != 0)
        rf_noise_draw(spec->source, spec->seed + (uint64_t)spec->ensd, draw - 1, shape, memo, out);
    else
        rf_noise_draw(spec->source, spec->seed, draw, shape, memo, out);
}
