/* Calls of gemm, conv and attention on a GPU: made from the rows of their shape tables, cut into
 * images, run at a level, and the vendor's algorithms for them. */
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device_bench.h"
#include "kernels/choice/choice_keys.h"
#include "kernels/ops.h"

enum { CANDIDATES = 24, WORKSPACE = 64 << 20 };

/* ---- a call ------------------------------------------------------------------------------- */

rf_choice_key device_key(const device_call *c)
{
    switch (c->op) {
    case RF_OP_GEMM: return rf_gemm_choice_key(&c->args.gemm);
    case RF_OP_CONV: return rf_conv_choice_key(&c->args.conv);
    default: return rf_attention_choice_key(&c->args.attention);
    }
}

void *device_output(const device_call *c)
{
    switch (c->op) {
    case RF_OP_GEMM: return c->args.gemm.y;
    case RF_OP_CONV: return c->args.conv.y;
    case RF_OP_GROUPNORM: return c->args.groupnorm.y;
    case RF_OP_LAYERNORM: return c->args.layernorm.y;
    case RF_OP_LINCOMB: return c->args.lincomb.y;
    case RF_OP_PIXELS: return c->args.pixels.y;
    case RF_OP_LATENT_RGB: return c->args.latent_rgb.y;
    default: return c->args.attention.o;
    }
}

static const void *moved(const void *p, size_t images, size_t elems)
{
    return p ? (const char *)p + images * elems * 2 : NULL;
}

device_call device_image(const device_call *c, int i)
{
    device_call  one = *c;
    const size_t at = (size_t)i;
    one.images = 1;
    switch (c->op) {
    case RF_OP_GEMM: {
        rf_gemm_args *a = &one.args.gemm;
        a->m /= c->images;
        const size_t m = (size_t)a->m, k1 = (size_t)(a->k1 ? a->k1 : a->k);
        a->x = moved(a->x, at, m * k1);
        a->x2 = moved(a->x2, at, m * ((size_t)a->k - k1));
        a->y = (char *)a->y + at * c->out_bytes;
        break;
    }
    case RF_OP_CONV: {
        rf_conv_args *a = &one.args.conv;
        a->n = 1;
        const size_t pixels = (size_t)a->h * (size_t)a->w,
                     c1 = (size_t)(a->cin1 ? a->cin1 : a->cin);
        a->x = moved(a->x, at, pixels * c1);
        a->x2 = moved(a->x2, at, pixels * ((size_t)a->cin - c1));
        a->y = (char *)a->y + at * c->out_bytes;
        break;
    }
    default: {
        rf_attention_args *a = &one.args.attention;
        a->n = 1;
        a->q = moved(a->q, at, (size_t)a->sq * (size_t)a->q_stride);
        a->k = moved(a->k, at, (size_t)a->skv * (size_t)a->kv_stride);
        a->v = moved(a->v, at, (size_t)a->skv * (size_t)a->kv_stride);
        a->o = (char *)a->o + at * c->out_bytes;
    }
    }
    return one;
}

device_call device_first(const device_call *c, int images)
{
    device_call some = device_image(c, 0);
    some.images = images;
    if (c->op == RF_OP_GEMM) some.args.gemm.m *= images;
    if (c->op == RF_OP_CONV) some.args.conv.n = images;
    if (c->op == RF_OP_ATTENTION) some.args.attention.n = images;
    return some;
}

rf_status device_prepare(const device_bench *b, rf_level level, const device_call *c,
                         size_t *workspace_bytes)
{
    const rf_ops *ops = rf_ops_of(level);
    *workspace_bytes = 0;
    if (!ops) return RF_E_UNSUPPORTED;
    switch (c->op) {
    case RF_OP_GEMM: return ops->gemm_prepare(b->gpu, &c->args.gemm, workspace_bytes);
    case RF_OP_CONV: return ops->conv_prepare(b->gpu, &c->args.conv, workspace_bytes);
    case RF_OP_ATTENTION:
        return ops->attention_prepare(b->gpu, &c->args.attention, workspace_bytes);
    case RF_OP_GROUPNORM:
        return ops->groupnorm_prepare(b->gpu, &c->args.groupnorm, workspace_bytes);
    default: return RF_OK;
    }
}

