/* Recording: three readings agree, weights are checked and packed as the file has them, and every
 * mistake is said once, in words. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/recorder.h"

enum { C = 8, OUT = 4, M = 3 };

/* ---- a file in memory ---------------------------------------------------------------------- */

static float data[64]; /* every tensor reads from its start */

static rf_status read_memory(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                             size_t bytes, rf_error *err)
{
    if (self->impl) return rf_fail(err, RF_E_IO, "%s: cannot read %s", self->path, t->name);
    cr_assert_leq(t->offset + from + bytes, sizeof data);
    memcpy(dst, (const char *)data + t->offset + from, bytes);
    return RF_OK;
}

#define MATRIX(label, rows, cols, first)                                                           \
    {                                                                                              \
        .name = label, .ndim = 2, .dim = {rows, cols}, .elems = (rows) * (cols),                   \
        .bytes = (rows) * (cols)*4, .offset = (first)*4                                            \
    }
#define VECTOR(label, rows, first)                                                                 \
    {                                                                                              \
        .name = label, .ndim = 1, .dim = {rows}, .elems = rows, .bytes = (rows)*4,                 \
        .offset = (first)*4                                                                        \
    }

/* As a reader sorts them. */
static rf_tensor item[] = {
    MATRIX("net.a.weight", OUT / 2, C, 0), MATRIX("net.b.weight", OUT / 2, C, 16),
    VECTOR("net.norm.bias", C, 8),         VECTOR("net.norm.weight", C, 0),
    MATRIX("net.turned", OUT, 2, 3),       MATRIX("net.x.weight", C, C, 0),
};

static rf_tensors file = {
    .item = item, .count = sizeof item / sizeof *item, .path = "memory", .read = read_memory};

typedef struct bench {
    rf_device  device;
    rf_weights weights;
    rf_program program;
    rf_error   err;
    size_t     slab_bytes;
    void      *slab;
} bench;

static void setup(bench *b)
{
    *b = (bench){.weights = {.file = &file, .prefix = "net.", .dtype = RF_F32}};
    for (int i = 0; i < 64; i++) data[i] = (float)(i + 1);
    cr_assert_eq(rf_device_open_host(&b->device, 1, RF_LEVEL_REF, &b->err), RF_OK);
}

static void teardown(bench *b)
{
    rf_device_free(&b->device, b->slab, b->slab_bytes);
    rf_program_free(&b->program);
    rf_weights_free(&b->weights, &b->device);
    cr_expect_eq(b->device.bytes_held, 0u);
    rf_device_close(&b->device);
}

static rf_status load(bench *b, const rf_load_progress *progress)
{
    void     *staging = NULL;
    rf_status st =
        rf_device_alloc(&b->device, &staging, b->weights.staging_bytes, "staging", &b->err);
    if (st == RF_OK) st = rf_weights_load(&b->weights, &b->device, staging, progress, &b->err);
    rf_device_free(&b->device, staging, b->weights.staging_bytes);
    return st;
}

/* ---- a network ----------------------------------------------------------------------------- */

typedef struct net_args {
    const float *x; /* [M, C] */
    float       *y; /* [M, OUT], then [M, 2] */
} net_args;

/* y = norm(x) [a; b]^T, then y turned. */
static void net(rf_recorder *r, const void *arg)
{
    const net_args *a = arg;
    void           *t = rf_take(r, (size_t)M * C);
    rf_do_layernorm(r, (rf_layernorm_args){.y = t, .x = a->x, .m = M, .c = C, .eps = 1e-5f},
                    "norm");
    rf_do_gemm(r, (rf_gemm_args){.y = a->y, .x = t, .m = M, .n = OUT, .k = C},
               &(rf_gemm_layer){.weight = {"a.weight", "b.weight"}});
    rf_give(r, t);
    rf_do_gemm(r,
               (rf_gemm_args){
                   .y = rf_offset(r, a->y, (size_t)M * OUT), .x = a->y, .m = M, .n = 2, .k = OUT},
               &(rf_gemm_layer){.weight = {"turned"}, .transpose = 1});
}

