/* W(from) - W(to) is summed from the smallest interval of the tree that holds both times, never as
 * a difference of two paths from the root: half the draws, and nothing large to cancel. */
#include "engine/sample/brownian.h"

#include <math.h>

enum { DEPTH_MAX = 63 }; /* bits of a key; six decimals below 10^9 need 50 */

/* An interval of the tree, and W(b) - W(a). */
typedef struct interval {
    double   a, b;
    uint64_t key;
    uint64_t depth;
    float   *w;
} interval;

typedef struct brownian_walk {
    const rf_brownian *path;
    rf_noise_shape     shape;
    size_t             count;
    float             *noise; /* room for a draw */
} brownian_walk;

double rf_round6(double x)
{
    const double scaled = x * 1e6;
    if (scaled >= 0x1p52) return x;           /* doubles are further apart than 10^-6 */
    const double rest = fma(x, 1e6, -scaled); /* scaled + rest = 10^6 x, without rounding */
    double       whole = floor(scaled);
    const double half = scaled - whole - 0.5; /* exact, and 0 or larger than rest */
    const int    odd = fmod(whole, 2) != 0;
    if (half > 0 || (half == 0 && (rest > 0 || (rest == 0 && odd)))) whole += 1;
    return whole / 1e6;
}

static double middle(const interval *at)
{
    return rf_round6((at->a + at->b) / 2);
}

/* The whole interval; its increment is the draw of the sequence's own first word. */
static void root(const brownian_walk *walk, float *w, interval *at)
{
    const double scale = sqrt(walk->path->t1 - walk->path->t0); /* not rounded there */
    uint32_t     seed = 0;
    rf_seed_sequence(walk->path->seed, NULL, 0, &seed, 1);
    rf_noise_draw(walk->path->source, seed, 0, walk->shape, NULL, w);
    for (size_t i = 0; i < walk->count; i++) w[i] = (float)(scale * w[i]);
    *at = (interval){.a = rf_round6(walk->path->t0), .b = rf_round6(walk->path->t1), .w = w};
}

/* One level down: *at becomes its left or right half, at->w that half's increment.  The other
 * half's is written to `other` if it is not NULL, or added to `sum` if that is not. */
static void descend(const brownian_walk *walk, interval *at, int right, float *other, float *sum)
{
    const double   m = middle(at), width = at->b - at->a, part = (m - at->a) / width;
    const double   deviation = sqrt((m - at->a) * (at->b - m) / width); /* of a Brownian bridge */
    const uint64_t spawn_key[] = {at->key, at->depth};
    uint32_t       seed = 0;
    rf_seed_sequence(walk->path->seed, spawn_key, 2, &seed, 1);
    rf_noise_draw(walk->path->source, seed, 0, walk->shape, NULL, walk->noise);
    for (size_t i = 0; i < walk->count; i++) {
        const float to_left = (float)(part * at->w[i] + deviation * walk->noise[i]);
        const float to_right = at->w[i] - to_left;
        at->w[i] = right ? to_right : to_left;
        if (other) other[i] = right ? to_left : to_right;
        if (sum) sum[i] += right ? to_left : to_right;
    }
    at->key = 2 * at->key + (right ? 1 : 0);
    at->depth++;
    if (right)
        at->a = m;
    else
        at->b = m;
}

/* sum += W(t) - W(a), or with `tail` W(b) - W(t); a <= t <= b. */
static void add_part(const brownian_walk *walk, interval at, double t, int tail, float *sum)
{
    while (t > at.a && t < at.b && at.depth < DEPTH_MAX) {
        const int right = t >= middle(&at);
        descend(walk, &at, right, NULL, right != tail ? sum : NULL);
    }
    if (tail ? t > at.a : t < at.b) return;
    for (size_t i = 0; i < walk->count; i++) sum[i] += at.w[i];
}

/* sum += W(high) - W(low), t0 <= low < high <= t1. */
static void add_increment(const brownian_walk *walk, double low, double high, float *w,
                          float *other, float *sum)
{
    interval at;
    root(walk, w, &at);
    while ((low > at.a || high < at.b) && at.depth < DEPTH_MAX) {
        const double m = middle(&at);
        if (low >= m || high <= m) {
            descend(walk, &at, low >= m, NULL, NULL);
            continue;
        }
        interval right = at;
        right.a = m;
        right.key = 2 * at.key + 1;
        right.depth = at.depth + 1;
        right.w = other;
        descend(walk, &at, 0, other, NULL);
        add_part(walk, at, low, 1, sum);
        add_part(walk, right, high, 0, sum);
        return;
    }
    for (size_t i = 0; i < walk->count; i++) sum[i] += at.w[i];
}

static double inside(const rf_brownian *path, double t)
{
    return fmin(fmax(rf_round6(t), rf_round6(path->t0)), rf_round6(path->t1));
}

void rf_brownian_noise(const rf_brownian *path, double from, double to, rf_noise_shape shape,
                       float *scratch, float *out)
{
    const size_t        count = (size_t)shape.channels * (size_t)shape.h * (size_t)shape.w;
    const brownian_walk walk = {path, shape, count, scratch};
    const double        high = inside(path, from), low = inside(path, to);
    const double        scale = -1 / sqrt(from - to); /* of the times as given, like k-diffusion */
    for (size_t i = 0; i < count; i++) out[i] = 0;
    if (low >= high) return;
    add_increment(&walk, low, high, scratch + count, scratch + 2 * count, out);
    for (size_t i = 0; i < count; i++) out[i] = (float)(scale * out[i]);
}
