/* embedding, timestep, resize, lincomb, pixels: the cpu level against the reference.
 *
 * resize, lincomb and pixels are compared bit for bit; embedding rounds one f32 sum and timestep
 * one f64 value, so neither has a naive error and 2 ulp of the output bound both. */
#include <math.h>
#include <stdlib.h>

#include "kernels/embedding/embedding.h"
#include "kernels/host.h"
#include "kernels/lincomb/lincomb.h"
#include "kernels/pixels/pixels.h"
#include "kernels/resize/resize.h"
#include "kernels/timestep/timestep.h"
#include "tests/kernels/check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const int thread_counts[] = {1, 2, 3, 8};

static rf_host *host_of(int threads)
{
    rf_host *host = NULL;
    cr_assert_eq(rf_host_create(&host, threads, NULL), RF_OK);
    return host;
}

/* ---- embedding ---- */

#define EMBEDDING_ROW(name, m, c, vocab, extras, seq, why) {#name, m, c, vocab, extras, seq},
static const struct {
    const char *name;
    int         m, c, vocab, extras, seq;
} embedding_rows[] = {RF_EMBEDDING_SHAPES(EMBEDDING_ROW)};

static rf_embedding_args embedding_args(check *k, size_t i, rf_dtype dtype, rf_dtype wdtype)
{
    rf_embedding_args a = {.m = embedding_rows[i].m,
                           .c = embedding_rows[i].c,
                           .vocab = embedding_rows[i].vocab,
                           .extras = embedding_rows[i].extras,
                           .seq = embedding_rows[i].seq,
                           .dtype = dtype,
                           .wdtype = wdtype};
    if (a.vocab > 1000) a.vocab = 1000; /* the table's tail is never read here */
    int32_t  *id = malloc((size_t)a.m * sizeof *id);
    const int ids = a.vocab + a.extras;
    for (int r = 0; r < a.m; r++) id[r] = r % 3 == 2 ? ids - 1 - r % (a.extras + 1) : r * 37 % ids;
    a.id = check_input_bytes(k, id, (size_t)a.m * sizeof *id);
    free(id);
    a.table = check_input(k, wdtype, (size_t)a.vocab * a.c);
    if (a.extras) a.extra = check_input(k, RF_F32, (size_t)a.extras * a.c);
    a.position = check_input(k, RF_F32, (size_t)a.seq * a.c);
    a.y = check_output(k, dtype, 1, (size_t)a.m * a.c, (size_t)a.m * a.c);
    return a;
}

static void embedding_compare(check *k, const rf_embedding_args *a)
{
    float            *ref = check_floats(k, (size_t)a->m * a->c);
    rf_embedding_args wide = *a;
    wide.dtype = wide.wdtype = RF_F32;
    wide.table = check_widened(k, a->table, CHECK_EXACT);
    wide.y = ref;
    cr_assert_eq(rf_embedding_ref(NULL, &wide), RF_OK);
    check_compare(k, a->y, &(check_bound){.ref = ref}, "row c", a->m, a->c);
}

Test(embedding, matches_reference, .timeout = 30)
{
    for (size_t i = 0; i < COUNT(embedding_rows); i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int types = 0; types < RF_DTYPES * RF_DTYPES; types++) {
                if (i >= 3 && (f || types % 4)) continue; /* the large rows: equal types once */
                check                  *k = check_begin("embedding", embedding_rows[i].name, f, 0);
                const rf_embedding_args a = embedding_args(k, i, (rf_dtype)(types / RF_DTYPES),
                                                           (rf_dtype)(types % RF_DTYPES));
                cr_expect_eq(rf_embedding_cpu(NULL, &a), RF_OK);
                embedding_compare(k, &a);
                CHECK_END(k);
            }
}

/* Planted defects: the position of the next row; the token of the next row; the table's first rows
 * as extra ones. */
Test(embedding, defects_are_reported)
{
    for (int defect = 0; defect < 3; defect++) {
        check            *k = check_begin("embedding/defect", "edge_extra", CHECK_NORMAL, 0);
        rf_embedding_args a = embedding_args(k, 2, RF_BF16, RF_F32), wrong = a;
        if (defect == 2)
            wrong.extra = a.table;
        else if (defect)
            wrong.id++, wrong.m--;
        else
            wrong.position = a.position + a.c, wrong.seq--;
        cr_expect_eq(rf_embedding_cpu(NULL, &wrong), RF_OK);
        embedding_compare(k, &a);
        cr_expect(check_end(k).wrong_value, "defect %d", defect);
    }
}

