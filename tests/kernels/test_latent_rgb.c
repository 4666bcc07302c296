/* latent_rgb: the reference against its formula in f64, and the cpu level's bytes against the
 * reference's. */
#include "kernels/latent_rgb/latent_rgb.h"

#include <math.h>
#include <string.h>

#include "kernels/host.h"
#include "tests/kernels/check.h"
#include "tests/kernels/latent_rgb_case.h"

static const latent_rgb_row rows[] = {RF_LATENT_RGB_SHAPES(LATENT_RGB_ROW)};
enum { ROWS = sizeof rows / sizeof *rows, RAGGED = 1, SMALL_ROWS = 4 };

static rf_status run_cpu(const rf_latent_rgb_args *a, int threads)
{
    rf_host *host = NULL;
    cr_assert_eq(rf_host_create(&host, threads, NULL), RF_OK);
    const rf_status st = rf_latent_rgb_cpu(host, a);
    rf_host_destroy(host);
    return st;
}

/* What the formula gives before it is rounded, and how far f32 can be from it: ten roundings. */
static double exact(const rf_latent_rgb_args *a, int b, int p, int k, double *apart)
{
    const size_t row = (size_t)(a->xrow ? a->xrow[b] : b);
    const float *x = a->x + row * (a->xstride ? a->xstride : (size_t)a->hw * 4) + 4 * (size_t)p;
    double       sum = a->map[12 + k], size = fabs(sum);
    for (int c = 0; c < 4; c++) {
        const double term = (double)a->map[c * 3 + k] * x[c] * a->scale[b];
        sum += term;
        size += fabs(term);
    }
    *apart = 255 * size * 10 * 0x1p-24;
    return fmin(fmax(255 * sum, 0), 255);
}

Test(latent_rgb, the_reference_is_the_formula)
{
    for (int i = 0; i < SMALL_ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int pool = 0; pool < POOLS; pool++) {
                check                   *k = check_begin("latent_rgb", rows[i].name, f, 0);
                const rf_latent_rgb_args a = latent_rgb_args(k, &rows[i], pool, f);
                const uint8_t           *y = a.y;
                int                      middling = 0;
                cr_assert_eq(rf_latent_rgb_ref(NULL, &a), RF_OK);
                for (int e = 0; e < a.n * a.hw * 3; e++) {
                    double       apart;
                    const double want = exact(&a, e / 3 / a.hw, e / 3 % a.hw, e % 3, &apart);
                    cr_assert_leq(fabs(y[e] - want), 0.5 + apart, "%s fill %d pool %d, %d",
                                  rows[i].name, f, pool, e);
                    middling += y[e] > 0 && y[e] < 255;
                }
                if (f == CHECK_NORMAL) cr_expect_geq(middling, a.n * a.hw, "bytes of all sizes");
                CHECK_END(k);
            }
}

Test(latent_rgb, gives_the_bytes_of_the_reference_with_any_threads, .timeout = 60)
{
    static const int threads[] = {1, 2, 3, 8};
    for (int i = 0; i < ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int pool = 0; pool < POOLS; pool++)
                for (int t = 0; t < 4; t++) {
                    if (i >= SMALL_ROWS && (f || t != 1)) continue;
                    check                   *k = check_begin("latent_rgb", rows[i].name, f, 0);
                    const rf_latent_rgb_args a = latent_rgb_args(k, &rows[i], pool, f);
                    cr_expect_eq(run_cpu(&a, threads[t]), RF_OK);
                    cr_expect(latent_rgb_equal(&a), "%s fill %d pool %d", rows[i].name, f, pool);
                    CHECK_END(k);
                }
}

/* Channel 0 alone, to red. */
static const float plain[5 * 3] = {1}, once[1] = {1};

Test(latent_rgb, special_values)
{
    enum { N = 6 };
    const float   x[N * 4] = {NAN, 0, 0, 0, INFINITY, 0, 0, 0, -INFINITY, 0, 0, 0,
                              2,   0, 0, 0, -1,       0, 0, 0, 1,         0, 0, 0};
    const uint8_t want[N] = {0, 255, 0, 255, 0, 255};
    for (int level = 0; level < 2; level++) {
        uint8_t                  y[N * 3];
        const rf_latent_rgb_args a = {.y = y, .x = x, .map = plain, .scale = once, .n = 1, .hw = N};
        cr_assert_eq(level ? run_cpu(&a, 2) : rf_latent_rgb_ref(NULL, &a), RF_OK);
        for (int i = 0; i < N; i++) cr_expect_eq(y[3 * i], want[i], "level %d: %d", level, i);
    }
}

