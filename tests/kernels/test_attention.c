/* attention: the cpu level against the reference, and what the contract promises besides. */
#include <math.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "tests/kernels/attention_case.h"

/* Runs the cpu level with `threads` threads and a workspace of its own. */
static rf_status run_cpu(const rf_attention_args *a, int threads)
{
    rf_host          *host = NULL;
    size_t            bytes = 0;
    rf_attention_args b = *a;
    cr_assert_eq(rf_host_create(&host, threads, NULL), RF_OK);
    rf_status st = rf_attention_prepare_cpu(host, &b, &bytes);
    b.workspace = malloc(bytes + 1);
    memset(b.workspace, 0xFF, bytes); /* NaN: nothing may be assumed of it */
    if (st == RF_OK) st = rf_attention_cpu(host, &b);
    free(b.workspace);
    rf_host_destroy(host);
    return st;
}

/* bf16 where the products are bf16, else f32; the polynomial 2^-13. */
static void compare(check *k, const rf_attention_args *a)
{
    const double rel = a->dtype == RF_BF16 ? CHECK_UNIT_BF16 + 0x1p-13 : 4 * CHECK_UNIT_F32;
    attention_compare(k, a, (attention_rounding){.rel = rel});
}

Test(attention, matches_reference, .timeout = 120)
{
    for (size_t i = 0; i < (size_t)attention_rows_count; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
                if (attention_flop(&attention_rows[i]) > 2e6 &&
                    (f != CHECK_NORMAL || dtype == RF_F16))
                    continue;
                check *k = check_begin("attention", attention_rows[i].name, f,
                                       attention_flop(&attention_rows[i]));
                if (!k) continue;
                rf_attention_args a = attention_args(&attention_rows[i], (rf_dtype)dtype);
                attention_fill(k, &a);
                cr_expect_eq(run_cpu(&a, 2), RF_OK);
                compare(k, &a);
                CHECK_END(k);
            }
    cr_log_info("attention: %d rows above the flop limit skipped", check_skipped());
}

/* A scale that lets one key dominate, and a negative one. */
Test(attention, any_scale, .timeout = 60)
{
    static const float scales[] = {3.0f, 0.0f, -0.5f};
    for (size_t i = 0; i < 5; i++)
        for (size_t s = 0; s < 3; s++)
            for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
                check *k = check_begin("attention/scale", attention_rows[i].name, CHECK_NORMAL, 0);
                rf_attention_args a = attention_args(&attention_rows[i], (rf_dtype)dtype);
                a.scale = scales[s];
                attention_fill(k, &a);
                cr_expect_eq(run_cpu(&a, 2), RF_OK);
                compare(k, &a);
                CHECK_END(k);
            }
}

/* The reference itself accepts every storage type. */
Test(attention, reference_rounds_once)
{
    for (int dtype = RF_F16; dtype < RF_DTYPES; dtype++) {
        check            *k = check_begin("attention/ref", "edge_odd", CHECK_NORMAL, 0);
        rf_attention_args a = attention_args(attention_row_named("edge_odd"), (rf_dtype)dtype);
        attention_fill(k, &a);
        cr_expect_eq(rf_attention_ref(NULL, &a), RF_OK);
        compare(k, &a);
        CHECK_END(k);
    }
}

