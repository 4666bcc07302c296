/* embedding and pixels, the two ends of a picture: the sm80 level against the reference.  embedding
 * rounds one f32 sum, so two ulp bound it; pixels gives the reference's bytes and statistics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/embedding/embedding.h"
#include "kernels/pixels/pixels.h"
#include "tests/kernels/check.h"
#include "tests/kernels/gpu_case.h"

#define SCHEDULE(s, d) ((gpu_settings){gpu_limit(s), (uint64_t)(s), (d)})

static void expect_no_faults(const char *row)
{
    cr_expect(!gpu_faults()[0], "%s: %s", row, gpu_faults());
}

/* ---- embedding ------------------------------------------------------------------------------ */

#define EMBEDDING_ROW(name, m, c, vocab, extras, seq, why) {#name, m, c, vocab, extras, seq},
static const struct embedding_row {
    const char *name;
    int         m, c, vocab, extras, seq;
} embedding_rows[] = {RF_EMBEDDING_SHAPES(EMBEDDING_ROW)};
enum {
    EMBEDDING_ROWS = sizeof embedding_rows / sizeof *embedding_rows,
    ROW_RAGGED = 1,
    ROW_EXTRA = 2
};

static rf_embedding_args embedding_args(check *k, const struct embedding_row *r, rf_dtype dtype,
                                        rf_dtype wdtype)
{
    rf_embedding_args a = {
        .m = r->m, .c = r->c, .vocab = r->vocab, .extras = r->extras, .seq = r->seq};
    if (a.vocab > 500) a.vocab = 500; /* the table's tail is never read here */
    int32_t   id[256];
    const int ids = a.vocab + a.extras;
    for (int i = 0; i < a.m; i++) id[i] = i % 3 == 2 ? ids - 1 - i % (a.extras + 1) : i * 37 % ids;
    a.dtype = dtype, a.wdtype = wdtype;
    a.id = check_input_bytes(k, id, (size_t)a.m * sizeof *id);
    a.table = check_input(k, wdtype, (size_t)a.vocab * (size_t)a.c);
    if (a.extras) a.extra = check_input(k, RF_F32, (size_t)a.extras * (size_t)a.c);
    a.position = check_input(k, RF_F32, (size_t)a.seq * (size_t)a.c);
    a.y = check_output(k, dtype, (size_t)a.m, (size_t)a.c, (size_t)a.c);
    return a;
}

static rf_status embedding_run(rf_embedding_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  c = (size_t)a.c, bytes = (size_t)a.m * c * rf_dtype_bytes(a.dtype);
    void         *y = a.y;
    a.id = gpu_upload(a.id, (size_t)a.m * sizeof *a.id);
    a.table = gpu_upload(a.table, (size_t)a.vocab * c * rf_dtype_bytes(a.wdtype));
    if (a.extras) a.extra = gpu_upload(a.extra, (size_t)a.extras * c * sizeof(float));
    a.position = gpu_upload(a.position, (size_t)a.seq * c * sizeof(float));
    a.y = gpu_upload(y, bytes);
    const rf_status st = rf_embedding_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_free_all();
    return st;
}

static void embedding_compare(check *k, const rf_embedding_args *a)
{
    rf_embedding_args wide = *a;
    float            *ref = check_floats(k, (size_t)a->m * (size_t)a->c);
    wide.dtype = wide.wdtype = RF_F32;
    wide.table = check_widened(k, a->table, CHECK_EXACT);
    wide.y = ref;
    cr_assert_eq(rf_embedding_ref(NULL, &wide), RF_OK);
    check_compare(k, a->y, &(check_bound){.ref = ref}, "row c", a->m, a->c);
}

Test(embedding_sm80, matches_reference, .timeout = 60)
{
    for (int i = 0; i < EMBEDDING_ROWS; i++)
        for (int types = 0; types < RF_DTYPES * RF_DTYPES; types++) {
            const struct embedding_row *r = &embedding_rows[i];
            if (r->m > 50 && types % 4) continue; /* the large rows: equal types */
            check                  *k = check_begin("embedding_sm80", r->name, types % 7, 0);
            const rf_embedding_args a =
                embedding_args(k, r, (rf_dtype)(types / RF_DTYPES), (rf_dtype)(types % RF_DTYPES));
            cr_expect_eq(embedding_run(a, SCHEDULE(types, 0)), RF_OK);
            expect_no_faults(r->name);
            embedding_compare(k, &a);
            CHECK_END(k);
        }
}

