/* lincomb: the sm80 level gives the reference's bits. */
#include <math.h>
#include <stdlib.h>

#include "kernels/lincomb/lincomb.h"
#include "tests/kernels/check.h"
#include "tests/kernels/gpu_case.h"

#define ROW(name, n, e, terms, why) {#name, n, e, terms},
static const struct row {
    const char *name;
    int         n, e, terms;
} rows[] = {RF_LINCOMB_SHAPES(ROW){"sm80_block", 2, 1024, 3}, {"sm80_block_more", 2, 1032, 3}};
enum { ROWS = sizeof rows / sizeof *rows };

/* Term j has type (first + j) % 3 and, if odd, skips j rows. */
static rf_lincomb_args args_of(check *k, const struct row *r, int first)
{
    rf_lincomb_args a = {.n = r->n, .e = r->e, .terms = r->terms};
    const size_t    e = (size_t)r->e, elems = (size_t)r->n * e;
    a.ydtype = (rf_dtype)(first % RF_DTYPES);
    for (int j = 0; j < a.terms; j++) {
        a.xdtype[j] = (rf_dtype)((first + j) % RF_DTYPES);
        a.row_off[j] = j % 2 ? j : 0;
        a.x[j] = check_input(k, a.xdtype[j], (size_t)(a.n + a.row_off[j]) * e);
    }
    a.coef = check_input_of(k, RF_F32, (size_t)a.n * (size_t)a.terms, CHECK_NORMAL);
    a.y = check_output(k, a.ydtype, 1, elems, elems);
    return a;
}

/* With host pointers; y comes back, and is x[0] if it was. */
static void run_sm80(rf_lincomb_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  e = (size_t)a.e, bytes = (size_t)a.n * e * rf_dtype_bytes(a.ydtype);
    void         *y = a.y;
    a.y = gpu_upload(y, bytes);
    for (int j = 0; j < a.terms; j++)
        a.x[j] = a.x[j] == y ? a.y
                             : gpu_upload(a.x[j], (size_t)(a.n + a.row_off[j]) * e *
                                                      rf_dtype_bytes(a.xdtype[j]));
    a.coef = gpu_upload(a.coef, (size_t)a.n * (size_t)a.terms * sizeof(float));
    rf_lincomb_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_free_all();
}

static void compare(check *k, const rf_lincomb_args *a)
{
    rf_lincomb_args right = *a;
    right.y = check_floats(k, (size_t)a->n * (size_t)a->e);
    cr_assert_eq(rf_lincomb_ref(NULL, &right), RF_OK);
    check_compare_bits(k, a->y, right.y, "n element", a->n, a->e);
}

Test(lincomb_sm80, gives_the_bits_of_the_reference, .timeout = 60)
{
    for (int i = 0; i < ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int first = 0; first < RF_DTYPES; first++) {
                const struct row *r = &rows[i];
                if (r->e > 2000 && (f || first)) continue;
                check *k = check_begin("lincomb_sm80", r->name, f, 20.0 * r->n * r->e * r->terms);
                if (!k) continue;
                const rf_lincomb_args a = args_of(k, r, first);
                run_sm80(a, (gpu_settings){gpu_limit(f), (uint64_t)f, 0});
                cr_expect(!gpu_faults()[0], "%s: %s", r->name, gpu_faults());
                compare(k, &a);
                CHECK_END(k);
            }
}

/* Each term once, y once, 16 bytes at a time; and a coefficient per term and thread, which a cache
 * has. */
