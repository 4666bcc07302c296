/* conv: the cpu level against the reference, and what its contract promises about bits. */
#include <math.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "tests/kernels/conv_case.h"

static const struct {
    rf_dtype act, weight;
} types[] = {{RF_BF16, RF_BF16}, {RF_F32, RF_F32}, {RF_F32, RF_F16}, {RF_F32, RF_BF16}};
enum { TYPES = sizeof types / sizeof *types };

typedef enum added { NO_RESIDUAL, RESIDUAL, IN_PLACE, RESIDUALS } added;

enum { TEMB_ROWS = 3, TEMB_GAP = 5 };
static const int32_t temb_row[] = {2, 0, 1, 2};

static rf_host *host_of(int threads)
{
    rf_host *host = NULL;
    rf_error err = {0};
    cr_assert_eq(rf_host_create(&host, threads, &err), RF_OK, "%s", err.message);
    return host;
}

/* Packs `a->wt` (in the file's order), prepares, runs; every buffer guarded. */
static void run_cpu(check *k, rf_host *host, rf_conv_args a)
{
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, a.dtype, a.wdtype};
    size_t                     packed_bytes, bytes, compiled;
    cr_assert_eq(rf_conv_pack_bytes_cpu(host, &shape, &packed_bytes), RF_OK);
    void *packed = check_output_bytes(k, packed_bytes);
    cr_assert_eq(rf_conv_pack_cpu(host, &shape, packed, a.wt), RF_OK);
    cr_assert_eq(rf_conv_prepare_cpu(host, &a, &bytes), RF_OK);
    a.wt = packed;
    a.workspace = check_output_bytes(k, bytes);
    compiled = rf_host_primitives(host);
    cr_assert_eq(rf_conv_cpu(host, &a), RF_OK);
    cr_expect_eq(rf_host_primitives(host), compiled, "running compiled something");
}

/* What the cpu run gets wrong on purpose. */
typedef enum defect { FAULTLESS, WRONG_TAP, DROPPED_BIAS, OTHER_TEMB, OTHER_RELU } defect;

static void plant(check *k, rf_conv_args *a, defect d)
{
    static const int32_t other_row[] = {1, 1, 2, 0};
    const size_t         size = rf_dtype_bytes(a->wdtype);
    const size_t         elems = (size_t)a->cout * (size_t)a->cin * 9;
    if (d == DROPPED_BIAS) a->bias = NULL;
    if (d == OTHER_TEMB) a->temb_row = other_row;
    if (d == OTHER_RELU) a->relu = !a->relu;
    if (d == WRONG_TAP) { /* the last output channel's taps, mirrored for one input channel */
        char *w = check_output_bytes(k, elems * size);
        memcpy(w, a->wt, elems * size);
        for (size_t t = 0; t < 9; t++)
            memcpy(w + (elems - 9 + t) * size, (const char *)a->wt + (elems - 1 - t) * size, size);
        a->wt = w;
    }
}

/* One case; returns false if the row is above the flop limit. */
static bool compare(rf_host *host, const conv_row *r, int fill, int type, added mode, bool dressed,
                    defect d, check_verdict *verdict)
{
    const rf_dtype dtype = types[type].act;
    const size_t   out = conv_out_elems(r);
    const size_t   temb_elems = (size_t)TEMB_ROWS * (r->cout + TEMB_GAP);
    check         *k = check_begin("conv", r->name, fill, 18.0 * (double)out * r->cin);
    if (!k) return false;

    const void  *residual = mode == NO_RESIDUAL ? NULL : check_input(k, dtype, out);
    rf_conv_args a = conv_args_of(r);
    a.dtype = dtype, a.wdtype = types[type].weight;
    a.x = check_input(k, dtype, conv_x_elems(r));
    if (r->cin1) a.x2 = check_input(k, dtype, conv_x2_elems(r));
    a.wt = check_input(k, a.wdtype, conv_weight_elems(r));
    if (dressed) {
        a.bias = check_input(k, RF_F32, (size_t)r->cout);
        a.temb = check_input(k, dtype, temb_elems);
        a.temb_row = temb_row, a.temb_stride = r->cout + TEMB_GAP;
    }
    a.y = mode == IN_PLACE ? check_output_from(k, dtype, residual, out)
                           : check_output(k, dtype, 1, out, out);
    a.residual = mode == IN_PLACE ? a.y : residual;
    a.relu = (fill + (int)mode) % 2;

    const check_bound bound = {
        .ref = conv_reference(k, a, residual, CHECK_EXACT),
        .magnitude = conv_reference(k, a, residual, CHECK_ABS),
        .rel = check_sum_error(9.0 * r->cin + 3, CHECK_UNIT_F32),
    };
    plant(k, &a, d);
    run_cpu(k, host, a);
    check_compare(k, a.y, &bound, "n h w c", r->n, rf_conv_out(r->kind, r->h),
                  rf_conv_out(r->kind, r->w), r->cout);
    *verdict = check_end(k);
    return true;
}