rf_status device_run(const device_bench *b, rf_level level, const device_call *c)
{
    const rf_ops *ops = rf_ops_of(level);
    switch (c->op) {
    case RF_OP_GEMM: return ops->gemm(b->gpu, &c->args.gemm);
    case RF_OP_CONV: return ops->conv(b->gpu, &c->args.conv);
    case RF_OP_ATTENTION: return ops->attention(b->gpu, &c->args.attention);
    case RF_OP_GROUPNORM: return ops->groupnorm(b->gpu, &c->args.groupnorm);
    case RF_OP_LAYERNORM: return ops->layernorm(b->gpu, &c->args.layernorm);
    case RF_OP_LINCOMB: return ops->lincomb(b->gpu, &c->args.lincomb);
    case RF_OP_PIXELS: return ops->pixels(b->gpu, &c->args.pixels);
    case RF_OP_LATENT_RGB: return ops->latent_rgb(b->gpu, &c->args.latent_rgb);
    default: return RF_E_UNSUPPORTED;
    }
}

/* ---- what pins an algorithm --------------------------------------------------------------- */

static bool run_images(device_bench *b, rf_level level, const device_call *c, unsigned char *bytes)
{
    const size_t all = c->out_bytes * (size_t)c->images;
    size_t       workspace;
    return device_prepare(b, level, c, &workspace) == RF_OK && workspace <= WORKSPACE &&
           device_ok(b, rf_device_fill(&b->device, RF_STREAM_OPS, device_output(c), 0xFF, all,
                                       &b->err)) &&
           device_run(b, level, c) == RF_OK && device_get(b, bytes, device_output(c), all);
}

bool device_same_bytes(device_bench *b, rf_level level, const device_call *c)
{
    const size_t   size = c->out_bytes;
    unsigned char *alone = malloc(size * (size_t)c->images),
                  *batch = malloc(size * (size_t)c->images);
    bool same = alone && batch;
    for (int i = 0; same && i < c->images; i++) {
        const device_call one = device_image(c, i);
        same = run_images(b, level, &one, alone + (size_t)i * size);
    }
    for (int images = 2; same && images <= c->images; images *= 2) {
        const device_call some = device_first(c, images);
        same =
            run_images(b, level, &some, batch) && memcmp(alone, batch, size * (size_t)images) == 0;
    }
    free(alone);
    free(batch);
    return same;
}

static rf_status list(device_bench *b, const device_call *c, rf_choice *found, int *count)
{
    switch (c->op) {
    case RF_OP_GEMM: return rf_gemm_list_vendor(b->gpu, &c->args.gemm, found, CANDIDATES, count);
    case RF_OP_CONV: return rf_conv_list_vendor(b->gpu, &c->args.conv, found, CANDIDATES, count);
    default: return rf_attention_list_vendor(b->gpu, &c->args.attention, found, CANDIDATES, count);
    }
}

bool device_best_vendor(device_bench *b, const device_call *c, rf_choice *best, device_times *t)
{
    const rf_choices *before = b->gpu->choices;
    rf_choice         found[CANDIDATES];
    rf_choices        pinned = {.count = 1};
    const device_call timed = device_first(c, c->images < b->batch ? c->images : b->batch);
    int               count = 0, kept = 0;
    const rf_status   st = list(b, c, found, &count);
    b->gpu->choices = &pinned;
    for (int i = 0; st == RF_OK && i < count; i++) {
        size_t       workspace;
        device_times times;
        pinned.row = &found[i];
        if ((b->choosing && !device_same_bytes(b, RF_LEVEL_VENDOR, c)) ||
            device_prepare(b, RF_LEVEL_VENDOR, &timed, &workspace) != RF_OK ||
            workspace > WORKSPACE || !device_time(b, RF_LEVEL_VENDOR, &timed, &times))
            continue;
        if (kept++ && times.median >= t->median) continue;
        *t = times;
        *best = found[i];
    }
    b->gpu->choices = before;
    if (!kept)
        printf("# %s %s: no algorithm of the vendor: %s\n", rf_op_name(c->op), c->row,
               st != RF_OK || !count ? rf_vendor_why(b->gpu->vendor)
                                     : "none has the same bytes in every batch");
    return kept > 0;
}

/* ---- from the tables ---------------------------------------------------------------------- */

bool device_wants(const device_bench *b, const char *row)
{
    return b->row ? !fnmatch(b->row, row, 0) : strncmp(row, "edge_", 5) != 0;
}

