/* gemm: the cpu level against the reference, and what its contract promises about bits. */
#include <math.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "tests/kernels/gemm_case.h"

static const struct {
    rf_dtype act, weight;
} types[] = {{RF_BF16, RF_BF16}, {RF_F32, RF_F32}, {RF_F32, RF_F16}, {RF_F32, RF_BF16}};
enum { TYPES = sizeof types / sizeof *types };

typedef enum added { NO_RESIDUAL, RESIDUAL, IN_PLACE, RESIDUALS } added;

static rf_host *host_of(int threads)
{
    rf_host *host = NULL;
    rf_error err = {0};
    cr_assert_eq(rf_host_create(&host, threads, &err), RF_OK, "%s", err.message);
    return host;
}

/* Packs `a->w`, prepares, runs; every buffer guarded. */
static void run_cpu(check *k, rf_host *host, rf_gemm_args a)
{
    const rf_gemm_weight_shape shape = {a.n, a.k, a.dtype, a.wdtype, a.act};
    size_t                     packed_bytes, bytes, compiled;
    cr_assert_eq(rf_gemm_pack_bytes_cpu(host, &shape, &packed_bytes), RF_OK);
    void *packed = check_output_bytes(k, packed_bytes);
    cr_assert_eq(rf_gemm_pack_cpu(host, &shape, packed, a.w), RF_OK);
    cr_assert_eq(rf_gemm_prepare_cpu(host, &a, &bytes), RF_OK);
    a.w = packed;
    a.workspace = check_output_bytes(k, bytes);
    compiled = rf_host_primitives(host);
    cr_assert_eq(rf_gemm_cpu(host, &a), RF_OK);
    cr_expect_eq(rf_host_primitives(host), compiled, "running compiled something");
}

/* What the cpu run gets wrong on purpose. */
typedef enum defect { FAULTLESS, DROPPED_BIAS, SWAPPED_HALVES, LOST_SOURCE } defect;

static void plant(check *k, rf_gemm_args *a, defect d)
{
    const size_t half = (size_t)a->n / 2 * (size_t)a->k * rf_dtype_bytes(a->wdtype);
    if (d == DROPPED_BIAS) a->bias = NULL;
    if (d == LOST_SOURCE) a->x2 = a->x;
    if (d == SWAPPED_HALVES) {
        char *w = check_output_bytes(k, 2 * half);
        memcpy(w, (const char *)a->w + half, half);
        memcpy(w + half, a->w, half);
        a->w = w;
    }
}

/* One case; returns false if the row is above the flop limit. */
static bool compare(rf_host *host, const gemm_row *r, int fill, int type, added mode, bool biased,
                    defect d, check_verdict *verdict)
{
    const rf_dtype dtype = types[type].act;
    const size_t   k1 = (size_t)(r->k1 ? r->k1 : r->k), m = (size_t)r->m;
    const size_t   out = m * (size_t)gemm_cols(r);
    check         *k = check_begin("gemm", r->name, fill, 2.0 * r->m * r->n * r->k);
    if (!k) return false;

    const void  *residual = mode == NO_RESIDUAL ? NULL : check_input(k, dtype, out);
    rf_gemm_args a = {.m = r->m, .n = r->n, .k = r->k, .k1 = r->k1, .act = r->act};
    a.dtype = dtype, a.wdtype = types[type].weight;
    a.x = check_input(k, dtype, m * k1);
    if (r->k1) a.x2 = check_input(k, dtype, m * ((size_t)r->k - k1));
    a.w = check_input(k, a.wdtype, (size_t)r->n * (size_t)r->k);
    if (biased) a.bias = check_input(k, RF_F32, (size_t)r->n);
    a.y = mode == IN_PLACE ? check_output_from(k, dtype, residual, out)
                           : check_output(k, dtype, 1, out, out);
    a.residual = mode == IN_PLACE ? a.y : residual;

    const check_bound bound = {
        .ref = gemm_reference(k, a, residual, r->act, CHECK_EXACT),
        .magnitude = gemm_magnitude(k, &a, residual),
        .rel = check_sum_error(r->k + 2, CHECK_UNIT_F32),
    };
    plant(k, &a, d);
    run_cpu(k, host, a);
    check_compare(k, a.y, &bound, "m n", r->m, gemm_cols(r));
    *verdict = check_end(k);
    return true;
}

/* All weight types that go with `dtype`. */
static void check_reference(rf_dtype dtype)
{
    rf_host      *host = host_of(2);
    check_verdict v;
    for (int i = 0; i < gemm_rows_count; i++)
        for (int type = 0; type < TYPES; type++)
            for (int fill = 0; fill < CHECK_FILLS && types[type].act == dtype; fill++) {
                const added mode = gemm_rows[i].act == RF_ACT_GEGLU
                                       ? NO_RESIDUAL
                                       : (added)((fill + i) % RESIDUALS);
                if (compare(host, &gemm_rows[i], fill, type, mode, fill != 3, FAULTLESS, &v))
                    cr_expect(!v.text[0], "%s", v.text);
            }
    rf_host_destroy(host);
}