/* All weight types that go with `dtype`. */
static void check_reference(rf_dtype dtype)
{
    rf_host      *host = host_of(2);
    check_verdict v;
    for (int i = 0; i < conv_rows_count; i++)
        for (int type = 0; type < TYPES; type++)
            for (int fill = 0; fill < CHECK_FILLS && types[type].act == dtype; fill++) {
                const added mode = (added)((fill + i) % RESIDUALS);
                if (compare(host, &conv_rows[i], fill, type, mode, fill % 4 != 3, FAULTLESS, &v))
                    cr_expect(!v.text[0], "%s", v.text);
            }
    rf_host_destroy(host);
}

Test(conv, matches_reference_bf16, .timeout = 120)
{
    check_reference(RF_BF16);
}

Test(conv, matches_reference_f32, .timeout = 120)
{
    check_reference(RF_F32);
}

/* Strips of an enlarged map: the cut between two strips, a short last strip, and what is added. */
Test(conv, enlarges_in_strips, .timeout = 60)
{
    static const conv_row strips[] = {
        {"strips_rest", 1, 9, 512, 64, 0, 1, RF_CONV_UP2},  /* rows of 128 KB: 16 and a rest of 2 */
        {"strips_even", 1, 16, 512, 64, 0, 1, RF_CONV_UP2}, /* two strips of 16 */
    };
    rf_host      *host = host_of(2);
    check_verdict v;
    for (int i = 0; i < 2; i++)
        for (int mode = 0; mode < RESIDUALS; mode++) {
            if (!compare(host, &strips[i], 0, 0, (added)mode, true, FAULTLESS, &v)) continue;
            cr_expect(!v.text[0], "%s", v.text);
        }
    rf_host_destroy(host);
}

Test(conv, planted_defects_are_reported)
{
    static const conv_row r = {"planted", 2, 5, 6, 12, 0, 20, RF_CONV_SAME};
    rf_host              *host = host_of(2);
    check_verdict         v;
    for (int kind = 0; kind <= RF_CONV_UP2; kind++)
        for (int type = 0; type < TYPES; type++)
            for (int d = WRONG_TAP; d <= OTHER_RELU; d++) {
                conv_row planted = r;
                planted.kind = (rf_conv_kind)kind;
                compare(host, &planted, 0, type, NO_RESIDUAL, true, (defect)d, &v);
                cr_expect(v.wrong_value, "kind %d type %d defect %d", kind, type, d);
            }
    rf_host_destroy(host);
}

/* ---- bits -------------------------------------------------------------------------------------
 */

