/* The denoiser's forward pass; see unet.h.  Shapes are [n, h, w, c], channels last. */
#include "engine/model/unet.h"

#include <math.h>

/* A feature map and who owns it: `kept` maps stay for the way up. */
typedef struct map {
    void *p;
    int   h, w, c;
    int   kept;
} map;

typedef struct forward {
    rf_recorder                *r;
    const rf_unet_forward_args *a;
    map                         skip[RF_UNET_BLOCKS];
    int                         skips;
} forward;

static const float epsilon_res = 1e-5f;  /* ResBlock and output norms */
static const float epsilon_attn = 1e-6f; /* SpatialTransformer's GroupNorm */
static const float epsilon_layer = 1e-5f;

static size_t elems(const forward *f, int h, int w, int c)
{
    return (size_t)f->a->n * (size_t)h * (size_t)w * (size_t)c;
}

static map new_map(forward *f, int h, int w, int c)
{
    return (map){.p = rf_take(f->r, elems(f, h, w, c)), .h = h, .w = w, .c = c};
}

/* A map that no skip needs any more goes back to the arena. */
static void drop(forward *f, map m)
{
    if (!m.kept) rf_give(f->r, m.p);
}

static map convolve(forward *f, map x, int cout, rf_conv_kind kind, const char *name)
{
    const map y = new_map(f, rf_conv_out(kind, x.h), rf_conv_out(kind, x.w), cout);
    rf_do_conv(f->r,
               (rf_conv_args){.y = y.p,
                              .x = x.p,
                              .n = f->a->n,
                              .h = x.h,
                              .w = x.w,
                              .cin = x.c,
                              .cout = cout,
                              .kind = kind},
               name);
    return y;
}

/* An odd-sized skip is met by resizing the map from below, after its convolution (as A1111 does).
 */
static map match_size(forward *f, map x, map skip)
{
    if (x.h == skip.h && x.w == skip.w) return x;
    const map y = new_map(f, skip.h, skip.w, x.c);
    rf_do_resize(
        f->r,
        (rf_resize_args){
            .y = y.p, .x = x.p, .n = f->a->n, .h = x.h, .w = x.w, .c = x.c, .ho = y.h, .wo = y.w},
        "resize");
    drop(f, x);
    return y;
}

/* y = conv(silu(norm(conv(silu(norm([x, skip]))) + time))) + shortcut([x, skip]) */
static map res_block(forward *f, const rf_unet_block *b, map x)
{
    rf_recorder *r = f->r;
    map          skip = {0};
    if (b->skip) {
        skip = f->skip[--f->skips];
        skip.kept = 0; /* used here for the last time */
        x = match_size(f, x, skip);
    }
    const int   n = f->a->n, c = b->cin + b->skip, groups = f->a->arch->groups;
    const int   hw = x.h * x.w, split = b->skip ? b->cin : 0;
    const map   h = new_map(f, x.h, x.w, b->cout), normed = new_map(f, x.h, x.w, c);
    const int   shortcut = c != b->cout || b->skip;
    const void *temb = rf_offset(r, f->a->temb, b->temb_offset * (size_t)f->a->temb_rows);

    rf_do_groupnorm(r,
                    (rf_groupnorm_args){.y = normed.p,
                                        .x = x.p,
                                        .x2 = skip.p,
                                        .n = n,
                                        .hw = hw,
                                        .c = c,
                                        .c1 = split,
                                        .groups = groups,
                                        .eps = epsilon_res,
                                        .silu = 1},
                    "in_layers.0");
    rf_do_conv(r,
               (rf_conv_args){.y = h.p,
                              .x = normed.p,
                              .temb = temb,
                              .temb_row = f->a->temb_row,
                              .temb_stride = b->cout,
                              .n = n,
                              .h = x.h,
                              .w = x.w,
                              .cin = c,
                              .cout = b->cout},
               "in_layers.2");
    drop(f, normed);
    const map y = new_map(f, x.h, x.w, b->cout);
    rf_do_groupnorm(r,
                    (rf_groupnorm_args){.y = h.p,
                                        .x = h.p,
                                        .n = n,
                                        .hw = hw,
                                        .c = b->cout,
                                        .groups = groups,
                                        .eps = epsilon_res,
                                        .silu = 1},
                    "out_layers.0");
    if (shortcut)
        rf_do_linear(
            r,
            (rf_gemm_args){
                .y = y.p, .x = x.p, .x2 = skip.p, .m = n * hw, .n = b->cout, .k = c, .k1 = split},
            "skip_connection");
    rf_do_conv(r,
               (rf_conv_args){.y = y.p,
                              .x = h.p,
                              .residual = shortcut ? y.p : x.p,
                              .n = n,
                              .h = x.h,
                              .w = x.w,
                              .cin = b->cout,
                              .cout = b->cout},
               "out_layers.3");
    drop(f, h);
    drop(f, x);
    if (b->skip) drop(f, skip);
    return y;
}

static void layer_norm(forward *f, void *y, const void *x, int m, int c, const char *name)
{
    rf_do_layernorm(f->r, (rf_layernorm_args){.y = y, .x = x, .m = m, .c = c, .eps = epsilon_layer},
                    name);
}