Test(gemm, matches_reference_bf16, .timeout = 120)
{
    check_reference(RF_BF16);
}

Test(gemm, matches_reference_f32, .timeout = 120)
{
    check_reference(RF_F32);
}

/* In place or not, for every activation. */
static void check_residuals(int type)
{
    rf_host      *host = host_of(2);
    check_verdict v;
    for (int act = RF_ACT_NONE; act < RF_ACT_GEGLU; act++)
        for (int two = 0; two < 2; two++)
            for (int mode = 0; mode < RESIDUALS; mode++) {
                const gemm_row r = {"residual", 300, 40, 36, two * 12, (rf_act)act};
                compare(host, &r, CHECK_NORMAL, type, (added)mode, true, FAULTLESS, &v);
                cr_expect(!v.text[0], "act %d two %d: %s", act, two, v.text);
            }
    rf_host_destroy(host);
}

Test(gemm, residuals_bf16, .timeout = 60)
{
    check_residuals(0);
}

Test(gemm, residuals_f32, .timeout = 60)
{
    check_residuals(1);
}

Test(gemm, planted_defects_are_reported)
{
    rf_host      *host = host_of(2);
    check_verdict v;
    for (int type = 0; type < TYPES; type++) {
        compare(host, gemm_row_named("edge_k4_n4"), 0, type, NO_RESIDUAL, true, DROPPED_BIAS, &v);
        cr_expect(v.wrong_value, "dropped bias");
        compare(host, gemm_row_named("edge_geglu"), 0, type, NO_RESIDUAL, true, SWAPPED_HALVES, &v);
        cr_expect(v.wrong_value, "swapped halves");
        const gemm_row two = {"two", 9, 24, 20, 10, RF_ACT_NONE};
        compare(host, &two, 0, type, NO_RESIDUAL, true, LOST_SOURCE, &v);
        cr_expect(v.wrong_value, "second source lost");
    }
    rf_host_destroy(host);
}

/* ---- bits -------------------------------------------------------------------------------------
 */

/* A call on real sizes: dense inputs, results of any number of rows. */
typedef struct real {
    gemm_row r;
    rf_dtype dtype;
    void    *x, *x2, *w;
    float   *bias;
} real;

static void *fill_random(rf_dtype dtype, size_t elems, unsigned seed)
{
    void *p = aligned_alloc(64, (elems * rf_dtype_bytes(dtype) + 63) / 64 * 64);
    cr_assert_not_null(p);
    for (size_t i = 0; i < elems; i++) {
        seed = seed * 1664525u + 1013904223u;
        rf_store(p, dtype, i, (float)(int)(seed >> 8) * 0x1p-23f - 1);
    }
    return p;
}

static real real_of(const gemm_row *r, rf_dtype dtype)
{
    const size_t k1 = (size_t)(r->k1 ? r->k1 : r->k);
    real         c = {.r = *r, .dtype = dtype};
    c.x = fill_random(dtype, (size_t)r->m * k1, 1);
    if (r->k1) c.x2 = fill_random(dtype, (size_t)r->m * ((size_t)r->k - k1), 2);
    c.w = fill_random(dtype, (size_t)r->n * (size_t)r->k, 3);
    c.bias = fill_random(RF_F32, (size_t)r->n, 4);
    return c;
}

static void real_free(real *c)
{
    free(c->x), free(c->x2), free(c->w), free(c->bias);
}

/* Rows first .. first+m-1 of the result, by a host of `threads`; free it. */
static void *real_run(const real *c, int threads, int first, int m)
{
    const size_t size = rf_dtype_bytes(c->dtype), cols = (size_t)gemm_cols(&c->r);
    const size_t k1 = (size_t)(c->r.k1 ? c->r.k1 : c->r.k);
    rf_host     *host = host_of(threads);
    rf_gemm_args a = {.m = m, .n = c->r.n, .k = c->r.k, .k1 = c->r.k1, .act = c->r.act};
    a.dtype = a.wdtype = c->dtype;
    a.bias = c->bias;
    a.x = (char *)c->x + (size_t)first * k1 * size;
    if (c->x2) a.x2 = (char *)c->x2 + (size_t)first * ((size_t)c->r.k - k1) * size;

    const rf_gemm_weight_shape shape = {a.n, a.k, a.dtype, a.wdtype, a.act};
    size_t                     packed_bytes, bytes;
    cr_assert_eq(rf_gemm_pack_bytes_cpu(host, &shape, &packed_bytes), RF_OK);
    cr_assert_eq(rf_gemm_prepare_cpu(host, &a, &bytes), RF_OK);
    void *packed = aligned_alloc(64, (packed_bytes + 63) / 64 * 64);
    void *y = malloc((size_t)m * cols * size);
    a.workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
    cr_assert(packed && y && a.workspace);
    memset(a.workspace, 0xFF, bytes); /* NaN: what is not written must not be read */
    cr_assert_eq(rf_gemm_pack_cpu(host, &shape, packed, c->w), RF_OK);
    a.w = packed, a.y = y;
    cr_assert_eq(rf_gemm_cpu(host, &a), RF_OK);

    free(packed);
    free(a.workspace);
    rf_host_destroy(host);
    return y;
}

