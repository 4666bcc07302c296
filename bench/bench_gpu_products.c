/* gemm, conv and attention on a GPU; bytes: every input and output once. */
#include <math.h>
#include <stdlib.h>

#include "bench/bench_gpu.h"

enum { CHECKED_ROWS = 2 };

static void refused(const char *op, const char *row)
{
    fprintf(stderr, "refinery-bench-gpu: %s %s cannot be packed\n", op, row);
    exit(1);
}

/* ---- gemm --------------------------------------------------------------------------------------
 */

#define GEMM_ROW(name, m, n, k, k1, act, why) {#name, m, n, k, k1, act},
static const struct gemm_row {
    const char *name;
    int         m, n, k, k1;
    rf_act      act;
} gemm_rows[] = {RF_GEMM_SHAPES(GEMM_ROW)};

static void bench_gemm_row(bench_gpu *b, const struct gemm_row *r)
{
    const rf_dtype t = b->dtype;
    const size_t   m = (size_t)r->m, n = (size_t)r->n, k = (size_t)r->k, size = rf_dtype_bytes(t);
    const size_t   k1 = r->k1 ? (size_t)r->k1 : k, cols = r->act == RF_ACT_GEGLU ? n / 2 : n;
    const rf_gemm_weight_shape shape = {r->n, r->k, t, t, r->act};
    const void                *x, *x2 = NULL, *w, *bias;
    size_t                     packed_bytes = 0;
    rf_op_call                 call = {.kind = RF_OP_GEMM, .label = "gemm"};
    rf_gemm_args              *a = &call.args.gemm;

    *a = (rf_gemm_args){.m = r->m, .n = r->n, .k = r->k, .k1 = r->k1, .act = r->act};
    a->dtype = a->wdtype = t;
    a->x = bench_gpu_input(b, t, m * k1, &x);
    if (r->k1) a->x2 = bench_gpu_input(b, t, m * (k - k1), &x2);
    a->bias = bench_gpu_input(b, RF_F32, n, &bias);
    const void   *source = bench_gpu_input(b, t, n * k, &w);
    const rf_ops *ops = b->device.ops;
    if (ops->gemm_pack_bytes(b->device.stream, &shape, &packed_bytes) != RF_OK)
        refused("gemm", r->name);
    void *packed = bench_gpu_take(b, packed_bytes);
    if (ops->gemm_pack(b->device.stream, &shape, packed, source) != RF_OK) refused("gemm", r->name);
    a->w = packed;
    a->y = bench_gpu_take(b, m * cols * size);
    bench_gpu_workspace(b, &call);

    rf_gemm_args ref = *a;
    if (ref.m > CHECKED_ROWS) ref.m = CHECKED_ROWS;
    const size_t checked = (size_t)ref.m;
    ref.x = bench_gpu_widened(b, x, t, checked * k1);
    if (x2) ref.x2 = bench_gpu_widened(b, x2, t, checked * (k - k1));
    ref.w = bench_gpu_widened(b, w, t, n * k);
    ref.bias = bias;
    ref.y = bench_gpu_floats(b, checked * cols);
    ref.dtype = ref.wdtype = RF_F32;
    const int ok = rf_gemm_ref(NULL, &ref) == RF_OK;
    bench_gpu_run(b, &(bench_gpu_case){.row = r->name,
                                       .call = &call,
                                       .dtype = t,
                                       .flop = 2.0 * (double)m * (double)n * (double)k,
                                       .bytes = (double)size * (double)(m * k + n * k + m * cols),
                                       .y = a->y,
                                       .want = ref.y,
                                       .checked = ok ? checked * cols : 0});
}

/* ---- conv --------------------------------------------------------------------------------------
 */

#define CONV_ROW(name, n, h, w, cin, cin1, cout, kind, why) {#name, n, h, w, cin, cin1, cout, kind},
static const struct conv_row {
    const char  *name;
    int          n, h, w, cin, cin1, cout;
    rf_conv_kind kind;
} conv_rows[] = {RF_CONV_SHAPES(CONV_ROW)};

/* The first row of the first image, which the map's first three rows decide. */
static const float *conv_wanted(bench_gpu *b, rf_conv_args a, const void *x, const void *x2,
                                const void *w, const void *bias)
{
    const size_t               weights = (size_t)a.cout * (size_t)a.cin * 9;
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, RF_F32, RF_F32};
    const rf_dtype             t = a.dtype;
    float                     *wt = bench_gpu_floats(b, weights);
    a.n = 1;
    if (a.h > 3) a.h = a.kind == RF_CONV_DOWN || a.kind == RF_CONV_DOWN_RB ? 4 : 3;
    const size_t pixels = (size_t)a.h * (size_t)a.w, c1 = (size_t)(a.cin1 ? a.cin1 : a.cin);
    if (rf_conv_pack_ref(NULL, &shape, wt, bench_gpu_widened(b, w, t, weights)) != RF_OK)
        return NULL;
    a.wt = wt;
    a.x = bench_gpu_widened(b, x, t, pixels * c1);
    if (x2) a.x2 = bench_gpu_widened(b, x2, t, pixels * ((size_t)a.cin - c1));
    a.bias = bias;
    a.y = bench_gpu_floats(b, (size_t)rf_conv_out(a.kind, a.h) * (size_t)rf_conv_out(a.kind, a.w) *
                                  (size_t)a.cout);
    a.workspace = NULL;
    a.dtype = a.wdtype = RF_F32;
    return rf_conv_ref(NULL, &a) == RF_OK ? a.y : NULL;
}

