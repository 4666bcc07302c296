/* gemm.  bytes: x, w, y once; "pack" rows: source once, packed once. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"

enum { CHECKED_ROWS = 2 };

#define ROW(name, m, n, k, k1, act, why) {#name, m, n, k, k1, act},
static const struct row {
    const char *name;
    int         m, n, k, k1;
    rf_act      act;
} rows[] = {RF_GEMM_SHAPES(ROW)};

typedef struct gemm_case {
    rf_gemm_args         args;
    rf_gemm_weight_shape shape;
    const void          *w; /* before packing */
    void                *packed;
} gemm_case;

static rf_status run(void *stream, const void *args)
{
    return rf_gemm_cpu(stream, &((const gemm_case *)args)->args);
}

static double error(bench *b, const void *args)
{
    const gemm_case *c = args;
    rf_gemm_args     a = c->args;
    const int        cols = a.act == RF_ACT_GEGLU ? a.n / 2 : a.n, k1 = a.k1 ? a.k1 : a.k;
    if (a.m > CHECKED_ROWS) a.m = CHECKED_ROWS;
    a.x = bench_widened(b, a.x, a.dtype, (size_t)a.m * (size_t)k1);
    if (a.x2) a.x2 = bench_widened(b, a.x2, a.dtype, (size_t)a.m * (size_t)(a.k - k1));
    a.w = bench_widened(b, c->w, a.wdtype, (size_t)a.n * (size_t)a.k);
    a.y = bench_output(b, (size_t)a.m * (size_t)cols * sizeof(float));
    a.dtype = a.wdtype = RF_F32;
    if (rf_gemm_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(c->args.y, c->args.dtype, a.y, (size_t)a.m * (size_t)cols);
}

static void bench_row(bench *b, const struct row *r, rf_dtype dtype)
{
    const size_t m = (size_t)r->m, n = (size_t)r->n, k = (size_t)r->k;
    const size_t k1 = r->k1 ? (size_t)r->k1 : k, size = rf_dtype_bytes(dtype);
    const size_t cols = r->act == RF_ACT_GEGLU ? n / 2 : n;
    gemm_case    c = {.shape = {r->n, r->k, dtype, dtype, r->act}};
    size_t       packed_bytes, workspace_bytes;

    c.args = (rf_gemm_args){.m = r->m, .n = r->n, .k = r->k, .k1 = r->k1, .act = r->act};
    c.args.dtype = c.args.wdtype = dtype;
    if (rf_gemm_pack_bytes_cpu(bench_host(b), &c.shape, &packed_bytes) != RF_OK) return;
    if (rf_gemm_prepare_cpu(bench_host(b), &c.args, &workspace_bytes) != RF_OK) return;
    c.w = bench_input(b, dtype, n * k);
    c.packed = bench_output(b, packed_bytes);
    if (rf_gemm_pack_cpu(bench_host(b), &c.shape, c.packed, c.w) != RF_OK) return;
    c.args.w = c.packed;
    c.args.x = bench_input(b, dtype, m * k1);
    if (r->k1) c.args.x2 = bench_input(b, dtype, m * (k - k1));
    c.args.bias = bench_input(b, RF_F32, n);
    c.args.y = bench_output(b, m * cols * size);
    c.args.workspace = workspace_bytes ? bench_output(b, workspace_bytes) : NULL;

    bench_run(b, &(bench_case){.op = "gemm",
                               .row = r->name,
                               .dtype = dtype,
                               .flop = 2.0 * (double)m * (double)n * (double)k,
                               .bytes = (double)size * (double)(m * k + n * k + m * cols),
                               .args = &c,
                               .run = run,
                               .error = error});
}

void bench_gemm(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wants(b, "gemm", rows[i].name)) {
            bench_row(b, &rows[i], RF_BF16);
            bench_row(b, &rows[i], RF_F32);
        }
}

/* ---- packing ----------------------------------------------------------------------------------
 */

static rf_status run_pack(void *stream, const void *args)
{
    const gemm_case *c = args;
    return rf_gemm_pack_cpu(stream, &c->shape, c->packed, c->w);
}

/* Packed weights are checked by what they compute. */
static double pack_error(bench *b, const void *args)
{
    const gemm_case *c = args;
    return run(bench_host(b), c) == RF_OK ? error(b, c) : INFINITY;
}

/* The widest weights of the UNet, from each type a checkpoint can have. */
void bench_gemm_pack(bench *b)
{
    static const struct {
        const char *name;
        rf_dtype    dtype, wdtype;
    } kinds[] = {
        {"bf16", RF_BF16, RF_BF16}, {"f16_for_f32", RF_F32, RF_F16}, {"f32", RF_F32, RF_F32}};
    enum { N = 10240, K = 1280, M = 2 };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!bench_wants(b, "gemm_pack", kinds[i].name)) continue;
        const size_t elems = (size_t)N * K;
        gemm_case    c = {.shape = {N, K, kinds[i].dtype, kinds[i].wdtype, RF_ACT_NONE}};
        size_t       packed_bytes, workspace_bytes;
        c.args = (rf_gemm_args){.m = M, .n = N, .k = K};
        c.args.dtype = kinds[i].dtype, c.args.wdtype = kinds[i].wdtype;
        if (rf_gemm_pack_bytes_cpu(bench_host(b), &c.shape, &packed_bytes) != RF_OK) return;
        if (rf_gemm_prepare_cpu(bench_host(b), &c.args, &workspace_bytes) != RF_OK) return;
        c.w = bench_input(b, kinds[i].wdtype, elems);
        c.packed = bench_output(b, packed_bytes);
        c.args.w = c.packed;
        c.args.x = bench_input(b, kinds[i].dtype, (size_t)M * K);
        c.args.y = bench_output(b, (size_t)M * N * sizeof(float));
        c.args.workspace = workspace_bytes ? bench_output(b, workspace_bytes) : NULL;
        bench_run(b, &(bench_case){.op = "gemm_pack",
                                   .row = kinds[i].name,
                                   .dtype = kinds[i].wdtype,
                                   .bytes = 2.0 * (double)packed_bytes,
                                   .args = &c,
                                   .run = run_pack,
                                   .error = pack_error});
    }
}
