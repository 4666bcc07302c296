/* conv.  flop: of the plain formula, UP2 included.  bytes: x, weights, y once. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "kernels/conv/conv.h"

#define ROW(name, n, h, w, cin, cin1, cout, kind, why) {#name, n, h, w, cin, cin1, cout, kind},
static const struct row {
    const char  *name;
    int          n, h, w, cin, cin1, cout;
    rf_conv_kind kind;
} rows[] = {RF_CONV_SHAPES(ROW)};

typedef struct conv_case {
    rf_conv_args args;
    const void  *wt; /* before packing */
} conv_case;

static rf_status run(void *stream, const void *args)
{
    return rf_conv_cpu(stream, &((const conv_case *)args)->args);
}

/* Of the first rows only: what is right of a map cut off below, which is all but the last row. */
static double error(bench *b, const void *args)
{
    const conv_case           *c = args;
    rf_conv_args               a = c->args;
    const size_t               weights = (size_t)a.cout * (size_t)a.cin * 9;
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, RF_F32, RF_F32};
    const int                  kept = a.kind == RF_CONV_SAME || a.kind == RF_CONV_UP2 ? 2 : 4;
    const int                  cut = a.h > kept;

    a.n = 1;
    if (cut) a.h = kept;
    float       *wt = bench_output(b, weights * sizeof *wt);
    const int    ho = rf_conv_out(a.kind, a.h);
    const size_t row = (size_t)rf_conv_out(a.kind, a.w) * (size_t)a.cout;
    if (rf_conv_pack_ref(NULL, &shape, wt, bench_widened(b, c->wt, a.wdtype, weights)) != RF_OK)
        return INFINITY;
    a.wt = wt;
    const size_t pixels = (size_t)a.h * (size_t)a.w, c1 = (size_t)(a.cin1 ? a.cin1 : a.cin);
    a.x = bench_widened(b, a.x, a.dtype, pixels * c1);
    if (a.x2) a.x2 = bench_widened(b, a.x2, a.dtype, pixels * ((size_t)a.cin - c1));
    a.y = bench_output(b, (size_t)ho * row * sizeof(float));
    a.dtype = a.wdtype = RF_F32;
    if (rf_conv_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(c->args.y, c->args.dtype, a.y, (size_t)(ho - cut) * row);
}

static void bench_row(bench *b, const struct row *r, rf_dtype dtype)
{
    const size_t size = rf_dtype_bytes(dtype), weights = (size_t)r->cout * (size_t)r->cin * 9;
    const size_t pixels = (size_t)r->n * (size_t)r->h * (size_t)r->w;
    const size_t in = pixels * (size_t)r->cin, in1 = r->cin1 ? pixels * (size_t)r->cin1 : in;
    const size_t out = (size_t)r->n * (size_t)rf_conv_out(r->kind, r->h) *
                       (size_t)rf_conv_out(r->kind, r->w) * (size_t)r->cout;
    const rf_conv_weight_shape shape = {r->cin, r->cout, r->kind, dtype, dtype};
    size_t                     packed_bytes, workspace_bytes;
    conv_case c = {.args = {.n = r->n, .h = r->h, .w = r->w, .cin = r->cin, .cout = r->cout}};

    c.args.cin1 = r->cin1, c.args.kind = r->kind, c.args.dtype = c.args.wdtype = dtype;
    if (rf_conv_pack_bytes_cpu(bench_host(b), &shape, &packed_bytes) != RF_OK) return;
    if (rf_conv_prepare_cpu(bench_host(b), &c.args, &workspace_bytes) != RF_OK) return;
    void *packed = bench_output(b, packed_bytes);
    c.wt = bench_input(b, dtype, weights);
    if (rf_conv_pack_cpu(bench_host(b), &shape, packed, c.wt) != RF_OK) return;
    c.args.wt = packed;
    c.args.x = bench_input(b, dtype, in1);
    if (r->cin1) c.args.x2 = bench_input(b, dtype, in - in1);
    c.args.bias = bench_input(b, RF_F32, (size_t)r->cout);
    c.args.y = bench_output(b, out * size);
    c.args.workspace = bench_output(b, workspace_bytes);

    bench_run(b, &(bench_case){.op = "conv",
                               .row = r->name,
                               .dtype = dtype,
                               .flop = 18.0 * (double)out * (double)r->cin,
                               .bytes = (double)size * (double)(in + weights + out),
                               .args = &c,
                               .run = run,
                               .error = error});
}

void bench_conv(bench *b)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wants(b, "conv", rows[i].name)) {
            bench_row(b, &rows[i], RF_BF16);
            bench_row(b, &rows[i], RF_F32);
        }
}