/* Planned batches end at 8 pictures, times two for guidance; the VAE takes a picture at a time. */
static int images_of(const device_bench *b, const char *row)
{
    enum { PLANNED_MOST = 16 };
    if (!strncmp(row, "vae_", 4)) return b->choosing ? 2 : 1;
    return b->choosing ? PLANNED_MOST : b->batch;
}

/* *weights: what was packed. */
static void *packed_gemm(device_bench *b, const rf_gemm_args *a, const void **weights)
{
    const rf_gemm_weight_shape s = {a->n, a->k, a->dtype, a->wdtype, a->act};
    const rf_ops              *ops = rf_ops_of(RF_LEVEL_SM80);
    size_t                     bytes;
    if (ops->gemm_pack_bytes(b->gpu, &s, &bytes) != RF_OK) return NULL;
    const void *w = device_random(b, a->wdtype, (size_t)a->n * (size_t)a->k);
    void       *packed = w ? device_take(b, bytes) : NULL;
    *weights = w;
    return packed && ops->gemm_pack(b->gpu, &s, packed, w) == RF_OK ? packed : NULL;
}

/* What cuBLASLt cannot do of a row it is spared: then it has less to do than we. */
static void gemm_row(device_bench *b, const char *name, rf_gemm_args a, device_row_fn *each,
                     void *user)
{
    const int    m1 = a.m;
    const size_t k1 = (size_t)(a.k1 ? a.k1 : a.k),
                 cols = (size_t)(a.act == RF_ACT_GEGLU ? a.n / 2 : a.n);
    device_call own = {.op = RF_OP_GEMM, .row = name, .images = images_of(b, name)};
    a.m *= own.images;
    const size_t m = (size_t)a.m, n = (size_t)a.n, k = (size_t)a.k;
    own.flop = 2.0 * (double)m * (double)n * (double)k;
    own.bytes = 2.0 * (double)(m * k + n * k + m * cols);
    own.out_bytes = (size_t)m1 * cols * 2;
    a.dtype = a.wdtype = b->dtype;
    a.w = packed_gemm(b, &a, &own.weights);
    a.x = device_random(b, a.dtype, m * k1);
    if (a.k1) a.x2 = device_random(b, a.dtype, m * (k - k1));
    a.bias = device_random(b, RF_F32, n);
    a.y = device_take(b, m * n * 2);
    a.workspace = device_take(b, WORKSPACE);
    own.args.gemm = a;
    device_call vendors = own;
    own.compared = "x w' + bias";
    vendors.compared = own.compared;
    if (a.act != RF_ACT_NONE || a.k1) {
        rf_gemm_args *v = &vendors.args.gemm;
        v->act = RF_ACT_NONE;
        v->k1 = 0;
        v->x2 = NULL;
        v->w = packed_gemm(b, v, &vendors.weights);
        v->x = device_random(b, a.dtype, m * k);
        vendors.out_bytes = (size_t)m1 * n * 2;
        own.compared = a.act == RF_ACT_NONE ? "two sources against one"
                                            : "with activation against x w' + bias alone";
    }
    if (!b->wrong) each(b, &own, &vendors, user);
    device_give_all(b);
}