/* Samples with key counts of their own, in a pool that holds several layers. */
Test(attention, table_gives_each_sample_its_keys, .timeout = 60)
{
    enum { N = 3, SQ = 70, HEADS = 2, D = 64, WIDTH = HEADS * D };
    static const int skv[N] = {77, 154, 1};
    for (int dtype = 0; dtype < RF_DTYPES; dtype++) {
        check          *k = check_begin("attention/table", "ragged", CHECK_NORMAL, 0);
        rf_attention_kv table[N];
        /* per key: 2 * 96 elements of another layer, then ours (k and v) */
        const size_t      before = 192, size = rf_dtype_bytes((rf_dtype)dtype);
        rf_attention_args a = {.n = N,
                               .sq = SQ,
                               .skv = 200,
                               .heads = HEADS,
                               .d = D,
                               .q_stride = WIDTH,
                               .o_stride = WIDTH,
                               .kv_stride = 2 * WIDTH,
                               .kv_off = before,
                               .scale = 0.125f,
                               .dtype = (rf_dtype)dtype};
        for (int b = 0; b < N; b++)
            table[b] = (rf_attention_kv){
                check_input(k, a.dtype, (before + 2 * WIDTH) * (size_t)skv[b]), skv[b], 0};
        a.table = table;
        a.q = check_input(k, a.dtype, (size_t)N * SQ * WIDTH);
        char *whole = a.o = check_output(k, a.dtype, (size_t)N * SQ, WIDTH, WIDTH);
        cr_expect_eq(run_cpu(&a, 2), RF_OK);
        /* each sample alone, with plain pointers, gives the same bits */
        for (int b = 0; b < N; b++) {
            rf_attention_args one = a;
            const size_t      row = (size_t)SQ * WIDTH * size;
            one.n = 1, one.table = NULL, one.skv = skv[b];
            one.q = (const char *)a.q + b * row;
            one.k = (const char *)table[b].base + before * (size_t)skv[b] * size;
            one.v = (const char *)one.k + WIDTH * size;
            one.o = malloc(row);
            cr_expect_eq(run_cpu(&one, 2), RF_OK);
            cr_expect_arr_eq(one.o, whole + b * row, row, "sample %d, %s", b,
                             rf_dtype_name(a.dtype));
            free(one.o);
        }
        CHECK_END(k);
        table[1].skv = 201;
        cr_expect_eq(run_cpu(&a, 1), RF_E_SHAPE);
        cr_expect_eq(rf_attention_ref(NULL, &a), RF_E_SHAPE);
        table[1].skv = 0;
        cr_expect_eq(run_cpu(&a, 1), RF_E_SHAPE);
    }
}

static size_t elems_of_o(const rf_attention_args *a)
{
    return (size_t)a->n * a->sq * a->heads * a->d;
}

/* Two runs, and runs with 1, 2, 3 and 8 threads, agree bit for bit. */
Test(attention, deterministic_and_independent_of_threads, .timeout = 60)
{
    static const int threads[] = {1, 1, 2, 3, 8};
    for (size_t i = 0; i < 12; i++)
        for (int dtype = 0; dtype < RF_DTYPES; dtype += RF_BF16) {
            check *k = check_begin("attention/threads", attention_rows[i].name, CHECK_NORMAL, 0);
            rf_attention_args a = attention_args(&attention_rows[i], (rf_dtype)dtype);
            attention_fill(k, &a);
            a.o_stride = a.heads * a.d;
            const size_t bytes = elems_of_o(&a) * rf_dtype_bytes(a.dtype);
            char        *first = a.o = malloc(bytes), *next = malloc(bytes);
            for (size_t t = 0; t < 5; t++) {
                cr_expect_eq(run_cpu(&a, threads[t]), RF_OK);
                cr_expect_arr_eq(a.o, first, bytes, "%s, %d threads", attention_rows[i].name,
                                 threads[t]);
                a.o = next;
            }
            free(first);
            free(next);
            CHECK_END(k);
        }
}

/* Sample b alone, and head h alone, give what they gave in company. */
Test(attention, independent_of_batch_and_heads, .timeout = 60)
{
    enum { N = 3, SQ = 67, SKV = 131, HEADS = 3, D = 64, WIDTH = HEADS * D };
    for (int dtype = 0; dtype < RF_DTYPES; dtype += RF_BF16) {
        check            *k = check_begin("attention/batch", "odd", CHECK_NORMAL, 0);
        const size_t      size = rf_dtype_bytes((rf_dtype)dtype);
        rf_attention_args a = {.n = N,
                               .sq = SQ,
                               .skv = SKV,
                               .heads = HEADS,
                               .d = D,
                               .q_stride = WIDTH,
                               .o_stride = WIDTH,
                               .kv_stride = 2 * WIDTH,
                               .scale = 0.125f,
                               .dtype = (rf_dtype)dtype};
        a.q = check_input(k, a.dtype, (size_t)N * SQ * WIDTH);
        a.k = check_input(k, a.dtype, (size_t)N * SKV * 2 * WIDTH);
        a.v = (const char *)a.k + WIDTH * size;
        char *whole = a.o = check_output(k, a.dtype, (size_t)N * SQ, WIDTH, WIDTH);
        cr_expect_eq(run_cpu(&a, 2), RF_OK);
        char *alone = malloc((size_t)SQ * WIDTH * size);
        for (int b = 0; b < N; b++)
            for (int h = 0; h < HEADS; h++) {
                rf_attention_args one = a;
                const size_t      q_at = ((size_t)b * SQ * WIDTH + (size_t)h * D) * size;
                const size_t      k_at = ((size_t)b * SKV * 2 * WIDTH + (size_t)h * D) * size;
                one.n = 1, one.heads = 1, one.o_stride = D, one.o = alone;
                one.q = (const char *)a.q + q_at;
                one.k = (const char *)a.k + k_at, one.v = (const char *)a.v + k_at;
                cr_expect_eq(run_cpu(&one, 1), RF_OK);
                for (int r = 0; r < SQ; r++)
                    cr_expect_arr_eq(alone + (size_t)r * D * size,
                                     whole + q_at + (size_t)r * WIDTH * size, D * size,
                                     "sample %d head %d row %d", b, h, r);
            }
        free(alone);
        CHECK_END(k);
    }
}