#define EMBEDDING_REJECTS(rule, change)                                                            \
    Test(embedding, rejects_##rule)                                                                \
    {                                                                                              \
        check            *k = check_begin("embedding", #rule, CHECK_NORMAL, 0);                    \
        rf_embedding_args a = embedding_args(k, 1, RF_BF16, RF_BF16);                              \
        const int32_t     bad[] = {0, 11, 0, -1, 0};                                               \
        (void)bad;                                                                                 \
        change;                                                                                    \
        cr_expect_eq(rf_embedding_ref(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_embedding_cpu(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(*(uint16_t *)a.y, 0xFFFF, "y was written");                                   \
        CHECK_END(k);                                                                              \
    }

EMBEDDING_REJECTS(id_past_the_vocabulary, (a.id = bad, a.m = 2))
EMBEDDING_REJECTS(negative_id, (a.id = bad + 2, a.m = 2))
EMBEDDING_REJECTS(id_past_the_extras, (a.extras = 1, a.id = bad, a.vocab = 10, a.m = 2))
EMBEDDING_REJECTS(extras_below_none, a.extras = -1)
EMBEDDING_REJECTS(no_rows, a.m = 0)
EMBEDDING_REJECTS(no_positions, a.seq = 0)
EMBEDDING_REJECTS(unknown_weight_type, a.wdtype = RF_DTYPES)

/* ---- timestep ---- */

#define TIMESTEP_ROW(name, m, dim, y_stride, why) {#name, m, dim, y_stride},
static const struct {
    const char *name;
    int         m, dim, y_stride;
} timestep_rows[] = {RF_TIMESTEP_SHAPES(TIMESTEP_ROW)};

static rf_timestep_args timestep_args(check *k, size_t i, rf_dtype dtype)
{
    rf_timestep_args a = {.m = timestep_rows[i].m,
                          .dim = timestep_rows[i].dim,
                          .y_stride = timestep_rows[i].y_stride,
                          .dtype = dtype};
    float            value[64];
    for (int r = 0; r < a.m; r++) value[r] = r ? 999.0f - 31.7f * (float)r : 999.0f;
    a.value = check_input_bytes(k, value, (size_t)a.m * sizeof *value);
    a.y = check_output(k, dtype, (size_t)a.m, (size_t)a.dim, (size_t)a.y_stride);
    return a;
}

static void timestep_compare(check *k, const rf_timestep_args *a)
{
    float           *ref = check_floats(k, (size_t)a->m * a->dim);
    rf_timestep_args wide = *a;
    wide.dtype = RF_F32, wide.y_stride = a->dim, wide.y = ref;
    cr_assert_eq(rf_timestep_ref(NULL, &wide), RF_OK);
    check_compare(k, a->y, &(check_bound){.ref = ref}, "row column", a->m, a->dim);
}

Test(timestep, matches_reference)
{
    for (size_t i = 0; i < COUNT(timestep_rows); i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
            check *k = check_begin("timestep", timestep_rows[i].name, CHECK_NORMAL, 0);
            const rf_timestep_args a = timestep_args(k, i, (rf_dtype)dtype);
            cr_expect_eq(rf_timestep_cpu(NULL, &a), RF_OK);
            timestep_compare(k, &a);
            CHECK_END(k);
        }
}

/* The reference itself, against values of the formula worked out by hand: 10000^(-i/2). */
Test(timestep, reference_is_cosines_then_sines)
{
    float                  y[4];
    const float            value = 3;
    const rf_timestep_args a = {.y = y, .value = &value, .m = 1, .dim = 4, .y_stride = 4};
    cr_assert_eq(rf_timestep_ref(NULL, &a), RF_OK);
    cr_expect_float_eq(y[0], cosf(3), 1e-6);
    cr_expect_float_eq(y[1], cosf(0.03f), 1e-6);
    cr_expect_float_eq(y[2], sinf(3), 1e-6);
    cr_expect_float_eq(y[3], sinf(0.03f), 1e-6);
}

/* A planted defect: frequencies that divide by half - 1, as another convention has it. */
Test(timestep, defects_are_reported)
{
    check           *k = check_begin("timestep/defect", "unet_size", CHECK_NORMAL, 0);
    rf_timestep_args a = timestep_args(k, 3, RF_BF16);
    const int        half = a.dim / 2;
    for (int r = 0; r < a.m; r++)
        for (int i = 0; i < half; i++) {
            const double angle = (double)a.value[r] * pow(10000, -(double)i / (half - 1));
            rf_store(a.y, a.dtype, (size_t)r * a.y_stride + i, (float)cos(angle));
            rf_store(a.y, a.dtype, (size_t)r * a.y_stride + half + i, (float)sin(angle));
        }
    timestep_compare(k, &a);
    cr_expect(check_end(k).wrong_value);
}

#define TIMESTEP_REJECTS(rule, change)                                                             \
    Test(timestep, rejects_##rule)                                                                 \
    {                                                                                              \
        check           *k = check_begin("timestep", #rule, CHECK_NORMAL, 0);                      \
        rf_timestep_args a = timestep_args(k, 1, RF_F32);                                          \
        change;                                                                                    \
        cr_expect_eq(rf_timestep_ref(NULL, &a), RF_E_SHAPE);                                       \
        cr_expect_eq(rf_timestep_cpu(NULL, &a), RF_E_SHAPE);                                       \
        cr_expect(isnan(*(float *)a.y), "y was written");                                          \
        CHECK_END(k);                                                                              \
    }

TIMESTEP_REJECTS(no_rows, a.m = 0)
TIMESTEP_REJECTS(odd_dim, a.dim = 9)
TIMESTEP_REJECTS(no_dim, a.dim = 0)
TIMESTEP_REJECTS(short_stride, a.y_stride = a.dim - 1)

/* ---- resize ---- */

#define RESIZE_ROW(name, n, h, w, c, ho, wo, why) {#name, n, h, w, c, ho, wo},
static const struct {
    const char *name;
    int         n, h, w, c, ho, wo;
} resize_rows[] = {RF_RESIZE_SHAPES(RESIZE_ROW)};

static rf_resize_args resize_args(check *k, size_t i, rf_dtype dtype)
{
    rf_resize_args a = {.n = resize_rows[i].n,
                        .h = resize_rows[i].h,
                        .w = resize_rows[i].w,
                        .c = resize_rows[i].c,
                        .ho = resize_rows[i].ho,
                        .wo = resize_rows[i].wo,
                        .dtype = dtype};
    const size_t   elems = (size_t)a.n * a.ho * a.wo * a.c;
    a.x = check_input_of(k, dtype, (size_t)a.n * a.h * a.w * a.c, CHECK_NORMAL);
    a.y = check_output(k, dtype, 1, elems, elems);
    return a;
}

static void resize_compare(check *k, const rf_resize_args *a)
{
    rf_resize_args right = *a;
    right.y = check_floats(k, (size_t)a->n * a->ho * a->wo * a->c);
    cr_assert_eq(rf_resize_ref(NULL, &right), RF_OK);
    check_compare_bits(k, a->y, right.y, "n h w c", a->n, a->ho, a->wo, a->c);
}

Test(resize, matches_reference_with_any_threads, .timeout = 30)
{
    for (size_t i = 0; i < COUNT(resize_rows); i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype++)
            for (size_t t = 0; t < COUNT(thread_counts); t++) {
                if (i >= 4 && (dtype || t > 1)) continue;
                check               *k = check_begin("resize", resize_rows[i].name, 0, 0);
                const rf_resize_args a = resize_args(k, i, (rf_dtype)dtype);
                rf_host             *host = host_of(thread_counts[t]);
                cr_expect_eq(rf_resize_cpu(host, &a), RF_OK);
                resize_compare(k, &a);
                rf_host_destroy(host);
                CHECK_END(k);
            }
}

/* Planted defect: rounding to the nearest centre instead of down, an offset of one. */
Test(resize, defects_are_reported)
{
    check               *k = check_begin("resize/defect", "edge_up", CHECK_NORMAL, 0);
    const rf_resize_args a = resize_args(k, 1, RF_F32);
    float               *y = a.y;
    for (int p = 0; p < a.n * a.ho * a.wo; p++)
        for (int c = 0; c < a.c; c++) {
            const int b = p / (a.ho * a.wo), i = p / a.wo % a.ho, j = p % a.wo;
            const int row = (2 * i + 1) * a.h / (2 * a.ho), column = j * a.w / a.wo;
            y[p * a.c + c] = ((const float *)a.x)[((b * a.h + row) * a.w + column) * a.c + c];
        }
    resize_compare(k, &a);
    cr_expect(check_end(k).wrong_value);
}

#define RESIZE_REJECTS(rule, change)                                                               \
    Test(resize, rejects_##rule)                                                                   \
    {                                                                                              \
        check         *k = check_begin("resize", #rule, CHECK_NORMAL, 0);                          \
        rf_resize_args a = resize_args(k, 1, RF_F32);                                              \
        change;                                                                                    \
        cr_expect_eq(rf_resize_ref(NULL, &a), RF_E_SHAPE);                                         \
        cr_expect_eq(rf_resize_cpu(NULL, &a), RF_E_SHAPE);                                         \
        cr_expect(isnan(*(float *)a.y), "y was written");                                          \
        CHECK_END(k);                                                                              \
    }

RESIZE_REJECTS(empty_batch, a.n = 0)
RESIZE_REJECTS(empty_input, a.h = 0)
RESIZE_REJECTS(empty_output, a.wo = 0)
RESIZE_REJECTS(unknown_dtype, a.dtype = RF_DTYPES)

/* ---- lincomb ---- */

#define LINCOMB_ROW(name, n, e, terms, why) {#name, n, e, terms},
static const struct {
    const char *name;
    int         n, e, terms;
} lincomb_rows[] = {RF_LINCOMB_SHAPES(LINCOMB_ROW)};

/* Term j has type (first + j) % 3 and, if odd, skips j rows. */
static rf_lincomb_args lincomb_args(check *k, size_t i, int first)
{
    rf_lincomb_args a = {.n = lincomb_rows[i].n,
                         .e = lincomb_rows[i].e,
                         .terms = lincomb_rows[i].terms,
                         .ydtype = (rf_dtype)(first % RF_DTYPES)};
    const size_t    elems = (size_t)a.n * a.e;
    for (int j = 0; j < a.terms; j++) {
        a.xdtype[j] = (rf_dtype)((first + j) % RF_DTYPES);
        a.row_off[j] = j % 2 ? j : 0;
        a.x[j] = check_input(k, a.xdtype[j], (size_t)(a.n + a.row_off[j]) * a.e);
    }
    a.coef = check_input_of(k, RF_F32, (size_t)a.n * a.terms, CHECK_NORMAL);
    a.y = check_output(k, a.ydtype, 1, elems, elems);
    return a;
}

static void lincomb_compare(check *k, const rf_lincomb_args *a)
{
    rf_lincomb_args right = *a;
    right.y = check_floats(k, (size_t)a->n * a->e);
    cr_assert_eq(rf_lincomb_ref(NULL, &right), RF_OK);
    check_compare_bits(k, a->y, right.y, "n element", a->n, a->e);
}

Test(lincomb, gives_the_bits_of_the_reference_with_any_threads, .timeout = 60)
{
    for (size_t i = 0; i < COUNT(lincomb_rows); i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int first = 0; first < RF_DTYPES; first++)
                for (size_t t = 0; t < COUNT(thread_counts); t++) {
                    if (i >= 3 && (f || first || t != 1)) continue;
                    check                *k = check_begin("lincomb", lincomb_rows[i].name, f, 0);
                    const rf_lincomb_args a = lincomb_args(k, i, first);
                    rf_host              *host = host_of(thread_counts[t]);
                    cr_expect_eq(rf_lincomb_cpu(host, &a), RF_OK);
                    lincomb_compare(k, &a);
                    rf_host_destroy(host);
                    CHECK_END(k);
                }
}

Test(lincomb, works_in_place)
{
    check          *k = check_begin("lincomb/in_place", "edge_most", CHECK_NORMAL, 0);
    rf_lincomb_args a = lincomb_args(k, 2, 0), in_place = a;
    rf_host        *host = host_of(2);
    in_place.y = check_output_from(k, a.ydtype, a.x[0], (size_t)a.n * a.e);
    in_place.x[0] = in_place.y;
    cr_expect_eq(rf_lincomb_cpu(host, &a), RF_OK);
    cr_expect_eq(rf_lincomb_cpu(host, &in_place), RF_OK);
    check_compare_bits(k, in_place.y, a.y, "n element", a.n, a.e);
    rf_host_destroy(host);
    CHECK_END(k);
}

/* Every sample has rows of its own, in one pool that is wider than what is combined: y is the last
 * row it reads.  What is left out takes no part: what lies there may be NaN. */
Test(lincomb, rows_come_from_tables)
{
    enum { N = 3, E = 1500, STRIDE = 1600, ROWS = 9, TERMS = 3 };
    static const int32_t xrow[N * TERMS] = {4, -1, 0, 5, 6, 1, -1, -1, -1}, yrow[N] = {0, 1, 2};
    static const float   coef[N * TERMS] = {0.3f, 9, -1.7f, 1.1f, 0.7f, 0.9f, 5, 5, 5};
    float   *pool = malloc(sizeof(float) * ROWS * STRIDE), *want = malloc(sizeof *want * E);
    rf_host *host = host_of(2);
    for (int level = 0; level < 2; level++) {
        for (int i = 0; i < ROWS * STRIDE; i++) pool[i] = sinf((float)i);
        for (int i = 0; i < STRIDE; i++) pool[8 * STRIDE + i] = pool[2 * STRIDE + i] = NAN;
        for (int i = 0; i < E; i++) {
            want[i] = 0.3f * pool[4 * STRIDE + i];
            const float second = -1.7f * pool[i];
            want[i] += second;
        }
        const rf_lincomb_args a = {.y = pool,
                                   .x = {pool, pool, pool},
                                   .coef = coef,
                                   .xrow = xrow,
                                   .yrow = yrow,
                                   .xstride = {STRIDE, STRIDE, STRIDE},
                                   .ystride = STRIDE,
                                   .xdtype = {RF_F32, RF_F32, RF_F32},
                                   .n = N,
                                   .e = E,
                                   .terms = TERMS,
                                   .ydtype = RF_F32};
        cr_assert_eq(level ? rf_lincomb_cpu(host, &a) : rf_lincomb_ref(NULL, &a), RF_OK);
        for (int i = 0; i < E; i++) cr_assert_eq(pool[i], want[i]);
        for (int i = 0; i < E; i++) cr_assert_eq(pool[2 * STRIDE + i], 0, "a sum of nothing");
        cr_expect(isnan(pool[2 * STRIDE + E]), "what lies between the rows stays");
        cr_expect_eq(pool[E], sinf(E));
        cr_expect_neq(pool[STRIDE], sinf(STRIDE));
    }
    rf_host_destroy(host);
    free(pool), free(want);
}

/* A flag is stored for what is not finite once it is rounded, in whichever chunk, and no other. */
Test(lincomb, tells_which_samples_are_not_finite)
{
    enum { N = 5, E = 3000, RIGHT = 7 };
    float      *x = calloc(N * E, sizeof *x);
    void       *y = malloc(sizeof *x * N * E);
    const float one[N] = {1, 1, 1, 1, 1};
    rf_host    *host = host_of(3);
    x[1 * E + 2999] = NAN;
    x[2 * E] = -INFINITY;
    x[3 * E + 1500] = 65520; /* infinite in f16 alone */
    x[4 * E + 1500] = 65519;
    for (int level = 0; level < 2; level++)
        for (int type = 0; type < RF_DTYPES; type++) {
            int32_t               bad[N] = {RIGHT, 0, 0, 0, 0};
            const rf_lincomb_args a = {.y = y,
                                       .x = {x},
                                       .coef = one,
                                       .bad = bad,
                                       .n = N,
                                       .e = E,
                                       .terms = 1,
                                       .ydtype = (rf_dtype)type};
            cr_assert_eq(level ? rf_lincomb_cpu(host, &a) : rf_lincomb_ref(NULL, &a), RF_OK);
            cr_expect_eq(bad[0], RIGHT, "what is finite stores nothing");
            cr_expect(bad[1] == 1 && bad[2] == 1, "level %d, %d: %d, %d", level, type, bad[1],
                      bad[2]);
            cr_expect_eq(bad[3], type == RF_F16);
            cr_expect_eq(bad[4], 0);
        }
    rf_host_destroy(host);
    free(x), free(y);
}

/* Planted defects: fused multiply-adds; the coefficients of the neighbouring sample. */
Test(lincomb, defects_are_reported)
{
    for (int defect = 0; defect < 2; defect++) {
        check          *k = check_begin("lincomb/defect", "edge_ragged", CHECK_NORMAL, 0);
        rf_lincomb_args a = lincomb_args(k, 1, 0);
        for (int j = 0; j < a.terms; j++) {
            a.xdtype[j] = RF_F32, a.row_off[j] = 0;
            a.x[j] = check_input(k, RF_F32, (size_t)a.n * a.e);
        }
        for (int b = 0; b < a.n; b++)
            for (int i = 0; i < a.e; i++) {
                const size_t at = (size_t)b * a.e + i;
                const float *coef = a.coef + (size_t)(defect ? (b + 1) % a.n : b) * a.terms;
                const float  first = coef[0] * ((const float *)a.x[0])[at];
                const float  x1 = ((const float *)a.x[1])[at];
                ((float *)a.y)[at] = defect ? first + coef[1] * x1 : fmaf(coef[1], x1, first);
            }
        lincomb_compare(k, &a);
        cr_expect(check_end(k).wrong_value, "defect %d", defect);
    }
}

#define LINCOMB_REJECTS(rule, change)                                                              \
    Test(lincomb, rejects_##rule)                                                                  \
    {                                                                                              \
        check          *k = check_begin("lincomb", #rule, CHECK_NORMAL, 0);                        \
        rf_lincomb_args a = lincomb_args(k, 1, 0);                                                 \
        change;                                                                                    \
        cr_expect_eq(rf_lincomb_ref(NULL, &a), RF_E_SHAPE);                                        \
        cr_expect_eq(rf_lincomb_cpu(NULL, &a), RF_E_SHAPE);                                        \
        cr_expect(isnan(*(float *)a.y), "y was written");                                          \
        CHECK_END(k);                                                                              \
    }

LINCOMB_REJECTS(narrow_rows, a.ystride = 76)
LINCOMB_REJECTS(narrow_terms, a.xstride[1] = 76)
LINCOMB_REJECTS(no_terms, a.terms = 0)
LINCOMB_REJECTS(too_many_terms, a.terms = RF_LINCOMB_TERMS + 1)
LINCOMB_REJECTS(empty_batch, a.n = 0)
LINCOMB_REJECTS(no_elements, a.e = 0)
LINCOMB_REJECTS(negative_row_offset, a.row_off[1] = -1)
LINCOMB_REJECTS(unknown_output_type, a.ydtype = RF_DTYPES)

/* ---- pixels ---- */

#define PIXELS_ROW(name, n, hw, why) {#name, n, hw},
static const struct {
    const char *name;
    int         n, hw;
} pixels_rows[] = {RF_PIXELS_SHAPES(PIXELS_ROW)};

static rf_pixels_args pixels_args(check *k, size_t i, rf_dtype dtype)
{
    rf_pixels_args a = {.n = pixels_rows[i].n, .hw = pixels_rows[i].hw, .dtype = dtype};
    a.x = check_input(k, dtype, (size_t)a.n * a.hw * 3);
    a.y = check_output_bytes(k, (size_t)a.n * a.hw * 3);
    a.stats = check_output_bytes(k, (size_t)a.n * sizeof *a.stats);
    return a;
}

/* True if bytes and statistics are the reference's. */
static bool pixels_equal(const rf_pixels_args *a)
{
    const size_t   bytes = (size_t)a->n * a->hw * 3, stats_bytes = (size_t)a->n * sizeof *a->stats;
    rf_pixels_args right = *a;
    right.y = malloc(bytes), right.stats = malloc(stats_bytes);
    cr_assert_eq(rf_pixels_ref(NULL, &right), RF_OK);
    const bool equal = !memcmp(right.y, a->y, bytes) && !memcmp(right.stats, a->stats, stats_bytes);
    free(right.y);
    free(right.stats);
    return equal;
}

Test(pixels, gives_the_bytes_of_the_reference_with_any_threads, .timeout = 60)
{
    for (size_t i = 0; i < COUNT(pixels_rows); i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = 0; dtype < RF_DTYPES; dtype++)
                for (size_t t = 0; t < COUNT(thread_counts); t++) {
                    if (i >= 2 && (f || t != 1)) continue;
                    check *k = check_begin("pixels", pixels_rows[i].name, f,
                                           10.0 * pixels_rows[i].n * pixels_rows[i].hw);
                    if (!k) continue;
                    const rf_pixels_args a = pixels_args(k, i, (rf_dtype)dtype);
                    rf_host             *host = host_of(thread_counts[t]);
                    cr_expect_eq(rf_pixels_cpu(host, &a), RF_OK);
                    cr_expect(pixels_equal(&a), "%s fill %d", pixels_rows[i].name, f);
                    rf_host_destroy(host);
                    CHECK_END(k);
                }
}

/* Every 16-bit input, and the special values by name. */
Test(pixels, all_16_bit_inputs_and_special_values)
{
    static uint16_t x[65538]; /* whole pixels */
    static uint8_t  y[65538];
    rf_pixels_stats stats;
    rf_host        *host = host_of(2);
    rf_pixels_args  a = {.y = y, .x = x, .stats = &stats, .n = 1, .hw = 65538 / 3};
    for (int i = 0; i < 65538; i++) x[i] = (uint16_t)i;
    for (int dtype = RF_F16; dtype < RF_DTYPES; dtype++) {
        a.dtype = (rf_dtype)dtype;
        cr_assert_eq(rf_pixels_cpu(host, &a), RF_OK);
        cr_expect(pixels_equal(&a));
    }
    const float special[] = {NAN, INFINITY, -INFINITY, -1, 1, 0};
    a.x = special, a.dtype = RF_F32, a.hw = 2;
    cr_assert_eq(rf_pixels_cpu(host, &a), RF_OK);
    const uint8_t want[] = {0, 255, 0, 0, 255, 127};
    cr_expect_arr_eq(y, want, sizeof want);
    cr_expect(stats.non_finite == 3 && stats.least == 0 && stats.greatest == 255);
    rf_host_destroy(host);
}

/* Planted defects: rounding instead of truncation; a missed NaN. */
Test(pixels, defects_are_reported)
{
    check               *k = check_begin("pixels/defect", "edge_ragged", CHECK_NORMAL, 0);
    const rf_pixels_args a = pixels_args(k, 1, RF_F32);
    cr_assert_eq(rf_pixels_ref(NULL, &a), RF_OK);
    cr_expect(pixels_equal(&a));
    for (int i = 0; i < a.n * a.hw * 3; i++) {
        const float unit = (((const float *)a.x)[i] + 1) / 2;
        a.y[i] = (uint8_t)lrintf(255 * fminf(fmaxf(unit, 0), 1));
    }
    cr_expect_not(pixels_equal(&a));
    cr_assert_eq(rf_pixels_ref(NULL, &a), RF_OK);
    a.stats[2].non_finite++;
    cr_expect_not(pixels_equal(&a));
    CHECK_END(k);
}

#define PIXELS_REJECTS(rule, change)                                                               \
    Test(pixels, rejects_##rule)                                                                   \
    {                                                                                              \
        check         *k = check_begin("pixels", #rule, CHECK_NORMAL, 0);                          \
        rf_pixels_args a = pixels_args(k, 1, RF_F32);                                              \
        a.y[0] = 7;                                                                                \
        change;                                                                                    \
        cr_expect_eq(rf_pixels_ref(NULL, &a), RF_E_SHAPE);                                         \
        cr_expect_eq(rf_pixels_cpu(NULL, &a), RF_E_SHAPE);                                         \
        cr_expect_eq(a.y[0], 7, "y was written");                                                  \
        CHECK_END(k);                                                                              \
    }

PIXELS_REJECTS(empty_batch, a.n = 0)
PIXELS_REJECTS(no_pixels, a.hw = 0)
PIXELS_REJECTS(unknown_dtype, a.dtype = RF_DTYPES)