/* A call on real sizes. */
typedef struct real {
    conv_row r;
    rf_dtype dtype;
    void    *x, *w, *temb, *residual;
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

static real real_of(const conv_row *r, rf_dtype dtype)
{
    real c = {.r = *r, .dtype = dtype};
    c.x = fill_random(dtype, (size_t)r->n * r->h * r->w * r->cin, 1);
    c.w = fill_random(dtype, (size_t)r->cout * (size_t)r->cin * 9, 2);
    c.temb = fill_random(dtype, (size_t)TEMB_ROWS * r->cout, 3);
    c.residual = fill_random(dtype, conv_out_elems(r), 4);
    c.bias = fill_random(RF_F32, (size_t)r->cout, 5);
    return c;
}

static void real_free(real *c)
{
    free(c->x), free(c->w), free(c->temb), free(c->residual), free(c->bias);
}

/* Images first .. first+n-1 of the result, by a host of `threads`; free it. */
static void *real_run(const real *c, int threads, int first, int n)
{
    const size_t size = rf_dtype_bytes(c->dtype),
                 image = conv_out_elems(&c->r) / (size_t)c->r.n * size;
    rf_host     *host = host_of(threads);
    rf_conv_args a = {.n = n, .h = c->r.h, .w = c->r.w, .cin = c->r.cin, .cout = c->r.cout};
    a.kind = c->r.kind, a.dtype = a.wdtype = c->dtype;
    a.x = (char *)c->x + (size_t)(first * a.h * a.w * a.cin) * size;
    a.residual = (char *)c->residual + (size_t)first * image;
    a.bias = c->bias, a.temb = c->temb, a.temb_stride = a.cout, a.temb_row = temb_row + first;

    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, a.dtype, a.wdtype};
    size_t                     packed_bytes, bytes;
    cr_assert_eq(rf_conv_pack_bytes_cpu(host, &shape, &packed_bytes), RF_OK);
    cr_assert_eq(rf_conv_prepare_cpu(host, &a, &bytes), RF_OK);
    void *packed = aligned_alloc(64, (packed_bytes + 63) / 64 * 64);
    a.y = malloc((size_t)n * image);
    a.workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
    cr_assert(packed && a.y && a.workspace);
    memset(a.workspace, 0xFF, bytes); /* NaN: what is not written must not be read */
    cr_assert_eq(rf_conv_pack_cpu(host, &shape, packed, c->w), RF_OK);
    a.wt = packed;
    cr_assert_eq(rf_conv_cpu(host, &a), RF_OK);

    free(packed);
    free(a.workspace);
    rf_host_destroy(host);
    return a.y;
}

static const conv_row real_rows[] = {
    {"tiny_deep", 1, 4, 4, 256, 0, 128, RF_CONV_SAME}, /* cut along its inputs, in f32 */
    {"unet_4_640", 1, 4, 4, 640, 0, 640, RF_CONV_DOWN},
    {"unet_16_1280", 1, 16, 16, 1280, 0, 1280, RF_CONV_SAME},
    {"unet_32_320", 2, 32, 32, 320, 0, 320, RF_CONV_SAME}, /* another weights layout than packed */
    {"unet_24_640", 2, 24, 40, 640, 0, 640, RF_CONV_SAME},
    {"unet_16_up", 1, 16, 16, 640, 0, 640, RF_CONV_UP2},
    {"unet_down", 2, 33, 41, 320, 0, 320, RF_CONV_DOWN},
    {"unet_in", 2, 64, 64, 4, 0, 320, RF_CONV_SAME},
    {"unet_out", 2, 64, 64, 320, 0, 4, RF_CONV_SAME},
    {"vae_up", 1, 48, 64, 256, 0, 256, RF_CONV_UP2},
    {"vae_out", 2, 96, 128, 128, 0, 3, RF_CONV_SAME},
    {"vae_down", 2, 64, 64, 128, 0, 128, RF_CONV_DOWN_RB},
};
enum { REAL_ROWS = sizeof real_rows / sizeof *real_rows };

/* The weights as a host of `threads` packs them; free them. */
static void *packed_by(int threads, const rf_conv_weight_shape *s, const void *w, size_t *bytes)
{
    rf_host *host = host_of(threads);
    cr_assert_eq(rf_conv_pack_bytes_cpu(host, s, bytes), RF_OK);
    void *packed = malloc(*bytes);
    cr_assert_not_null(packed);
    cr_assert_eq(rf_conv_pack_cpu(host, s, packed, w), RF_OK);
    rf_host_destroy(host);
    return packed;
}

static void check_threads(rf_dtype dtype)
{
    static const int threads[] = {1, 3, 8};
    for (int i = 0; i < REAL_ROWS; i++) {
        conv_row r = real_rows[i];
        r.n = 1;
        real         c = real_of(&r, dtype);
        const size_t bytes = conv_out_elems(&r) * rf_dtype_bytes(dtype);
        void        *want = real_run(&c, 2, 0, 1);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            void *got = real_run(&c, threads[t], 0, 1);
            cr_expect(!memcmp(got, want, bytes), "%s %s: %d threads differ from 2", r.name,
                      rf_dtype_name(dtype), threads[t]);
            free(got);
        }
        free(want);
        real_free(&c);
    }
}

Test(conv, independent_of_threads_bf16, .timeout = 240)
{
    check_threads(RF_BF16);
}

Test(conv, independent_of_threads_f32, .timeout = 240)
{
    check_threads(RF_F32);
}