/* The workspace holds K, V and scratch: linear in the keys, free of the queries. */
Test(attention, workspace_does_not_grow_with_the_queries)
{
    rf_host          *host = NULL;
    size_t            few, many, longer;
    rf_attention_args a = attention_args(attention_row_named("edge_odd"), RF_BF16);
    cr_assert_eq(rf_host_create(&host, 2, NULL), RF_OK);
    a.skv = 4096;
    a.sq = 1;
    cr_assert_eq(rf_attention_prepare_cpu(host, &a, &few), RF_OK);
    a.sq = 1 << 20;
    cr_assert_eq(rf_attention_prepare_cpu(host, &a, &many), RF_OK);
    a.skv = 8192;
    cr_assert_eq(rf_attention_prepare_cpu(host, &a, &longer), RF_OK);
    cr_expect_eq(few, many);
    cr_expect_lt(longer, 2 * many);
    rf_host_destroy(host);
}

/* Planted defects: an implementation that forgets the last key, or scales twice. */
Test(attention, defects_are_reported)
{
    for (int dtype = 0; dtype < RF_DTYPES; dtype++)
        for (int defect = 0; defect < 2; defect++) {
            check            *k = check_begin("attention/defect", "edge_odd", CHECK_NORMAL, 0);
            rf_attention_args a = attention_args(attention_row_named("edge_odd"), (rf_dtype)dtype),
                              wrong;
            a.n = 1;
            attention_fill(k, &a);
            wrong = a;
            if (defect)
                wrong.scale *= wrong.scale;
            else
                wrong.skv--;
            cr_expect_eq(run_cpu(&wrong, 1), RF_OK);
            compare(k, &a);
            const check_verdict v = check_end(k);
            cr_expect(v.wrong_value && !v.guard_written && !v.input_written, "defect %d", defect);
        }
}

/* `change` breaks one rule; every level refuses and leaves o alone. */
#define REJECTS(rule, change)                                                                      \
    Test(attention, rejects_##rule)                                                                \
    {                                                                                              \
        check            *k = check_begin("attention", #rule, CHECK_NORMAL, 0);                    \
        rf_attention_args a = attention_args(attention_row_named("edge_odd"), RF_BF16);            \
        attention_fill(k, &a);                                                                     \
        const size_t bytes = ((size_t)a.n * a.sq - 1) * a.o_stride * 2;                            \
        char        *before = malloc(bytes);                                                       \
        memcpy(before, a.o, bytes);                                                                \
        change;                                                                                    \
        size_t workspace_bytes;                                                                    \
        cr_expect_eq(rf_attention_ref(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_attention_cpu(NULL, &a), RF_E_SHAPE);                                      \
        cr_expect_eq(rf_attention_prepare_ref(NULL, &a, &workspace_bytes), RF_E_SHAPE);            \
        cr_expect_eq(rf_attention_prepare_cpu(NULL, &a, &workspace_bytes), RF_E_SHAPE);            \
        cr_expect_arr_eq(a.o, before, bytes);                                                      \
        free(before);                                                                              \
        CHECK_END(k);                                                                              \
    }

REJECTS(d_not_a_multiple_of_8, a.d = 60)
REJECTS(d_above_512, a.d = 520)
REJECTS(empty_batch, a.n = 0)
REJECTS(no_queries, a.sq = 0)
REJECTS(no_keys, a.skv = 0)
REJECTS(no_heads, a.heads = 0)
REJECTS(short_q_stride, a.q_stride = a.heads * a.d - 1)
REJECTS(short_kv_stride, a.kv_stride = a.heads * a.d - 1)
REJECTS(short_o_stride, a.o_stride = a.heads * a.d - 1)
REJECTS(causal_of_unequal_lengths, a.causal = 1)
REJECTS(unknown_dtype, a.dtype = RF_DTYPES)