static void bench_conv_row(bench_gpu *b, const struct conv_row *r)
{
    const rf_dtype t = b->dtype;
    const size_t   size = rf_dtype_bytes(t), weights = (size_t)r->cout * (size_t)r->cin * 9;
    const size_t   pixels = (size_t)r->n * (size_t)r->h * (size_t)r->w;
    const size_t   in = pixels * (size_t)r->cin, in1 = r->cin1 ? pixels * (size_t)r->cin1 : in;
    const size_t   row = (size_t)rf_conv_out(r->kind, r->w) * (size_t)r->cout;
    const size_t   out = (size_t)r->n * (size_t)rf_conv_out(r->kind, r->h) * row;
    const rf_conv_weight_shape shape = {r->cin, r->cout, r->kind, t, t};
    const void                *x, *x2 = NULL, *w, *bias;
    size_t                     packed_bytes = 0;
    rf_op_call                 call = {.kind = RF_OP_CONV, .label = "conv"};
    rf_conv_args              *a = &call.args.conv;

    *a = (rf_conv_args){.n = r->n, .h = r->h, .w = r->w, .cin = r->cin, .cout = r->cout};
    a->cin1 = r->cin1, a->kind = r->kind, a->dtype = a->wdtype = t;
    a->x = bench_gpu_input(b, t, in1, &x);
    if (r->cin1) a->x2 = bench_gpu_input(b, t, in - in1, &x2);
    a->bias = bench_gpu_input(b, RF_F32, (size_t)r->cout, &bias);
    const void   *source = bench_gpu_input(b, t, weights, &w);
    const rf_ops *ops = b->device.ops;
    if (ops->conv_pack_bytes(b->device.stream, &shape, &packed_bytes) != RF_OK)
        refused("conv", r->name);
    void *packed = bench_gpu_take(b, packed_bytes);
    if (ops->conv_pack(b->device.stream, &shape, packed, source) != RF_OK) refused("conv", r->name);
    a->wt = packed;
    a->y = bench_gpu_take(b, out * size);
    bench_gpu_workspace(b, &call);
    const float *want = conv_wanted(b, *a, x, x2, w, bias);
    bench_gpu_run(b, &(bench_gpu_case){.row = r->name,
                                       .call = &call,
                                       .dtype = t,
                                       .flop = 18.0 * (double)out * (double)r->cin,
                                       .bytes = (double)size * (double)(in + weights + out),
                                       .y = a->y,
                                       .want = want,
                                       .checked = want ? row : 0});
}

/* ---- attention ---------------------------------------------------------------------------------
 */

#define ATTENTION_ROW(name, n, sq, skv, heads, d, causal, why)                                     \
    {#name, n, sq, skv, heads, d, causal},
static const struct attention_row {
    const char *name;
    int         n, sq, skv, heads, d, causal;
} attention_rows[] = {RF_ATTENTION_SHAPES(ATTENTION_ROW)};

static void bench_attention_row(bench_gpu *b, const struct attention_row *r)
{
    const rf_dtype t = b->dtype;
    const size_t   width = (size_t)r->heads * (size_t)r->d, size = rf_dtype_bytes(t);
    const size_t   q_elems = (size_t)r->n * (size_t)r->sq * width;
    const size_t   kv_elems = 2 * (size_t)r->n * (size_t)r->skv * width;
    const double   pairs = (double)r->n * r->sq * r->skv * (r->causal ? 0.5 : 1);
    const void    *q, *kv;
    rf_op_call     call = {.kind = RF_OP_ATTENTION, .label = "attention"};

    rf_attention_args *a = &call.args.attention;
    *a = (rf_attention_args){.n = r->n, .sq = r->sq, .skv = r->skv, .heads = r->heads, .d = r->d};
    a->causal = r->causal, a->dtype = t, a->scale = 1 / sqrtf((float)r->d);
    a->q_stride = a->o_stride = (int)width, a->kv_stride = 2 * (int)width;
    a->q = bench_gpu_input(b, t, q_elems, &q);
    a->k = bench_gpu_input(b, t, kv_elems, &kv);
    a->v = (const char *)a->k + width * size;
    a->o = bench_gpu_take(b, q_elems * size);
    bench_gpu_workspace(b, &call);

    rf_attention_args ref = *a; /* a query depends on no other */
    ref.n = 1, ref.workspace = NULL, ref.dtype = RF_F32;
    if (!ref.causal && ref.sq > CHECKED_ROWS) ref.sq = CHECKED_ROWS;
    ref.q = bench_gpu_widened(b, q, t, (size_t)ref.sq * width);
    ref.k = bench_gpu_widened(b, kv, t, 2 * (size_t)ref.skv * width);
    ref.v = (const float *)ref.k + width;
    ref.o = bench_gpu_floats(b, (size_t)ref.sq * width);
    const int ok = rf_attention_ref(NULL, &ref) == RF_OK;
    bench_gpu_run(
        b, &(bench_gpu_case){.row = r->name,
                             .call = &call,
                             .dtype = t,
                             .flop = 4 * pairs * (double)width,
                             .bytes = (double)size * (2.0 * (double)q_elems + (double)kv_elems),
                             .y = a->o,
                             .want = ref.o,
                             .checked = ok ? (size_t)ref.sq * width : 0});
}

void bench_gpu_products(bench_gpu *b)
{
    for (size_t i = 0; i < sizeof gemm_rows / sizeof *gemm_rows; i++)
        if (bench_gpu_wants(b, "gemm", gemm_rows[i].name)) bench_gemm_row(b, &gemm_rows[i]);
    for (size_t i = 0; i < sizeof conv_rows / sizeof *conv_rows; i++)
        if (bench_gpu_wants(b, "conv", conv_rows[i].name)) bench_conv_row(b, &conv_rows[i]);
    for (size_t i = 0; i < sizeof attention_rows / sizeof *attention_rows; i++)
        if (bench_gpu_wants(b, "attention", attention_rows[i].name))
            bench_attention_row(b, &attention_rows[i]);
}
