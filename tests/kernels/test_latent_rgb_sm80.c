/* latent_rgb: the sm80 level gives the reference's bytes. */
#include <string.h>

#include "kernels/latent_rgb/latent_rgb.h"
#include "tests/kernels/check.h"
#include "tests/kernels/gpu_case.h"
#include "tests/kernels/latent_rgb_case.h"

static const latent_rgb_row rows[] = {RF_LATENT_RGB_SHAPES(LATENT_RGB_ROW)};
enum { ROWS = sizeof rows / sizeof *rows, RAGGED = 1, SMALL_ROWS = 4 };

/* With host pointers; on the GPU x and y begin so many bytes past what is aligned. */
static rf_status run_sm80(rf_latent_rgb_args a, size_t x_at, size_t y_at, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  samples = (size_t)a.n;
    uint8_t      *y = a.y;
    a.x = gpu_upload_at(a.x, latent_rgb_floats(&a) * sizeof *a.x, x_at);
    a.map = gpu_upload(a.map, 15 * sizeof *a.map);
    a.scale = gpu_upload(a.scale, samples * sizeof *a.scale);
    a.xrow = gpu_upload(a.xrow, samples * sizeof *a.xrow);
    a.y = gpu_upload_at(y, latent_rgb_bytes(&a), y_at);
    const rf_status st = rf_latent_rgb_sm80((void *)gpu, &a);
    gpu_download(y, a.y, latent_rgb_bytes(&a));
    gpu_free_all();
    return st;
}

Test(latent_rgb_sm80, matches_the_bytes_of_the_reference, .timeout = 60)
{
    for (int i = 0; i < ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int pool = 0; pool < POOLS; pool++) {
                if (i >= SMALL_ROWS && (f || (pool + i) % 3)) continue;
                check                   *k = check_begin("latent_rgb_sm80", rows[i].name, f, 0);
                const rf_latent_rgb_args a = latent_rgb_args(k, &rows[i], pool, f);
                const gpu_settings       s = {gpu_limit(f), (uint64_t)pool, 0};
                cr_expect_eq(run_sm80(a, 0, 0, s), RF_OK);
                cr_expect(!gpu_faults()[0], "%s: %s", rows[i].name, gpu_faults());
                cr_expect(latent_rgb_equal(&a), "%s fill %d pool %d", rows[i].name, f, pool);
                CHECK_END(k);
            }
}

/* Floats and bytes wherever they begin, on each of the devices, by two schedules. */
Test(latent_rgb_sm80, needs_no_alignment, .timeout = 60)
{
    static const latent_rgb_row row = {"unaligned", 2, 272};
    for (int i = 0; i < 12; i++) {
        check                   *k = check_begin("latent_rgb_sm80", row.name, CHECK_NORMAL, 0);
        const rf_latent_rgb_args a = latent_rgb_args(k, &row, POOL_NONE, CHECK_NORMAL);
        const size_t             x_at = i % 2 ? 4 : 0, y_at = i / 2 % 2 ? 1 : 0;
        cr_expect_eq(run_sm80(a, x_at, y_at, (gpu_settings){gpu_limit(i), (uint64_t)i / 6, 0}),
                     RF_OK);
        cr_expect(!gpu_faults()[0], "%d: %s", i, gpu_faults());
        cr_expect(latent_rgb_equal(&a), "%d", i);
        CHECK_END(k);
    }
}

/* Whether the picture of a sample without a row stays as it was, and others are drawn. */
static bool leaves_out(gpu_settings s)
{
    enum { HW = 300, N = 3 };
    check               *k = check_begin("latent_rgb_sm80/left_out", "row", CHECK_NORMAL, 0);
    const latent_rgb_row row = {"row", N, HW};
    static const int32_t xrow[N] = {4, -1, 0};
    rf_latent_rgb_args   a = latent_rgb_args(k, &row, POOL_WIDE, CHECK_NORMAL), right = a;
    static uint8_t       want[N * HW * 3];
    a.xrow = right.xrow = xrow;
    right.y = want;
    memset(a.y, 77, sizeof want);
    memset(want, 77, sizeof want);
    cr_assert_eq(rf_latent_rgb_ref(NULL, &right), RF_OK);
    cr_expect_eq(run_sm80(a, 0, 0, s), RF_OK);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());
    const bool right_bytes = !memcmp(want, a.y, sizeof want);
    CHECK_END(k);
    return right_bytes;
}

Test(latent_rgb_sm80, samples_are_left_out)
{
    for (uint64_t seed = 0; seed < 2; seed++)
        cr_expect(leaves_out((gpu_settings){GPU_SHARED_SMALL, seed, 0}));
}

Test(latent_rgb_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { LEFT_OUT_DRAWN = 3, TAIL_WRITTEN = 8, NO_BARRIER, DEFECTS };
    for (int defect = 0; defect < DEFECTS; defect++) {
        const gpu_settings s = {GPU_SHARED_SMALL, 1, defect};
        if (defect == LEFT_OUT_DRAWN) cr_expect_not(leaves_out(s));
        if (defect == LEFT_OUT_DRAWN || (defect >= TAIL_WRITTEN && !gpu_checked())) continue;
        check                   *k = check_begin("latent_rgb_sm80", "defect", CHECK_NORMAL, 0);
        const rf_latent_rgb_args a = latent_rgb_args(k, &rows[RAGGED], POOL_ODD, CHECK_NORMAL);
        run_sm80(a, 0, 0, s);
        cr_expect_eq(!latent_rgb_equal(&a) || gpu_faults()[0], defect != 0, "defect %d", defect);
        CHECK_END(k);
    }
}

/* x once and y once, 16 bytes at a time; the map and a sample's own numbers once a block. */
Test(latent_rgb_sm80, moves_what_it_must)
{
    GPU_EMULATED_ONLY();
    static const latent_rgb_row traffic[] = {{"whole", 2, 1024}, {"tail", 3, 1024 + 16}};
    for (int i = 0; i < 2; i++)
        for (int pool = POOL_NONE; pool <= POOL_WIDE; pool++) {
            check *k = check_begin("latent_rgb_sm80", traffic[i].name, CHECK_NORMAL, 0);
            const rf_latent_rgb_args a = latent_rgb_args(k, &traffic[i], pool, CHECK_NORMAL);
            const double             least = (double)a.n * a.hw * (4 * sizeof(float) + 3);
            run_sm80(a, 0, 0, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
            const emu_counters *c = gpu_counts();
            const double        moved = (double)(c->global_read_bytes + c->global_written_bytes);
            cr_expect_eq((double)c->global_accesses_16 * 16, least);
            cr_expect_leq(moved, 1.15 * least, "%g bytes moved, least %g", moved, least);
            CHECK_END(k);
        }
}

Test(latent_rgb_sm80, rejects_bad_sizes)
{
    const rf_gpu            *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_latent_rgb_args none = {.n = 1, .hw = 0}, many = {.n = 65536, .hw = 1};
    const rf_latent_rgb_args narrow = {.n = 1, .hw = 4, .xstride = 15};
    cr_expect_eq(rf_latent_rgb_sm80((void *)gpu, &none), RF_E_SHAPE);
    cr_expect_eq(rf_latent_rgb_sm80((void *)gpu, &many), RF_E_SHAPE);
    cr_expect_eq(rf_latent_rgb_sm80((void *)gpu, &narrow), RF_E_SHAPE);
}