/* h += out(attention(...)); q and, for self attention, k and v come from `normed`. */
static void attention(forward *f, const rf_unet_block *b, map h, void *normed, int layer, int cross)
{
    rf_recorder *r = f->r;
    const int    c = h.c, n = f->a->n, hw = h.h * h.w, m = n * hw, d = f->a->arch->head;
    const int    stride = cross ? c : 3 * c;
    const size_t mark = rf_enter(r, cross ? "attn2" : "attn1");
    void        *q = rf_take(r, (size_t)m * (size_t)stride);

    rf_do_gemm(r, (rf_gemm_args){.y = q, .x = normed, .m = m, .n = stride, .k = c},
               cross ? &(rf_gemm_layer){.weight = {"to_q.weight"}}
                     : &(rf_gemm_layer){.weight = {"to_q.weight", "to_k.weight", "to_v.weight"}});
    rf_attention_args args = {.o = normed,
                              .q = q,
                              .n = n,
                              .sq = hw,
                              .heads = c / d,
                              .d = d,
                              .q_stride = stride,
                              .o_stride = c,
                              .scale = (float)(1.0 / sqrt((double)d))};
    if (cross) {
        args.table = f->a->kv;
        args.skv = f->a->kv_tokens;
        args.kv_stride = 2 * c;
        args.kv_off = b->kv_offset + 2 * (size_t)c * (size_t)layer;
    } else {
        args.k = rf_offset(r, q, (size_t)c);
        args.v = rf_offset(r, q, 2 * (size_t)c);
        args.skv = hw;
        args.kv_stride = stride;
    }
    rf_do_attention(r, args, "attention");
    rf_give(r, q);
    rf_do_linear(r, (rf_gemm_args){.y = h.p, .x = normed, .residual = h.p, .m = m, .n = c, .k = c},
                 "to_out.0");
    rf_leave(r, mark);
}

static void feed_forward(forward *f, map h, void *normed)
{
    const int m = f->a->n * h.h * h.w, c = h.c;
    void     *gated = rf_take(f->r, (size_t)m * 4 * (size_t)c);
    rf_do_linear(
        f->r,
        (rf_gemm_args){.y = gated, .x = normed, .m = m, .n = 8 * c, .k = c, .act = RF_ACT_GEGLU},
        "ff.net.0.proj");
    rf_do_linear(f->r,
                 (rf_gemm_args){.y = h.p, .x = gated, .residual = h.p, .m = m, .n = c, .k = 4 * c},
                 "ff.net.2");
    rf_give(f->r, gated);
}

/* x += out(blocks(in(norm(x)))), in place: no skip ever holds a SpatialTransformer's input. */
static map spatial_transformer(forward *f, const rf_unet_block *b, map x)
{
    rf_recorder *r = f->r;
    const int    n = f->a->n, hw = x.h * x.w, m = n * hw, c = x.c;
    const map    h = new_map(f, x.h, x.w, c), normed = new_map(f, x.h, x.w, c);

    rf_do_groupnorm(r,
                    (rf_groupnorm_args){.y = normed.p,
                                        .x = x.p,
                                        .n = n,
                                        .hw = hw,
                                        .c = c,
                                        .groups = f->a->arch->groups,
                                        .eps = epsilon_attn},
                    "norm");
    rf_do_linear(r, (rf_gemm_args){.y = h.p, .x = normed.p, .m = m, .n = c, .k = c}, "proj_in");
    for (int layer = 0; layer < b->depth; layer++) {
        const size_t mark = rf_enter(r, "transformer_blocks.%d", layer);
        layer_norm(f, normed.p, h.p, m, c, "norm1");
        attention(f, b, h, normed.p, layer, 0);
        layer_norm(f, normed.p, h.p, m, c, "norm2");
        attention(f, b, h, normed.p, layer, 1);
        layer_norm(f, normed.p, h.p, m, c, "norm3");
        feed_forward(f, h, normed.p);
        rf_leave(r, mark);
    }
    rf_do_linear(r, (rf_gemm_args){.y = x.p, .x = h.p, .residual = x.p, .m = m, .n = c, .k = c},
                 "proj_out");
    drop(f, normed);
    drop(f, h);
    return x;
}

static map scoped_block(forward *f, const rf_unet_block *b, map x)
{
    const size_t mark = rf_enter(f->r, "%s", b->path);
    const map    y = b->kind == RF_UNET_RES ? res_block(f, b, x) : spatial_transformer(f, b, x);
    rf_leave(f->r, mark);
    return y;
}

static map conv_block(forward *f, const rf_unet_block *b, map x)
{
    const rf_conv_kind kind = b->kind == RF_UNET_DOWN ? RF_CONV_DOWN
                              : b->kind == RF_UNET_UP ? RF_CONV_UP2
                                                      : RF_CONV_SAME;
    const map          y = convolve(f, x, b->cout, kind, b->path);
    drop(f, x);
    return y;
}

void rf_unet_forward(rf_recorder *r, const void *arg)
{
    const rf_unet_forward_args *a = arg;
    forward                     f = {.r = r, .a = a};
    map h = {.p = (void *)a->x, .h = a->h, .w = a->w, .c = a->arch->in_channels, .kept = 1};

    for (int i = 0; i < a->list->count; i++) {
        const rf_unet_block *b = &a->list->block[i];
        h = b->kind == RF_UNET_RES || b->kind == RF_UNET_ATTN ? scoped_block(&f, b, h)
                                                              : conv_block(&f, b, h);
        if (b->keep) {
            h.kept = 1;
            f.skip[f.skips++] = h;
        }
    }
    rf_do_groupnorm(r,
                    (rf_groupnorm_args){.y = h.p,
                                        .x = h.p,
                                        .n = a->n,
                                        .hw = a->h * a->w,
                                        .c = h.c,
                                        .groups = a->arch->groups,
                                        .eps = epsilon_res,
                                        .silu = 1},
                    "out.0");
    rf_do_conv(r,
               (rf_conv_args){.y = a->y,
                              .x = h.p,
                              .n = a->n,
                              .h = a->h,
                              .w = a->w,
                              .cin = h.c,
                              .cout = a->arch->out_channels},
               "out.2");
    drop(&f, h);
}
