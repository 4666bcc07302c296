/* gemm on the CPU: one oneDNN product with its bias and residual, and what oneDNN cannot fuse.
 *
 *   act none, one source    one product over all rows; the residual is what y already holds
 *   an activation           per chunk of rows: product to f32 in workspace, then one pass applies
 *                           residual and activation and rounds once
 *   two sources             per chunk of rows: both halves of a row copied side by side, then as
 *                           above
 *
 * A chunk is small enough that what passes through workspace stays in cache.  Chunks cut rows
 * only, and oneDNN's product treats rows alike, so a row's bytes depend on that row only.  Where
 * it does not (CPUs without AVX-512), cpu_chunks.c computes the call instead. */
#include <math.h>
#include <string.h>

#include "kernels/gemm/cpu_act.h"
#include "kernels/gemm/cpu_chunks.h"
#include "kernels/gemm/gemm.h"
#include "kernels/onednn.h"

enum {
    CHUNK_ROWS = 256, /* best of 64 .. 1024 for both GEGLUs of the UNet (Zen 4, 2026-11) */
};

typedef struct plan {
    rf_dnn_spec whole, rest; /* of `rows` rows, and of the last chunk if it is shorter */
    int         rows, rest_rows;
    int         two, activated;
    size_t      at_bias, at_joined, at_product, at_weights; /* offsets into workspace */
} plan;

static rf_status make_plan(plan *p, const rf_gemm_args *a)
{
    const rf_status st = rf_gemm_check(a);
    if (st != RF_OK) return st;
    if (!rf_dnn_types_ok(a->dtype, a->wdtype)) return RF_E_SHAPE;

    *p = (plan){.two = a->k1 != 0 && a->k1 != a->k, .activated = a->act != RF_ACT_NONE};
    p->rows = (p->two || p->activated) && a->m > CHUNK_ROWS ? CHUNK_ROWS : a->m;
    p->rest_rows = a->m % p->rows;
    p->whole = (rf_dnn_spec){.m = p->rows, .n = a->n, .k = a->k, .x_type = a->dtype};
    p->whole.y_type = p->activated ? RF_F32 : (int)a->dtype;
    p->rest = p->whole;
    p->rest.m = p->rest_rows;

    const size_t rows = (size_t)p->rows, n = (size_t)a->n, k = (size_t)a->k;
    size_t       used = 0;
    p->at_bias = rf_dnn_take(&used, n * sizeof(float));
    p->at_joined = rf_dnn_take(&used, p->two ? rows * k * rf_dtype_bytes(a->dtype) : 0);
    p->at_product = rf_dnn_take(&used, p->activated ? rows * n * sizeof(float) : 0);
    p->at_weights = used; /* from here on the primitives say how much: weights, scratch */
    return RF_OK;
}

rf_status rf_gemm_prepare_cpu(void *stream, const rf_gemm_args *a, size_t *workspace_bytes)
{
    rf_status        st = RF_OK;
    rf_dnn          *dnn = rf_host_dnn(stream);
    const rf_dnn_op *op;
    plan             p;
    size_t           used, scratch_bytes = 0;
    *workspace_bytes = 0;

    RF_TRY(make_plan(&p, a));
    RF_TRY(rf_dnn_prepare(dnn, &p.whole, &op));
    if (rf_dnn_alone(op)) return rf_gemm_chunks_prepare(stream, a, workspace_bytes);
    used = p.at_weights;
    RF_TRY(rf_dnn_prepare_call(dnn, p.whole, !p.activated, a->wdtype, &used, &scratch_bytes));
    if (p.rest_rows)
        RF_TRY(rf_dnn_prepare_call(dnn, p.rest, !p.activated, a->wdtype, &used, &scratch_bytes));
    *workspace_bytes = used + scratch_bytes;
done:
    return st;
}

/* Rows row0 .. row0+rows-1 of x, both sources of a row side by side. */
static void join_sources(void *dst, const rf_gemm_args *a, int row0, int rows, int threads)
{
    const size_t bytes = rf_dtype_bytes(a->dtype);
    const size_t first = (size_t)a->k1 * bytes, second = (size_t)(a->k - a->k1) * bytes;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int r = 0; r < rows; r++) {
        char *to = (char *)dst + (size_t)r * (first + second);
        memcpy(to, (const char *)a->x + (size_t)(row0 + r) * first, first);
        memcpy(to + first, (const char *)a->x2 + (size_t)(row0 + r) * second, second);
    }
}

/* y = residual, so that the product can accumulate onto it. */
static void start_from_residual(const rf_gemm_args *a, int threads)
{
    const size_t row = (size_t)a->n * rf_dtype_bytes(a->dtype);
    if (a->residual == a->y) return;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int r = 0; r < a->m; r++)
        memcpy((char *)a->y + (size_t)r * row, (const char *)a->residual + (size_t)r * row, row);
}

typedef struct call {
    rf_dnn          *dnn;
    const rf_dnn_op *whole, *rest;
    int              threads;
    const float     *bias;
    char            *joined, *product, *scratch;
    const void      *whole_w, *rest_w;
} call;