/* What the host levels refuse, a GPU cannot see before it is too late: NaN, and no read outside. */
Test(embedding_sm80, ids_out_of_range_give_nan)
{
    static const int32_t bad[] = {0, 11, -1, 10, INT32_MIN};
    check               *k = check_begin("embedding_sm80/ids", "edge_ragged", CHECK_NORMAL, 0);
    rf_embedding_args    a = embedding_args(k, &embedding_rows[ROW_RAGGED], RF_BF16, RF_F16);
    a.id = bad;
    cr_expect_eq(embedding_run(a, SCHEDULE(0, 0)), RF_OK);
    expect_no_faults("ids");
    for (int r = 0; r < a.m; r++)
        for (int c = 0; c < a.c; c++) {
            const float v = rf_load(a.y, a.dtype, (size_t)r * (size_t)a.c + (size_t)c);
            cr_expect_eq(isnan(v) != 0, bad[r] < 0 || bad[r] > 10, "row %d column %d", r, c);
        }
    CHECK_END(k);
}

Test(embedding_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { TAIL_WRITTEN = 3, DEFECTS };
    static const int32_t past[] = {0, 11, 0, 0, 0};
    for (int defect = 0; defect < DEFECTS; defect++) {
        if (defect && !gpu_checked()) continue; /* all of them leave an allocation */
        check            *k = check_begin("embedding_sm80", "edge_ragged", CHECK_NORMAL, 0);
        rf_embedding_args a = embedding_args(k, &embedding_rows[ROW_RAGGED], RF_F16, RF_F16);
        if (defect == 2) a.id = past;
        embedding_run(a, SCHEDULE(0, defect));
        cr_expect_eq(gpu_faults()[0] != 0, defect != 0, "defect %d", defect);
        check_end(k);
    }
}

/* The row after an inversion's vector: a wrong value, and past the last one outside. */
Test(embedding_sm80, wrong_extra_row_is_caught)
{
    GPU_EMULATED_ONLY();
    enum { EXTRA_MISSED = 4 };
    check            *k = check_begin("embedding_sm80", "edge_extra", CHECK_NORMAL, 0);
    rf_embedding_args a = embedding_args(k, &embedding_rows[ROW_EXTRA], RF_F16, RF_F16);
    embedding_run(a, SCHEDULE(0, EXTRA_MISSED));
    if (gpu_checked()) cr_expect(gpu_faults()[0]);
    embedding_compare(k, &a);
    cr_expect(check_end(k).wrong_value);
}

Test(embedding_sm80, moves_16_bytes_at_a_time)
{
    GPU_EMULATED_ONLY();
    static const struct embedding_row row = {"traffic", 4, 64, 10, 0, 2};
    check                            *k = check_begin("embedding_sm80", row.name, CHECK_NORMAL, 0);
    const rf_embedding_args           a = embedding_args(k, &row, RF_F16, RF_F16);
    embedding_run(a, SCHEDULE(0, 0));
    cr_expect_eq(gpu_counts()->global_accesses_16 * 16, 4 * 64 * (2 + 4 + 2));
    CHECK_END(k);
}

Test(embedding_sm80, rejects_bad_sizes)
{
    const rf_gpu           *gpu = gpu_use(SCHEDULE(0, 0));
    const rf_embedding_args none = {.m = 0, .c = 8, .vocab = 1, .seq = 1};
    const rf_embedding_args wide = {.m = 1, .c = 1 << 30, .vocab = 1, .seq = 1};
    cr_expect_eq(rf_embedding_sm80((void *)gpu, &none), RF_E_SHAPE);
    cr_expect_eq(rf_embedding_sm80((void *)gpu, &wide), RF_E_SHAPE);
}

/* ---- pixels --------------------------------------------------------------------------------- */

#define PIXELS_ROW(name, n, hw, why) {#name, n, hw},
static const struct pixels_row {
    const char *name;
    int         n, hw;
} pixels_rows[] = {RF_PIXELS_SHAPES(PIXELS_ROW){"sm80_wide", 2, 1368}, {"sm80_all", 1, 40}};
enum { PIXELS_ROWS = sizeof pixels_rows / sizeof *pixels_rows };

static size_t pixels_bytes(const rf_pixels_args *a)
{
    return (size_t)a->n * (size_t)a->hw * 3;
}

