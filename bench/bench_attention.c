/* attention, fused projections as the UNet has them.  flop: two products of sq x skv x d; bytes: q,
 * k, v and o once. */
#include "bench/bench.h"

#include <math.h>

#include "kernels/attention/attention.h"

enum { CHECKED_QUERIES = 8 };

#define ROW(name, n, sq, skv, heads, d, causal, why) {#name, n, sq, skv, heads, d, causal},
static const struct {
    const char *name;
    int         n, sq, skv, heads, d, causal;
} rows[] = {RF_ATTENTION_SHAPES(ROW)};

static rf_status run(void *stream, const void *args)
{
    return rf_attention_cpu(stream, args);
}

/* A query depends on no other: the first few of the first sample stand for all. */
static double error(bench *b, const void *args)
{
    rf_attention_args a = *(const rf_attention_args *)args;
    const size_t      width = (size_t)a.heads * a.d;
    a.n = 1;
    if (!a.causal && a.sq > CHECKED_QUERIES) a.sq = CHECKED_QUERIES;
    a.q = bench_widened(b, a.q, a.dtype, (size_t)a.sq * width);
    a.k = bench_widened(b, a.k, a.dtype, 2 * (size_t)a.skv * width);
    a.v = (const float *)a.k + width;
    a.o = bench_output(b, (size_t)a.sq * width * sizeof(float));
    a.dtype = RF_F32;
    if (rf_attention_ref(NULL, &a) != RF_OK) return INFINITY;
    const rf_attention_args *got = args;
    return bench_relative_l2(got->o, got->dtype, a.o, (size_t)a.sq * width);
}

static void bench_row(bench *b, size_t i, rf_dtype dtype)
{
    const int         width = rows[i].heads * rows[i].d;
    const size_t      q_elems = (size_t)rows[i].n * rows[i].sq * width;
    const size_t      kv_elems = 2 * (size_t)rows[i].n * rows[i].skv * width;
    const size_t      size = rf_dtype_bytes(dtype);
    size_t            workspace_bytes;
    rf_attention_args a = {.n = rows[i].n,
                           .sq = rows[i].sq,
                           .skv = rows[i].skv,
                           .heads = rows[i].heads,
                           .d = rows[i].d,
                           .causal = rows[i].causal,
                           .q_stride = width,
                           .kv_stride = 2 * width,
                           .o_stride = width,
                           .scale = 1 / sqrtf((float)rows[i].d),
                           .dtype = dtype};
    if (rf_attention_prepare_cpu(bench_host(b), &a, &workspace_bytes) != RF_OK) return;
    a.q = bench_input(b, dtype, q_elems);
    a.k = bench_input(b, dtype, kv_elems);
    a.v = (const char *)a.k + (size_t)width * size;
    a.o = bench_output(b, q_elems * size);
    a.workspace = bench_output(b, workspace_bytes);
    const double pairs = (double)rows[i].n * rows[i].sq * rows[i].skv * (rows[i].causal ? 0.5 : 1);
    bench_run(b, &(bench_case){.op = "attention",
                               .row = rows[i].name,
                               .dtype = dtype,
                               .flop = 4 * pairs * width,
                               .bytes = (double)size * (2.0 * (double)q_elems + (double)kv_elems),
                               .args = &a,
                               .run = run,
                               .error = error});
}

void bench_attention(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wants(b, "attention", rows[i].name)) {
            bench_row(b, i, RF_BF16);
            bench_row(b, i, RF_F32);
        }
}