static const char *const real_rows[] = {
    "unet_1k_2",  "unet_1k_1_geglu", "unet_1k_2_ff", "unet_1k_2_skip", "clip_g_mlp", "unet_kv",
    "unet_256_2", "time_embed_all",  "edge_n3",      "refiner_1k_2",   "refiner_kv"};
enum { REAL_ROWS = sizeof real_rows / sizeof *real_rows };

static void check_threads(rf_dtype dtype)
{
    static const int threads[] = {1, 3, 8};
    for (int i = 0; i < REAL_ROWS; i++) {
        gemm_row r = *gemm_row_named(real_rows[i]);
        if (r.m > 300) r.m = 300; /* two chunks; k and n are what threads could split */
        real         c = real_of(&r, dtype);
        const size_t bytes = (size_t)r.m * (size_t)gemm_cols(&r) * rf_dtype_bytes(dtype);
        void        *want = real_run(&c, 2, 0, r.m);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            void *got = real_run(&c, threads[t], 0, r.m);
            cr_expect(!memcmp(got, want, bytes), "%s %s: %d threads differ from 2", r.name,
                      rf_dtype_name(dtype), threads[t]);
            free(got);
        }
        free(want);
        real_free(&c);
    }
}

Test(gemm, independent_of_threads_bf16, .timeout = 120)
{
    check_threads(RF_BF16);
}

Test(gemm, independent_of_threads_f32, .timeout = 120)
{
    check_threads(RF_F32);
}

/* The weights as a host of `threads` packs them; free them. */
static void *packed_by(int threads, const rf_gemm_weight_shape *s, const void *w, size_t *bytes)
{
    rf_host *host = host_of(threads);
    cr_assert_eq(rf_gemm_pack_bytes_cpu(host, s, bytes), RF_OK);
    void *packed = malloc(*bytes);
    cr_assert_not_null(packed);
    cr_assert_eq(rf_gemm_pack_cpu(host, s, packed, w), RF_OK);
    rf_host_destroy(host);
    return packed;
}

Test(gemm, packs_alike_for_any_threads, .timeout = 60)
{
    static const int sizes[][2] = {{3, 63}, {40, 48}, {640, 640}, {1280, 320}};
    static const int threads[] = {1, 3, 8, 128};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int f32 = 0; f32 < 2; f32++) {
            const rf_dtype             dtype = f32 ? RF_F32 : RF_BF16;
            const rf_gemm_weight_shape s = {sizes[i][0], sizes[i][1], dtype, dtype, RF_ACT_NONE};
            void                      *w = fill_random(dtype, (size_t)s.n * (size_t)s.k, 1);
            size_t                     bytes;
            void                      *want = packed_by(2, &s, w, &bytes);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                size_t got_bytes;
                void  *got = packed_by(threads[t], &s, w, &got_bytes);
                cr_expect(got_bytes == bytes && !memcmp(got, want, bytes),
                          "n %d k %d %s: %d threads pack otherwise than 2", s.n, s.k,
                          rf_dtype_name(dtype), threads[t]);
                free(got);
            }
            free(want), free(w);
        }
}

/* Row i alone, in 77 rows, in 1024: the same bytes. */
static void check_m(rf_dtype dtype)
{
    static const int counts[] = {1, 2, 77, 256, 257, 1000};
    for (int i = 0; i < REAL_ROWS; i++) {
        gemm_row r = *gemm_row_named(real_rows[i]);
        r.m = 1024;
        real         c = real_of(&r, dtype);
        const size_t bytes = (size_t)gemm_cols(&r) * rf_dtype_bytes(dtype);
        char        *want = real_run(&c, 2, 0, r.m);
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            const int first = r.m - counts[j];
            void     *got = real_run(&c, 2, first, counts[j]);
            cr_expect(!memcmp(got, want + (size_t)first * bytes, (size_t)counts[j] * bytes),
                      "%s %s: rows differ when %d are computed", r.name, rf_dtype_name(dtype),
                      counts[j]);
            free(got);
        }
        free(want);
        real_free(&c);
    }
}