Test(lincomb_sm80, moves_an_element_once)
{
    GPU_EMULATED_ONLY();
    static const struct row r = {"traffic", 2, 4096, 3};
    for (int first = 0; first < RF_DTYPES; first++) {
        check                *k = check_begin("lincomb_sm80", r.name, CHECK_NORMAL, 0);
        const rf_lincomb_args a = args_of(k, &r, first);
        const double          elems = (double)r.n * r.e;
        double                least = elems * (double)rf_dtype_bytes(a.ydtype);
        for (int j = 0; j < r.terms; j++) least += elems * (double)rf_dtype_bytes(a.xdtype[j]);
        run_sm80(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
        const emu_counters *c = gpu_counts();
        cr_expect_eq((double)c->global_accesses_16 * 16, least);
        const double moved = (double)(c->global_read_bytes + c->global_written_bytes);
        cr_expect_leq(moved, 1.15 * least, "%g bytes moved, least %g", moved, least);
        CHECK_END(k);
    }
}

Test(lincomb_sm80, works_in_place)
{
    for (int i = 0; i < 3; i++) {
        check          *k = check_begin("lincomb_sm80/in_place", rows[i].name, CHECK_NORMAL, 0);
        rf_lincomb_args a = args_of(k, &rows[i], 1), b = a;
        b.y = check_output_from(k, a.ydtype, a.x[0], (size_t)a.n * (size_t)a.e);
        b.x[0] = b.y;
        run_sm80(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
        run_sm80(b, (gpu_settings){GPU_SHARED_SMALL, 7, 0});
        check_compare_bits(k, b.y, a.y, "n element", a.n, a.e);
        CHECK_END(k);
    }
}

/* Every sample has rows of its own, in one pool that is wider than what is combined: y is the last
 * row it reads.  What is left out takes no part: what lies there may be NaN. */
enum { POOL_ROWS = 9, POOL_TERMS = 3, POOL_N = 3 };

/* Runs on a pool of rows of e elements, `stride` apart; both pools, run's and reference's. */
static void pool_run(int e, int stride, gpu_settings s, float *got, float *want)
{
    static const int32_t xrow[POOL_N * POOL_TERMS] = {4, -1, 0, 5, 6, 1, -1, -1, -1};
    static const int32_t yrow[POOL_N] = {0, 1, 2};
    static const float   coef[POOL_N * POOL_TERMS] = {0.3f, 9, -1.7f, 1.1f, 0.7f, 0.9f, 5, 5, 5};
    const int            elems = POOL_ROWS * stride;
    for (int i = 0; i < elems; i++) want[i] = (float)(i * 37 % 1009 - 500) / 64;
    for (int i = 0; i < stride; i++) want[8 * stride + i] = want[2 * stride + i] = NAN;
    rf_lincomb_args a = {.y = want, .x = {want, want, want}, .coef = coef, .xrow = xrow};
    a.yrow = yrow, a.n = POOL_N, a.e = e, a.terms = POOL_TERMS, a.ydtype = RF_F32;
    a.ystride = (size_t)stride;
    for (int j = 0; j < POOL_TERMS; j++) a.xdtype[j] = RF_F32, a.xstride[j] = (size_t)stride;

    const rf_gpu   *gpu = gpu_use(s);
    rf_lincomb_args on_gpu = a;
    on_gpu.y = gpu_upload(want, (size_t)elems * sizeof(float));
    for (int j = 0; j < POOL_TERMS; j++) on_gpu.x[j] = on_gpu.y;
    on_gpu.coef = gpu_upload(coef, sizeof coef);
    on_gpu.xrow = gpu_upload(xrow, sizeof xrow);
    on_gpu.yrow = gpu_upload(yrow, sizeof yrow);
    rf_lincomb_sm80((void *)gpu, &on_gpu);
    gpu_download(got, on_gpu.y, (size_t)elems * sizeof(float));
    gpu_free_all();
    cr_assert_eq(rf_lincomb_ref(NULL, &a), RF_OK);
}

static bool pool_equal(int e, int stride, gpu_settings s)
{
    const int elems = POOL_ROWS * stride;
    float    *got = malloc((size_t)elems * sizeof *got);
    float    *want = malloc((size_t)elems * sizeof *want);
    bool      equal = true;
    pool_run(e, stride, s, got, want);
    for (int i = 0; i < elems; i++)
        equal = equal && rf_bits_from_f32(got[i]) == rf_bits_from_f32(want[i]);
    free(got);
    free(want);
    return equal;
}

Test(lincomb_sm80, rows_come_from_tables)
{
    static const struct {
        int e, stride;
    } pools[] = {{1048, 1056}, {77, 80}, {80, 83}, {16, 16}};
    for (int i = 0; i < 4; i++) {
        cr_expect(
            pool_equal(pools[i].e, pools[i].stride, (gpu_settings){gpu_limit(i), (uint64_t)i, 0}),
            "pool %d", i);
        cr_expect(!gpu_faults()[0], "pool %d: %s", i, gpu_faults());
    }
}

Test(lincomb_sm80, planted_defects_of_tables_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { LEFT_OUT_READ = 3, STRIDE_LOST };
    for (int defect = LEFT_OUT_READ; defect <= STRIDE_LOST; defect++)
        cr_expect_not(pool_equal(77, 80, (gpu_settings){GPU_SHARED_SMALL, 0, defect}), "defect %d",
                      defect);
}

/* What is not finite once it is rounded is told of, in whichever block of whichever sample it
 * stands; nothing is stored for other samples.  Whether all flags are the reference's. */
static bool flags_right(int e, int type, gpu_settings s)
{
    enum { N = 5, RIGHT = 7 };
    const float   one[N] = {1, 1, 1, 1, 1};
    const int32_t none[N] = {RIGHT};
    int32_t       got[N], want[N] = {RIGHT};
    const size_t  elems = (size_t)N * (size_t)e, bytes = elems * sizeof(float);
    float        *x = calloc(elems, sizeof *x), *y = malloc(bytes);
    for (int i = 0; i < e; i += 100) x[e + i] = NAN; /* blocks say the same */
    x[3 * e - 1] = -INFINITY;
    x[3 * e + e / 2] = 65520; /* infinite in f16 alone */
    x[4 * e + e / 2] = 65519;
    rf_lincomb_args a = {.y = y, .x = {x}, .coef = one, .bad = want, .n = N, .e = e, .terms = 1};
    a.ydtype = (rf_dtype)type;
    cr_assert_eq(rf_lincomb_ref(NULL, &a), RF_OK);

    const rf_gpu *gpu = gpu_use(s);
    a.x[0] = gpu_upload(x, bytes);
    a.y = gpu_unwritten(bytes);
    a.coef = gpu_upload(one, sizeof one);
    a.bad = gpu_upload(none, sizeof none);
    rf_lincomb_sm80((void *)gpu, &a);
    gpu_download(got, a.bad, sizeof got);
    gpu_free_all();
    free(x), free(y);
    bool right = true;
    for (int i = 0; i < N; i++) right = right && got[i] == want[i];
    return right;
}

Test(lincomb_sm80, tells_which_samples_are_not_finite)
{
    static const int sizes[] = {8, 77, 4096};
    for (int i = 0; i < 3; i++)
        for (int type = 0; type < RF_DTYPES; type++) {
            cr_expect(flags_right(sizes[i], type, (gpu_settings){GPU_SHARED_SMALL, 3, 0}),
                      "%d elements of type %d", sizes[i], type);
            cr_expect(!gpu_faults()[0], "%d elements: %s", sizes[i], gpu_faults());
        }
}

Test(lincomb_sm80, planted_defects_of_flags_are_caught)
{
    enum { BAD_UNROUNDED = 6, BAD_NEIGHBOUR };
    for (int defect = BAD_UNROUNDED; defect <= BAD_NEIGHBOUR; defect++)
        cr_expect_not(flags_right(77, RF_F16, (gpu_settings){GPU_SHARED_SMALL, 0, defect}),
                      "defect %d", defect);
}

Test(lincomb_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { NEIGHBOUR_COEF = 1, OFFSET_LOST, TABLES = 3, TAIL_WRITTEN = 5, DEFECTS };
    static const struct row row = {"defect", 3, 77, 3};
    for (int defect = 0; defect < DEFECTS; defect++) {
        if (defect == TAIL_WRITTEN && !gpu_checked()) continue;
        if (defect >= TABLES && defect < TAIL_WRITTEN) continue; /* above */
        check                *k = check_begin("lincomb_sm80", row.name, CHECK_NORMAL, 0);
        const rf_lincomb_args a = args_of(k, &row, 0);
        run_sm80(a, (gpu_settings){GPU_SHARED_SMALL, 0, defect});
        compare(k, &a);
        const bool wrong = check_end(k).wrong_value, fault = gpu_faults()[0];
        cr_expect_eq(wrong || fault, defect != 0, "defect %d", defect);
    }
}

/* Every term once, the result once, 16 bytes at a time; the coefficients come besides. */
Test(lincomb_sm80, moves_what_it_must)
{
    GPU_EMULATED_ONLY();
    static const struct row row = {"traffic", 2, 2048, 3};
    check                  *k = check_begin("lincomb_sm80", row.name, CHECK_NORMAL, 0);
    const rf_lincomb_args   a = args_of(k, &row, 0);
    run_sm80(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const uint64_t elems = (uint64_t)row.n * (uint64_t)row.e;
    cr_expect_eq(gpu_counts()->global_accesses_16 * 16, elems * (4 + 2 + 2 + 4));
    CHECK_END(k);
}

Test(lincomb_sm80, rejects_bad_sizes)
{
    const rf_gpu         *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_lincomb_args good = {.n = 1, .e = 4, .terms = 1};
    rf_lincomb_args       a = good;
    a.n = 65536;
    cr_expect_eq(rf_lincomb_sm80((void *)gpu, &a), RF_E_SHAPE);
    a = good, a.terms = RF_LINCOMB_TERMS + 1;
    cr_expect_eq(rf_lincomb_sm80((void *)gpu, &a), RF_E_SHAPE);
    a = good, a.e = 0;
    cr_expect_eq(rf_lincomb_sm80((void *)gpu, &a), RF_E_SHAPE);
}
