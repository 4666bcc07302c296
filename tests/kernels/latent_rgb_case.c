/* See latent_rgb_case.h. */
#include "tests/kernels/latent_rgb_case.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MORE = 2, SAMPLES = 8 }; /* rows that no sample reads; samples at most */

static const float map[5 * 3] = {0.11f, -0.07f, 0.05f,  -0.13f, 0.09f, 0.12f, 0.04f, 0.06f,
                                 0.21f, 0.30f,  -0.22f, 0.17f,  0.55f, 0.45f, 0.5f};

size_t latent_rgb_bytes(const rf_latent_rgb_args *a)
{
    return (size_t)a->n * (size_t)a->hw * 3;
}

size_t latent_rgb_floats(const rf_latent_rgb_args *a)
{
    const size_t rows = (size_t)a->n + (a->xrow ? ROWS_MORE : 0);
    return rows * (a->xstride ? a->xstride : (size_t)a->hw * 4);
}

/* Solves the last channel of pixel p for a sum in the middle between two bytes. */
static void to_the_middle(float *x, float scale, int p)
{
    const int k = p % 3;
    double    sum = map[4 * 3 + k];
    for (int c = 0; c < 3; c++) sum += (double)map[c * 3 + k] * x[c] * scale;
    const double middle = (p * 37 % 255 + 0.5) / 255;
    x[3] = (float)((middle - sum) / ((double)map[3 * 3 + k] * scale));
}

/* A copy of `fill` in which each pixel that a sample reads is near the middle. */
static const float *middles(check *k, const rf_latent_rgb_args *a, const float *fill)
{
    const size_t floats = latent_rgb_floats(a);
    float       *x = malloc(floats * sizeof *x);
    cr_assert_not_null(x);
    memcpy(x, fill, floats * sizeof *x);
    for (int b = 0; b < a->n; b++) {
        const size_t row = (size_t)(a->xrow ? a->xrow[b] : b);
        float       *from = x + row * (a->xstride ? a->xstride : (size_t)a->hw * 4);
        for (int p = 0; p < a->hw; p++) to_the_middle(from + (size_t)p * 4, a->scale[b], p);
    }
    const float *copy = check_input_bytes(k, x, floats * sizeof *x);
    free(x);
    return copy;
}

rf_latent_rgb_args latent_rgb_args(check *k, const latent_rgb_row *r, latent_rgb_pool pool,
                                   check_fill fill)
{
    rf_latent_rgb_args a = {.n = r->n, .hw = r->hw};
    float              scale[SAMPLES];
    int32_t            xrow[SAMPLES];
    cr_assert_leq(a.n, SAMPLES);
    for (int b = 0; b < a.n; b++) {
        scale[b] = 0.25f + 0.3f * (float)b;
        xrow[b] = a.n + ROWS_MORE - 1 - b;
    }
    if (pool != POOL_NONE) {
        a.xrow = check_input_bytes(k, xrow, (size_t)a.n * sizeof *xrow);
        a.xstride = (size_t)a.hw * 4 + (pool == POOL_WIDE ? 8 : 3);
    }
    a.map = check_input_bytes(k, map, sizeof map);
    a.scale = check_input_bytes(k, scale, (size_t)a.n * sizeof *scale);
    a.x = check_input_of(k, RF_F32, latent_rgb_floats(&a), fill);
    if (fill == CHECK_NORMAL) a.x = middles(k, &a, a.x);
    a.y = check_output_bytes(k, latent_rgb_bytes(&a));
    return a;
}

bool latent_rgb_equal(const rf_latent_rgb_args *a)
{
    rf_latent_rgb_args right = *a;
    right.y = malloc(latent_rgb_bytes(a));
    cr_assert_eq(rf_latent_rgb_ref(NULL, &right), RF_OK);
    const bool equal = !memcmp(right.y, a->y, latent_rgb_bytes(a));
    free(right.y);
    return equal;
}