static void conv_row(device_bench *b, const char *name, rf_conv_args a, device_row_fn *each,
                     void *user)
{
    device_call   own = {.op = RF_OP_CONV, .row = name, .images = images_of(b, name)};
    const size_t  pixels = (size_t)a.h * (size_t)a.w, c1 = (size_t)(a.cin1 ? a.cin1 : a.cin);
    const size_t  out = (size_t)rf_conv_out(a.kind, a.h) * (size_t)rf_conv_out(a.kind, a.w);
    const size_t  n = (size_t)own.images, cin = (size_t)a.cin, cout = (size_t)a.cout;
    const rf_ops *ops = rf_ops_of(RF_LEVEL_SM80);
    size_t        packed_bytes = 0;
    a.n = own.images;
    a.dtype = a.wdtype = b->dtype;
    const rf_conv_weight_shape s = {a.cin, a.cout, a.kind, a.dtype, a.wdtype};
    own.flop = 18.0 * (double)(n * out * cin * cout);
    own.bytes = 2.0 * (double)(n * pixels * cin + 9 * cin * cout + n * out * cout);
    own.out_bytes = out * cout * 2;
    if (ops->conv_pack_bytes(b->gpu, &s, &packed_bytes) != RF_OK) return;
    const void *w = device_random(b, a.wdtype, 9 * cin * cout);
    void       *packed = device_take(b, packed_bytes);
    if (w && packed && ops->conv_pack(b->gpu, &s, packed, w) == RF_OK) a.wt = packed;
    own.weights = w;
    a.x = device_random(b, a.dtype, n * pixels * c1);
    if (a.cin1) a.x2 = device_random(b, a.dtype, n * pixels * (cin - c1));
    a.bias = device_random(b, RF_F32, cout);
    a.y = device_take(b, n * out * cout * 2);
    a.workspace = device_take(b, WORKSPACE);
    own.args.conv = a;
    own.compared = a.kind == RF_CONV_UP2 ? "enlarging against an enlarged map" : "conv + bias";
    device_call vendors = own;
    if (a.cin1 || a.kind == RF_CONV_UP2) {
        rf_conv_args *v = &vendors.args.conv;
        const size_t  times = a.kind == RF_CONV_UP2 ? 4 : 1;
        if (a.cin1) own.compared = "two sources against one";
        if (times > 1) v->kind = RF_CONV_SAME, v->h *= 2, v->w *= 2;
        v->cin1 = 0;
        v->x2 = NULL;
        v->x = device_random(b, a.dtype, n * times * pixels * cin);
    }
    if (!b->wrong) each(b, &own, &vendors, user);
    device_give_all(b);
}

static void attention_row(device_bench *b, const char *name, rf_attention_args a,
                          device_row_fn *each, void *user)
{
    device_call  own = {.op = RF_OP_ATTENTION, .row = name, .images = images_of(b, name)};
    const int    width = a.heads * a.d;
    const size_t n = (size_t)own.images, sq = (size_t)a.sq, skv = (size_t)a.skv;
    a.n = own.images;
    a.dtype = b->dtype;
    a.q_stride = a.o_stride = width;
    a.kv_stride = 2 * width;
    a.scale = 1 / sqrtf((float)a.d);
    own.flop = 4.0 * (double)(n * sq * skv) * width * (a.causal ? 0.5 : 1);
    own.bytes = 4.0 * (double)(n * (sq + skv)) * width;
    own.out_bytes = sq * (size_t)width * 2;
    a.q = device_random(b, a.dtype, n * sq * (size_t)width);
    a.k = device_random(b, a.dtype, 2 * n * skv * (size_t)width);
    a.v = a.k ? (const char *)a.k + (size_t)width * 2 : NULL;
    a.o = device_take(b, n * own.out_bytes);
    a.workspace = device_take(b, WORKSPACE);
    own.args.attention = a;
    own.compared = a.causal ? "causal against all keys" : "attention";
    device_call vendors = own;
    vendors.args.attention.causal = 0;
    if (!b->wrong) each(b, &own, &vendors, user);
    device_give_all(b);
}

void device_rows(device_bench *b, rf_op_kind op, device_row_fn *each, void *user)
{
#define GEMM(name, m_, n_, k_, k1_, act_, why)                                                     \
    if (!b->wrong && (op == RF_OP_GEMM || op == RF_OP_KINDS) && device_wants(b, #name))            \
        gemm_row(b, #name, (rf_gemm_args){.m = m_, .n = n_, .k = k_, .k1 = k1_, .act = act_},      \
                 each, user);
    RF_GEMM_SHAPES(GEMM)
#undef GEMM
#define CONV(name, n_, h_, w_, cin_, cin1_, cout_, kind_, why)                                     \
    if (!b->wrong && (op == RF_OP_CONV || op == RF_OP_KINDS) && device_wants(b, #name))            \
        conv_row(b, #name,                                                                         \
                 (rf_conv_args){                                                                   \
                     .h = h_, .w = w_, .cin = cin_, .cin1 = cin1_, .cout = cout_, .kind = kind_},  \
                 each, user);
    RF_CONV_SHAPES(CONV)
#undef CONV
#define ATTENTION(name, n_, sq_, skv_, heads_, d_, causal_, why)                                   \
    if (!b->wrong && (op == RF_OP_ATTENTION || op == RF_OP_KINDS) && device_wants(b, #name))       \
        attention_row(b, #name,                                                                    \
                      (rf_attention_args){                                                         \
                          .sq = sq_, .skv = skv_, .heads = heads_, .d = d_, .causal = causal_},    \
                      each, user);
    RF_ATTENTION_SHAPES(ATTENTION)
#undef ATTENTION
}
