/* One counter block is spent per element and three quarters of it thrown away, because that is what
 * makes an element independent of the tensor's size and of every other element. */
#include "engine/sample/noise.h"

#include <math.h>

#include "engine/sample/mt19937.h"

enum { ROUNDS = 10 }; /* Philox-4x32-10 */

static const uint32_t MULTIPLIER_0 = 0xD2511F53u, MULTIPLIER_1 = 0xCD9E8D57u;
static const uint32_t WEYL_0 = 0x9E3779B9u, WEYL_1 = 0xBB67AE85u; /* golden ratio, sqrt(3) - 1 */

void rf_philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)MULTIPLIER_0 * counter[0];
        const uint64_t p1 = (uint64_t)MULTIPLIER_1 * counter[2];
        counter[0] = (uint32_t)(p1 >> 32) ^ counter[1] ^ key0;
        counter[1] = (uint32_t)p1;
        counter[2] = (uint32_t)(p0 >> 32) ^ counter[3] ^ key1;
        counter[3] = (uint32_t)p0;
        key0 += WEYL_0;
        key1 += WEYL_1;
    }
}

static float nv_element(uint64_t seed, uint32_t draw, uint32_t element)
{
    const double angle = 0x1.921fb6p-30; /* 2 pi 2^-32 as f32: A1111's constant */
    uint32_t     g[4] = {draw, 0, element, 0};
    rf_philox4x32(g, (uint32_t)seed, (uint32_t)(seed >> 32));
    const double u = g[0] * 0x1p-32 + 0x1p-33; /* in (0, 1): the logarithm is finite */
    const double v = g[1] * angle + angle / 2;
    return (float)(sqrt(-2.0 * log(u)) * sin(v));
}

static void draw_nv(uint64_t seed, uint32_t draw, rf_noise_shape shape, rf_noise_memo *memo,
                    float *out)
{
    const uint32_t channels = (uint32_t)shape.channels;
    const uint32_t pixels = (uint32_t)shape.h * (uint32_t)shape.w;
    (void)memo; /* every value is at hand */
    for (uint32_t p = 0; p < pixels; p++)
        for (uint32_t c = 0; c < channels; c++)
            out[(size_t)p * channels + c] = nv_element(seed, draw, c * pixels + p);
}

struct rf_noise_source {
    rf_name id;
    void (*draw)(uint64_t seed, uint32_t draw, rf_noise_shape shape, rf_noise_memo *memo,
                 float *out);
};

static const rf_noise_source SOURCES[] = {
    {.id = {.name = "NV"}, .draw = draw_nv},
    {.id = {.name = "CPU"}, .draw = rf_noise_draw_cpu},
};

rf_status rf_noise_source_find(const rf_noise_source **out, const char *name, rf_error *err)
{
    const rf_name_table table = {"noise source", SOURCES, sizeof *SOURCES,
                                 (int)(sizeof SOURCES / sizeof *SOURCES)};
    const void         *row = NULL;
    const rf_status     st = rf_name_find(&row, &table, name, err);
    *out = (const rf_noise_source *)row;
    return st;
}

const char *rf_noise_source_name(const rf_noise_source *source)
{
    return source->id.name;
}

void rf_noise_draw(const rf_noise_source *source, uint64_t seed, uint32_t draw,
                   rf_noise_shape shape, rf_noise_memo *memo, float *out)
{
    source->draw(seed, draw, shape, memo, out);
}