static rf_pixels_args pixels_args(check *k, const struct pixels_row *r, rf_dtype dtype)
{
    rf_pixels_args a = {.n = r->n, .hw = r->hw, .dtype = dtype};
    a.x = check_input(k, dtype, pixels_bytes(&a));
    a.y = check_output_bytes(k, pixels_bytes(&a));
    a.stats = check_output_bytes(k, (size_t)a.n * sizeof *a.stats);
    return a;
}

static void pixels_run(rf_pixels_args a, gpu_settings s)
{
    const rf_gpu    *gpu = gpu_use(s);
    const size_t     bytes = pixels_bytes(&a), stats_bytes = (size_t)a.n * sizeof *a.stats;
    uint8_t         *y = a.y;
    rf_pixels_stats *stats = a.stats;
    a.x = gpu_upload(a.x, bytes * rf_dtype_bytes(a.dtype));
    a.y = gpu_upload(y, bytes);
    a.stats = gpu_upload(stats, stats_bytes);
    rf_pixels_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_download(stats, a.stats, stats_bytes);
    gpu_free_all();
}

/* True if bytes and statistics are the reference's. */
static bool pixels_equal(const rf_pixels_args *a)
{
    const size_t   bytes = pixels_bytes(a), stats_bytes = (size_t)a->n * sizeof *a->stats;
    rf_pixels_args right = *a;
    right.y = malloc(bytes), right.stats = malloc(stats_bytes);
    cr_assert_eq(rf_pixels_ref(NULL, &right), RF_OK);
    const bool equal = !memcmp(right.y, a->y, bytes) && !memcmp(right.stats, a->stats, stats_bytes);
    free(right.y);
    free(right.stats);
    return equal;
}

Test(pixels_sm80, gives_the_bytes_of_the_reference, .timeout = 60)
{
    for (int i = 0; i < PIXELS_ROWS; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            const struct pixels_row *r = &pixels_rows[i];
            if (r->hw > 100000) continue; /* a million threads' work and nothing new */
            check               *k = check_begin("pixels_sm80", r->name, dtype ? i % 7 : 0, 0);
            const rf_pixels_args a = pixels_args(k, r, (rf_dtype)dtype);
            pixels_run(a, SCHEDULE(i, 0));
            expect_no_faults(r->name);
            cr_expect(pixels_equal(&a), "%s", r->name);
            CHECK_END(k);
        }
}

Test(pixels_sm80, all_16_bit_inputs)
{
    static uint16_t x[65538]; /* whole pixels */
    static uint8_t  y[65538];
    rf_pixels_stats stats;
    rf_pixels_args  a = {.y = y, .x = x, .stats = &stats, .n = 1, .hw = 65538 / 3};
    for (int i = 0; i < 65538; i++) x[i] = (uint16_t)i;
    for (int dtype = RF_F16; dtype < RF_DTYPES; dtype++) {
        a.dtype = (rf_dtype)dtype;
        pixels_run(a, SCHEDULE(0, 0));
        expect_no_faults("all");
        cr_expect(pixels_equal(&a));
    }
}

Test(pixels_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { NO_BARRIER = 3, DEFECTS };
    static const struct pixels_row row = {"defect", 1, 1367};
    for (int defect = 0; defect < DEFECTS; defect++) {
        if (defect == NO_BARRIER && !gpu_checked()) continue;
        check               *k = check_begin("pixels_sm80", row.name, CHECK_NORMAL, 0);
        const rf_pixels_args a = pixels_args(k, &row, RF_F16);
        pixels_run(a, SCHEDULE(1, defect));
        cr_expect_eq(!pixels_equal(&a) || gpu_faults()[0], defect != 0, "defect %d", defect);
        check_end(k);
    }
}

Test(pixels_sm80, reads_16_bytes_at_a_time)
{
    GPU_EMULATED_ONLY();
    static const struct pixels_row row = {"traffic", 1, 64};
    check                         *k = check_begin("pixels_sm80", row.name, CHECK_NORMAL, 0);
    const rf_pixels_args           a = pixels_args(k, &row, RF_F16);
    pixels_run(a, SCHEDULE(0, 0));
    cr_expect_eq(gpu_counts()->global_accesses_16 * 16, 64 * 3 * 2);
    CHECK_END(k);
}

Test(pixels_sm80, rejects_bad_sizes)
{
    const rf_gpu        *gpu = gpu_use(SCHEDULE(0, 0));
    const rf_pixels_args none = {.n = 1, .hw = 0};
    cr_expect_eq(rf_pixels_sm80((void *)gpu, &none), RF_E_SHAPE);
}