/* Left to itself, oneDNN lays three of these out otherwise for 96 or 128 threads (f32, AVX-512). */
Test(conv, packs_alike_for_any_threads, .timeout = 60)
{
    static const int sizes[][2] = {{32, 64}, {320, 64}, {128, 128}, {4, 320}, {33, 65}, {320, 320}};
    static const int threads[] = {1, 3, 8, 96, 128};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int f32 = 0; f32 < 2; f32++) {
            const rf_dtype             dtype = f32 ? RF_F32 : RF_BF16;
            const rf_conv_weight_shape s = {sizes[i][0], sizes[i][1], RF_CONV_SAME, dtype, dtype};
            void  *w = fill_random(dtype, (size_t)s.cin * (size_t)s.cout * 9, 1);
            size_t bytes;
            void  *want = packed_by(2, &s, w, &bytes);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                size_t got_bytes;
                void  *got = packed_by(threads[t], &s, w, &got_bytes);
                cr_expect(got_bytes == bytes && !memcmp(got, want, bytes),
                          "%d to %d %s: %d threads pack otherwise than 2", s.cin, s.cout,
                          rf_dtype_name(dtype), threads[t]);
                free(got);
            }
            free(want), free(w);
        }
}

static void check_batch(rf_dtype dtype)
{
    for (int i = 0; i < REAL_ROWS; i++) {
        conv_row r = real_rows[i];
        r.n = 3;
        real         c = real_of(&r, dtype);
        const size_t bytes = conv_out_elems(&r) / 3 * rf_dtype_bytes(dtype);
        char        *want = real_run(&c, 2, 0, 3);
        for (int b = 0; b < 3; b++) {
            void *got = real_run(&c, 2, b, 1);
            cr_expect(!memcmp(got, want + (size_t)b * bytes, bytes),
                      "%s %s: image %d differs alone", r.name, rf_dtype_name(dtype), b);
            free(got);
        }
        free(want);
        real_free(&c);
    }
}

Test(conv, independent_of_batch_bf16, .timeout = 120)
{
    check_batch(RF_BF16);
}

Test(conv, independent_of_batch_f32, .timeout = 120)
{
    check_batch(RF_F32);
}

/* ---- what is refused --------------------------------------------------------------------------
 */

static void expect_refused(rf_host *host, rf_conv_args a, const char *why)
{
    size_t bytes;
    cr_expect_eq(rf_conv_prepare_cpu(host, &a, &bytes), RF_E_SHAPE, "cpu: %s", why);
    if (a.dtype != RF_F16 && a.wdtype == a.dtype)
        cr_expect_eq(rf_conv_prepare_ref(NULL, &a, &bytes), RF_E_SHAPE, "ref: %s", why);
    uint16_t y = 0x1234;
    a.y = &y;
    cr_expect_eq(rf_conv_cpu(host, &a), RF_E_SHAPE, "cpu run: %s", why);
    cr_expect_eq(y, 0x1234);
}

Test(conv, rejects_bad_sizes)
{
    rf_host     *host = host_of(1);
    float        temb[8] = {0};
    rf_conv_args good = {.n = 1, .h = 4, .w = 4, .cin = 4, .cout = 8};
    good.dtype = good.wdtype = RF_BF16;
    rf_conv_args a = good;
    a.n = 0, expect_refused(host, a, "no image");
    a = good, a.h = 0, expect_refused(host, a, "no rows");
    a = good, a.w = -1, expect_refused(host, a, "negative width");
    a = good, a.cin = 0, expect_refused(host, a, "no input channels");
    a = good, a.cout = 0, expect_refused(host, a, "no output channels");
    a = good, a.kind = (rf_conv_kind)4, expect_refused(host, a, "no such kind");
    a = good, a.kind = RF_CONV_DOWN_RB, a.w = 1, expect_refused(host, a, "no output column");
    a = good, a.cin1 = 5, expect_refused(host, a, "more channels from x than there are");
    a = good, a.temb = temb, a.temb_stride = 7, expect_refused(host, a, "rows overlap");
    a = good, a.wdtype = RF_F16, expect_refused(host, a, "bf16 with f16 weights");
    a = good, a.dtype = a.wdtype = RF_F16, expect_refused(host, a, "f16 activations");
    rf_host_destroy(host);
}

Test(conv, refuses_to_run_unprepared)
{
    rf_host           *host = host_of(1);
    const rf_conv_args a = {.n = 1, .h = 4, .w = 4, .cin = 4, .cout = 8};
    cr_assert_eq(rf_conv_cpu(host, &a), RF_E_BUG);
    rf_host_destroy(host);
}