/* Every middle between two bytes that an f32 can hit; and the next f32 above, where it tells. */
Test(latent_rgb, ties_round_to_even)
{
    int ties = 0;
    for (int i = 0; i < 255; i++) {
        const float middle = (float)i + 0.5f;
        float       x[4] = {0};
        for (int level = 0; level < 2; level++)
            for (int step = 0; step < 3; step++) {
                uint8_t                  y[3];
                const rf_latent_rgb_args a = {
                    .y = y, .x = x, .map = plain, .scale = once, .n = 1, .hw = 1};
                x[0] = middle / 255;
                if (step != 1) x[0] = nextafterf(x[0], step ? 2 : 0);
                const float v = 255 * x[0];
                cr_assert_eq(level ? run_cpu(&a, 1) : rf_latent_rgb_ref(NULL, &a), RF_OK);
                cr_expect_eq(y[0], v < middle ? i : v > middle ? i + 1 : i + i % 2, "%d", i);
                ties += v == middle;
            }
    }
    cr_expect_geq(ties, 2 * 255);
}

/* A sample without a row: its picture stays as it was. */
Test(latent_rgb, samples_are_left_out)
{
    enum { HW = 5, N = 3 };
    float         x[2 * HW * 4];
    const float   scale[N] = {1, 1, 1};
    const int32_t xrow[N] = {1, -1, 0};
    for (int i = 0; i < 2 * HW * 4; i++) x[i] = i < HW * 4 ? 0 : 1;
    for (int level = 0; level < 2; level++) {
        uint8_t                  y[N * HW * 3];
        const rf_latent_rgb_args a = {
            .y = y, .x = x, .map = plain, .scale = scale, .xrow = xrow, .n = N, .hw = HW};
        memset(y, 77, sizeof y);
        cr_assert_eq(level ? run_cpu(&a, 2) : rf_latent_rgb_ref(NULL, &a), RF_OK);
        for (int p = 0; p < HW; p++)
            cr_expect(y[3 * p] == 255 && y[3 * (HW + p)] == 77 && y[3 * (2 * HW + p)] == 0);
        cr_expect(y[1] == 0 && y[3 * HW + 1] == 77);
    }
}

/* Planted defects: fused multiply-adds; the bias added last; the scale after the map; the scale of
 * the next sample; truncation. */
static float wrong_sum(const rf_latent_rgb_args *a, int b, const float *x, int k, int defect)
{
    const float scale = a->scale[defect == 3 ? (b + 1) % a->n : b];
    float       sum = defect == 1 ? 0 : a->map[12 + k];
    for (int c = 0; c < 4; c++) {
        const float m = a->map[c * 3 + k], scaled = x[c] * scale, mapped = m * x[c];
        const float term = defect == 2 ? mapped * scale : m * scaled;
        sum = defect == 0 ? fmaf(m, scaled, sum) : sum + term;
    }
    return defect == 1 ? sum + a->map[12 + k] : sum;
}

Test(latent_rgb, defects_are_reported)
{
    enum { DEFECTS = 5, NONE = DEFECTS };
    for (int defect = 0; defect <= DEFECTS; defect++) {
        check                   *k = check_begin("latent_rgb/defect", "edge_ragged", 0, 0);
        const rf_latent_rgb_args a = latent_rgb_args(k, &rows[RAGGED], POOL_NONE, CHECK_NORMAL);
        for (int e = 0; e < a.n * a.hw * 3; e++) {
            const int   b = e / 3 / a.hw;
            const float v = 255 * wrong_sum(&a, b, a.x + (size_t)(e / 3) * 4, e % 3, defect);
            const float bounded = fminf(fmaxf(v, 0), 255);
            a.y[e] = (uint8_t)(defect == 4 ? bounded : rintf(bounded));
        }
        cr_expect_eq(latent_rgb_equal(&a), defect == NONE, "defect %d", defect);
        CHECK_END(k);
    }
}

#define REJECTS(rule, change)                                                                      \
    Test(latent_rgb, rejects_##rule)                                                               \
    {                                                                                              \
        check             *k = check_begin("latent_rgb", #rule, CHECK_NORMAL, 0);                  \
        rf_latent_rgb_args a = latent_rgb_args(k, &rows[RAGGED], POOL_NONE, CHECK_NORMAL);         \
        a.y[0] = 7;                                                                                \
        change;                                                                                    \
        cr_expect_eq(rf_latent_rgb_ref(NULL, &a), RF_E_SHAPE);                                     \
        cr_expect_eq(rf_latent_rgb_cpu(NULL, &a), RF_E_SHAPE);                                     \
        cr_expect_eq(a.y[0], 7, "y was written");                                                  \
        CHECK_END(k);                                                                              \
    }

REJECTS(empty_batch, a.n = 0)
REJECTS(too_many_samples, a.n = RF_LATENT_RGB_SAMPLES + 1)
REJECTS(no_pixels, a.hw = 0)
REJECTS(narrow_rows, a.xstride = 4 * 77 - 1)