Test(recorder, three_readings_agree)
{
    bench    b;
    float    x[M * C], y[M * (OUT + 2)];
    net_args args = {.x = x, .y = y};
    setup(&b);
    for (int i = 0; i < M * C; i++) x[i] = (float)(i % 5);
    cr_assert_eq(rf_record_list(&b.device, &b.weights, net, &(net_args){0}, &b.err), RF_OK, "%s",
                 b.err.message);
    cr_expect_eq(b.weights.count, 4u);
    cr_expect_eq(b.weights.slot[2].parts, 2);
    cr_assert_eq(load(&b, NULL), RF_OK, "%s", b.err.message);
    cr_assert_eq(
        rf_record_count(&b.device, &b.weights, 0, net, &(net_args){0}, &b.slab_bytes, &b.err),
        RF_OK);
    cr_assert_eq(rf_device_alloc(&b.device, &b.slab, b.slab_bytes, "slab", &b.err), RF_OK);
    for (int again = 0; again < 2; again++) /* place empties the program first */
        cr_assert_eq(rf_record_place(&b.device, &b.weights, 0, net, &args, b.slab, b.slab_bytes,
                                     &b.program, &b.err),
                     RF_OK, "%s", b.err.message);
    cr_assert_eq(b.program.count, 3u);
    cr_expect_str_eq(b.program.call[0].label, "norm");
    cr_assert_eq(rf_program_run(&b.program, &b.device, &b.err), RF_OK, "%s", b.err.message);

    /* the rows of y from the stacked weights and the normalised x, which is in the slab */
    const float *t = b.slab;
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < OUT; n++) {
            double sum = 0;
            for (int k = 0; k < C; k++) sum += (double)t[m * C + k] * (n * C + k + 1);
            cr_expect_float_eq(y[m * OUT + n], sum, 1e-3 + 1e-5 * (sum > 0 ? sum : -sum));
        }
        for (int n = 0; n < 2; n++) { /* the file holds [OUT, 2], from the fourth number on */
            double sum = 0;
            for (int k = 0; k < OUT; k++) sum += (double)y[m * OUT + k] * (k * 2 + n + 4);
            cr_expect_float_eq(y[M * OUT + m * 2 + n], sum, 1e-2 + 1e-5 * (sum > 0 ? sum : -sum));
        }
    }

    rf_program small = {0};
    cr_expect_eq(rf_record_place(&b.device, &b.weights, 0, net, &args, b.slab, b.slab_bytes - 256,
                                 &small, &b.err),
                 RF_E_BUG);
    rf_program_free(&small);
    /* begun at a later slot, the network runs out of weights */
    size_t bytes = 0;
    cr_expect_eq(rf_record_count(&b.device, &b.weights, 1, net, &args, &bytes, &b.err), RF_E_BUG);
    cr_expect_not_null(strstr(b.err.message, "more weights than were listed"));
    teardown(&b);
}

/* ---- files that do not fit ------------------------------------------------------------------ */

static void one_layer(rf_recorder *r, const void *arg)
{
    const int  *k = arg;
    const void *x = rf_take(r, (size_t)M * (size_t)*k);
    rf_enter(r, "x");
    rf_do_gemm(r, (rf_gemm_args){.y = NULL, .x = x, .m = M, .n = C, .k = *k},
               &(rf_gemm_layer){.weight = {"weight"}});
    rf_do_gemm(r, (rf_gemm_args){.m = M, .n = C, .k = *k}, &(rf_gemm_layer){.weight = {"bias"}});
}

static void refused(rf_forward_fn *forward, const void *arg, rf_status want, const char *words)
{
    bench b;
    setup(&b);
    cr_expect_eq(rf_record_list(&b.device, &b.weights, forward, arg, &b.err), want);
    cr_expect_str_eq(b.err.message, words);
    teardown(&b);
}

Test(recorder, names_what_is_wrong_with_a_tensor)
{
    int k = C + 1;
    refused(one_layer, &k, RF_E_MODEL, "memory: tensor net.x.weight is [8, 8], expected [8, 9]");
    k = C;
    refused(one_layer, &k, RF_E_MODEL, "memory: tensor net.x.bias is missing");
    item[5].type = RF_FILE_F64;
    refused(one_layer, &k, RF_E_MODEL,
            "memory: tensor net.x.weight has type F64; only F16, BF16 and F32 are read");
}

/* ---- loading -------------------------------------------------------------------------------- */

static int stop_after(void *user, size_t bytes)
{
    size_t *limit = user;
    return bytes > *limit;
}

Test(recorder, loading_fails_as_a_whole)
{
    bench                  b;
    size_t                 limit = 40;
    const rf_load_progress progress = {.report = stop_after, .user = &limit};
    setup(&b);
    cr_assert_eq(rf_record_list(&b.device, &b.weights, net, &(net_args){0}, &b.err), RF_OK);
    cr_expect_eq(load(&b, &progress), RF_E_CANCELLED);
    cr_expect_null(b.weights.base);
    cr_expect_eq(b.device.bytes_held, 0u);
    file.impl = &file;
    cr_expect_eq(load(&b, NULL), RF_E_IO);
    cr_expect_str_eq(b.err.message, "memory: cannot read net.norm.weight");
    cr_expect_null(b.weights.base);
    cr_expect_eq(b.device.bytes_held, 0u);
    file.impl = NULL;
    cr_expect_eq(load(&b, NULL), RF_OK);
    teardown(&b);
}

/* ---- mistakes of a network ------------------------------------------------------------------- */

static int reached;

static void gives_twice(rf_recorder *r, const void *arg)
{
    (void)arg;
    const void *t = rf_take(r, 10);
    rf_give(r, t);
    rf_give(r, t);
    cr_expect_null(rf_take(r, 10), "errors stick");
    cr_expect_null(rf_offset(r, NULL, 5));
    rf_do_layernorm(r, (rf_layernorm_args){.m = 1, .c = 1}, "no such layer");
    reached = 1;
}

static void takes_too_much(rf_recorder *r, const void *arg)
{
    (void)arg;
    cr_expect_null(rf_take(r, SIZE_MAX / 2));
}

static void goes_too_deep(rf_recorder *r, const void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) rf_enter(r, "level.%d", i);
    rf_leave(r, 0);
}

Test(recorder, mistakes_of_a_network_are_bugs)
{
    static rf_forward_fn *const wrong[] = {gives_twice, takes_too_much, goes_too_deep};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bench b;
        setup(&b);
        cr_expect_eq(
            rf_record_count(&b.device, &b.weights, 0, wrong[i], NULL, &b.slab_bytes, &b.err),
            RF_E_BUG);
        cr_expect_neq(b.err.message[0], '\0');
        teardown(&b);
    }
    cr_expect(reached);
}