Test(gemm, independent_of_m_bf16, .timeout = 120)
{
    check_m(RF_BF16);
}

Test(gemm, independent_of_m_f32, .timeout = 120)
{
    check_m(RF_F32);
}

#ifndef RF_SANITIZE /* seconds there, for nothing that the smaller calls do not show */
/* The largest call of the UNet's level 1, and the same rows in smaller ones. */
Test(gemm, independent_of_m_up_to_4096, .timeout = 120)
{
    static const int counts[] = {1, 77, 256, 1000};
    const gemm_row   r = *gemm_row_named("unet_4k_1");
    for (int f32 = 0; f32 < 2; f32++) {
        real         c = real_of(&r, f32 ? RF_F32 : RF_BF16);
        const size_t bytes = (size_t)gemm_cols(&r) * rf_dtype_bytes(c.dtype);
        char        *want = real_run(&c, 2, 0, r.m);
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++)
            for (int first = 0; first < r.m; first += r.m - counts[j]) { /* at its head and end */
                void *got = real_run(&c, 2, first, counts[j]);
                cr_expect(!memcmp(got, want + (size_t)first * bytes, (size_t)counts[j] * bytes),
                          "%s: %d rows from %d on differ", rf_dtype_name(c.dtype), counts[j],
                          first);
                free(got);
            }
        free(want);
        real_free(&c);
    }
}
#endif

/* ---- what is refused --------------------------------------------------------------------------
 */

static void expect_refused(rf_host *host, rf_gemm_args a, const char *why)
{
    size_t bytes;
    cr_expect_eq(rf_gemm_prepare_cpu(host, &a, &bytes), RF_E_SHAPE, "cpu: %s", why);
    if (a.dtype != RF_F16 && a.wdtype == a.dtype)
        cr_expect_eq(rf_gemm_prepare_ref(NULL, &a, &bytes), RF_E_SHAPE, "ref: %s", why);
    uint16_t y = 0x1234;
    a.y = &y;
    cr_expect_eq(rf_gemm_cpu(host, &a), RF_E_SHAPE, "cpu run: %s", why);
    cr_expect_eq(y, 0x1234);
}

Test(gemm, rejects_bad_sizes)
{
    rf_host           *host = host_of(1);
    const rf_gemm_args good = {.m = 2, .n = 4, .k = 8, .dtype = RF_BF16, .wdtype = RF_BF16};
    rf_gemm_args       a = good;
    float              residual = 0;
    a.m = 0, expect_refused(host, a, "no rows");
    a = good, a.n = 0, expect_refused(host, a, "no columns");
    a = good, a.k = -1, expect_refused(host, a, "negative k");
    a = good, a.k1 = 9, expect_refused(host, a, "k1 above k");
    a = good, a.k1 = -1, expect_refused(host, a, "negative k1");
    a = good, a.n = 5, a.act = RF_ACT_GEGLU, expect_refused(host, a, "odd halves");
    a = good, a.act = RF_ACT_GEGLU, a.residual = &residual, expect_refused(host, a, "residual");
    a = good, a.act = (rf_act)17, expect_refused(host, a, "no such activation");
    a = good, a.wdtype = RF_F16, expect_refused(host, a, "bf16 with f16 weights");
    a = good, a.wdtype = RF_F32, expect_refused(host, a, "bf16 with f32 weights");
    a = good, a.dtype = a.wdtype = RF_F16, expect_refused(host, a, "f16 activations");
    rf_host_destroy(host);
}

Test(gemm, refuses_to_run_unprepared)
{
    rf_host           *host = host_of(1);
    const rf_gemm_args a = {.m = 2, .n = 4, .k = 8, .dtype = RF_F32, .wdtype = RF_F32};
    cr_assert_eq(rf_gemm_cpu(host, &a), RF_E_BUG);
    rf_host_destroy(host);
}

Test(host, counts_threads_and_names_the_cpu)
{
    rf_host *host = NULL;
    rf_error err;
    cr_assert_eq(rf_host_create(&host, 1025, &err), RF_E_ARG);
    cr_assert_null(host);
    cr_assert_eq(rf_host_create(&host, -1, &err), RF_E_ARG);
    cr_assert_eq(rf_host_create(&host, 3, &err), RF_OK);
    cr_assert_eq(rf_host_threads(host), 3);
    rf_host_destroy(host);
    cr_assert_eq(rf_host_create(&host, 0, &err), RF_OK);
    cr_assert_geq(rf_host_threads(host), 1);
    cr_assert_eq(rf_host_primitives(host), 0);
    cr_assert(strlen(rf_host_cpu_name(host)) > 4);
    rf_host_destroy(host);
    rf_host_destroy(NULL);
}
