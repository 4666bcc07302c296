/* A draw's values go straight to their place in the latent, sixteen at a time, so that a tensor
 * needs no copy in torch's element order.  Where torch computes in f32, so do we, but each step is
 * evaluated in f64 and rounded: cosf and logf differ between C libraries, their f64 kin hardly. */
#include "engine/sample/mt19937.h"

#include <math.h>
#include <string.h>

enum { WORDS = 624, MIDDLE = 397, BLOCK = 16 };

void rf_mt19937_seed(rf_mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++) {
        const uint32_t before = mt->state[i - 1];
        mt->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
    mt->left = 0;
}

static void twist(rf_mt19937 *mt)
{
    uint32_t *s = mt->state;
    for (int i = 0; i < WORDS; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % WORDS] & 0x7FFFFFFFu);
        s[i] = s[(i + MIDDLE) % WORDS] ^ (y >> 1) ^ (y & 1u ? 0x9908B0DFu : 0u);
    }
    mt->left = WORDS;
}

uint32_t rf_mt19937_next(rf_mt19937 *mt)
{
    if (mt->left == 0) twist(mt);
    uint32_t y = mt->state[WORDS - mt->left--];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    return y ^ (y >> 18);
}

void rf_mt19937_skip(rf_mt19937 *mt, uint64_t words)
{
    while (words > (uint64_t)mt->left) {
        words -= (uint64_t)mt->left;
        twist(mt);
    }
    mt->left -= (int)words;
}

/* Where element e of a [channels, h, w] tensor lies, channels last. */
static size_t place(rf_noise_shape shape, uint32_t e)
{
    const uint32_t pixels = (uint32_t)shape.h * (uint32_t)shape.w;
    return (size_t)(e % pixels) * (uint32_t)shape.channels + e / pixels;
}

/* Sixteen uniforms of 24 bits to the normals of elements first .. first+15; all in f32. */
static void draw_block(rf_mt19937 *mt, rf_noise_shape shape, uint32_t first, float *out)
{
    float uniform[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        uniform[i] = (float)(rf_mt19937_next(mt) & 0xFFFFFFu) * 0x1p-24f;
    for (uint32_t i = 0; i < BLOCK / 2; i++) {
        const double u = 1 - (double)uniform[i]; /* exact, in (0, 1]: the logarithm is finite */
        const float  radius = sqrtf(-2.0f * (float)log(u));
        const double angle = 0x1.921fb6p+2f * uniform[i + BLOCK / 2]; /* 2 pi and product in f32 */
        out[place(shape, first + i)] = radius * (float)cos(angle);
        out[place(shape, first + i + BLOCK / 2)] = radius * (float)sin(angle);
    }
}

/* Sixteen values or more.  If they do not fill whole blocks, the last sixteen are drawn afresh
 * after uniforms for all of them have been spent. */
static void draw_blocks(rf_mt19937 *mt, rf_noise_shape shape, uint32_t count, float *out)
{
    uint32_t e = 0;
    for (; e + BLOCK <= count; e += BLOCK) draw_block(mt, shape, e, out);
    if (e == count) return;
    rf_mt19937_skip(mt, count - e);
    draw_block(mt, shape, count - BLOCK, out);
}

static double uniform53(rf_mt19937 *mt)
{
    const uint64_t high = rf_mt19937_next(mt);
    return (double)((high << 32 | rf_mt19937_next(mt)) & ((1ull << 53) - 1)) * 0x1p-53;
}

/* Fewer than sixteen values: pairs in f64, whose second half waits for the next value, even if that
 * is the first of the next draw. */
static void draw_pairs(uint64_t seed, uint32_t draw, rf_noise_shape shape, uint32_t count,
                       float *out)
{
    const uint64_t first = (uint64_t)draw * count; /* value number of element 0 */
    rf_mt19937     mt;
    double         radius = 0, angle = 0;
    rf_mt19937_seed(&mt, (uint32_t)seed);
    rf_mt19937_skip(&mt, first / 2 * 4);
    for (uint64_t i = first / 2 * 2; i < first + count; i++) {
        if (i % 2 == 0) {
            angle = 0x1.921fb54442d18p+2 * uniform53(&mt); /* 2 pi */
            radius = sqrt(-2 * log1p(-uniform53(&mt)));
        }
        const double value = radius * (i % 2 == 0 ? cos(angle) : sin(angle));
        if (i >= first) out[place(shape, (uint32_t)(i - first))] = (float)value;
    }
}

static int memo_helps(const rf_noise_memo *memo, uint64_t seed, uint32_t draw, uint32_t count)
{
    return memo && memo->elements == count && memo->seed == seed && memo->draw <= draw;
}

void rf_noise_draw_cpu(uint64_t seed, uint32_t draw, rf_noise_shape shape, rf_noise_memo *memo,
                       float *out)
{
    const uint32_t count = (uint32_t)shape.channels * (uint32_t)shape.h * (uint32_t)shape.w;
    const uint64_t words = count + (count % BLOCK ? BLOCK : 0); /* that one draw spends */
    rf_mt19937     mt;
    uint32_t       at = 0; /* the draw that begins where mt stands */
    if (count < BLOCK) {
        draw_pairs(seed, draw, shape, count, out);
        return;
    }
    if (memo_helps(memo, seed, draw, count)) {
        memcpy(mt.state, memo->state, sizeof mt.state);
        mt.left = memo->left;
        at = memo->draw;
    } else {
        rf_mt19937_seed(&mt, (uint32_t)seed);
    }
    rf_mt19937_skip(&mt, words * (draw - at));
    draw_blocks(&mt, shape, count, out);
    if (!memo || draw == UINT32_MAX) return;
    *memo = (rf_noise_memo){.seed = seed, .draw = draw + 1, .elements = count, .left = mt.left};
    memcpy(memo->state, mt.state, sizeof mt.state);
}