/* Finds the products, places the call's parts in workspace; a missing bias is a row of zeros. */
static rf_status bind(call *c, const rf_gemm_args *a, const plan *p)
{
    char  *space = a->workspace;
    size_t used = p->at_weights;

    c->whole = rf_dnn_find(c->dnn, &p->whole);
    c->rest = p->rest_rows ? rf_dnn_find(c->dnn, &p->rest) : c->whole;
    if (!c->whole || !c->rest) return RF_E_BUG; /* was not prepared */
    c->joined = space + p->at_joined;
    c->product = space + p->at_product;
    c->bias = a->bias;
    if (!a->bias) c->bias = memset(space + p->at_bias, 0, (size_t)a->n * sizeof(float));

    char *to = space + rf_dnn_take(&used, rf_dnn_weight_bytes(c->whole, a->wdtype));
    c->whole_w = rf_dnn_weights(c->dnn, c->whole, a->wdtype, a->w, to);
    if (p->rest_rows) {
        to = space + rf_dnn_take(&used, rf_dnn_weight_bytes(c->rest, a->wdtype));
        c->rest_w = rf_dnn_weights(c->dnn, c->rest, a->wdtype, a->w, to);
    }
    c->scratch = space + used;
    return RF_OK;
}

/* Rows row0 .. of the call, as many as `op` was compiled for. */
static rf_status run_chunk(const rf_gemm_args *a, const plan *p, const call *c, const rf_dnn_op *op,
                           const void *w, int row0, int rows)
{
    const size_t bytes = rf_dtype_bytes(a->dtype);
    rf_dnn_io    io = {.w = w, .bias = c->bias, .scratch = c->scratch};
    io.x = p->two ? c->joined : (const char *)a->x + (size_t)row0 * (size_t)a->k * bytes;
    io.y = p->activated ? c->product : (char *)a->y + (size_t)row0 * (size_t)a->n * bytes;

    if (p->two) join_sources(c->joined, a, row0, rows, c->threads);
    const rf_status st = rf_dnn_run(c->dnn, op, &io);
    if (st == RF_OK && p->activated)
        rf_gemm_act_rows(a, (const float *)(const void *)c->product, row0, rows, c->threads);
    return st;
}

rf_status rf_gemm_cpu(void *stream, const rf_gemm_args *a)
{
    plan      p;
    int       row = 0;
    rf_status st = make_plan(&p, a);
    if (st != RF_OK) return st;
    if (p.two != (a->x2 != NULL)) return RF_E_SHAPE;

    call c = {.dnn = rf_host_dnn(stream), .threads = rf_host_threads(stream)};
    c.whole = rf_dnn_find(c.dnn, &p.whole);
    if (c.whole && rf_dnn_alone(c.whole)) return rf_gemm_chunks(stream, a);
    p.whole.accumulate = p.rest.accumulate = a->residual && !p.activated;
    RF_TRY(bind(&c, a, &p));

    if (p.whole.accumulate) start_from_residual(a, c.threads);
    for (; row + p.rows <= a->m; row += p.rows)
        RF_TRY(run_chunk(a, &p, &c, c.whole, c.whole_w, row, p.rows));
    if (p.rest_rows) RF_TRY(run_chunk(a, &p, &c, c.rest, c.rest_w, row, p.rest_rows));
done:
    return st;
}

/* ---- weights ----------------------------------------------------------------------------------
 */

static rf_status layout_of(void *stream, const rf_gemm_weight_shape *s, rf_blocked *layout)
{
    const rf_dnn_spec spec = {.n = s->n, .k = s->k, .x_type = s->dtype};
    if (s->n < 1 || s->k < 1) return RF_E_SHAPE;
    if (!rf_dnn_types_ok(s->dtype, s->wdtype)) return RF_E_SHAPE;
    return rf_dnn_weight_layout(rf_host_dnn(stream), &spec, layout);
}

rf_status rf_gemm_pack_bytes_cpu(void *stream, const rf_gemm_weight_shape *s, size_t *bytes)
{
    rf_blocked      layout;
    const rf_status st = layout_of(stream, s, &layout);
    *bytes = st == RF_OK ? (size_t)layout.elems * rf_dtype_bytes(s->wdtype) : 0;
    return st;
}

rf_status rf_gemm_pack_cpu(void *stream, const rf_gemm_weight_shape *s, void *dst, const void *src)
{
    const int64_t  src_stride[RF_BLOCKED_AXES] = {s->k, 1, 0, 0};
    rf_blocked     layout;
    rf_blocked_map map;
    rf_status      st = layout_of(stream, s, &layout);
    if (st == RF_OK) st = rf_blocked_map_init(&map, &layout);
    if (st != RF_OK) return st;
    rf_blocked_pack(dst, &map, src, src_stride, s->wdtype, rf_host_threads(stream));
    rf_blocked_map_clear(&map);
    return RF_OK;
}
