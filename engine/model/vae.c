/* Decoding and encoding latents; see vae.h.  At 1024x1024 the top maps are half a gigabyte, so
 * every ResBlock normalises in place and at most three maps live at once. */
#include "engine/model/vae.h"

#include <math.h>
#include <stdint.h>

typedef struct map {
    void *p;
    int   h, w, c;
} map;

typedef struct coder {
    rf_recorder       *r;
    const rf_vae_arch *arch;
    int                n;
} coder;

static const float epsilon = 1e-6f;

static map new_map(coder *d, int h, int w, int c)
{
    const size_t elems = (size_t)d->n * (size_t)h * (size_t)w * (size_t)c;
    return (map){.p = rf_take(d->r, elems), .h = h, .w = w, .c = c};
}

static void norm(coder *d, void *y, map x, int silu, const char *name)
{
    rf_do_groupnorm(d->r,
                    (rf_groupnorm_args){.y = y,
                                        .x = x.p,
                                        .n = d->n,
                                        .hw = x.h * x.w,
                                        .c = x.c,
                                        .groups = d->arch->groups,
                                        .eps = epsilon,
                                        .silu = silu},
                    name);
}

static void conv(coder *d, map y, map x, rf_conv_kind kind, const void *residual, const char *name)
{
    rf_do_conv(d->r,
               (rf_conv_args){.y = y.p,
                              .x = x.p,
                              .residual = residual,
                              .n = d->n,
                              .h = x.h,
                              .w = x.w,
                              .cin = x.c,
                              .cout = y.c,
                              .kind = kind},
               name);
}

static void linear(coder *d, map y, map x, const void *residual, const char *name)
{
    rf_do_linear(
        d->r,
        (rf_gemm_args){
            .y = y.p, .x = x.p, .residual = residual, .m = d->n * x.h * x.w, .n = y.c, .k = x.c},
        name);
}

/* Same width: h = conv1(norm(x)); x += conv2(norm(h)).  x stays, its buffer holds the result. */
static map res_same(coder *d, map x)
{
    const map normed = new_map(d, x.h, x.w, x.c);
    norm(d, normed.p, x, 1, "norm1");
    const map h = new_map(d, x.h, x.w, x.c);
    conv(d, h, normed, RF_CONV_SAME, NULL, "conv1");
    rf_give(d->r, normed.p);
    norm(d, h.p, h, 1, "norm2");
    conv(d, x, h, RF_CONV_SAME, x.p, "conv2");
    rf_give(d->r, h.p);
    return x;
}

/* Other width: the shortcut is taken first, then x is normalised in place. */
static map res_change(coder *d, map x, int cout)
{
    const map y = new_map(d, x.h, x.w, cout);
    linear(d, y, x, NULL, "nin_shortcut");
    norm(d, x.p, x, 1, "norm1");
    const map h = new_map(d, x.h, x.w, cout);
    conv(d, h, x, RF_CONV_SAME, NULL, "conv1");
    rf_give(d->r, x.p);
    norm(d, h.p, h, 1, "norm2");
    conv(d, y, h, RF_CONV_SAME, y.p, "conv2");
    rf_give(d->r, h.p);
    return y;
}

static map res_block(coder *d, map x, int cout, const char *scope, int index)
{
    const size_t mark = rf_enter(d->r, "%s%d", scope, index);
    const map    y = cout == x.c ? res_same(d, x) : res_change(d, x, cout);
    rf_leave(d->r, mark);
    return y;
}

/* One head over all pixels, as wide as the map. */
static void self_attention(coder *d, map x)
{
    rf_recorder *r = d->r;
    const int    c = x.c, hw = x.h * x.w, m = d->n * hw;
    const size_t mark = rf_enter(r, "attn_1");
    const map    t = new_map(d, x.h, x.w, c);
    void        *qkv = rf_take(r, (size_t)m * 3 * (size_t)c);

    norm(d, t.p, x, 0, "norm");
    rf_do_gemm(r, (rf_gemm_args){.y = qkv, .x = t.p, .m = m, .n = 3 * c, .k = c},
               &(rf_gemm_layer){.weight = {"q.weight", "k.weight", "v.weight"},
                                .bias = {"q.bias", "k.bias", "v.bias"}});
    rf_do_attention(r,
                    (rf_attention_args){.o = t.p,
                                        .q = qkv,
                                        .k = rf_offset(r, qkv, (size_t)c),
                                        .v = rf_offset(r, qkv, 2 * (size_t)c),
                                        .n = d->n,
                                        .sq = hw,
                                        .skv = hw,
                                        .heads = 1,
                                        .d = c,
                                        .q_stride = 3 * c,
                                        .kv_stride = 3 * c,
                                        .o_stride = c,
                                        .scale = (float)(1.0 / sqrt((double)c))},
                    "attention");
    rf_give(r, qkv);
    linear(d, x, t, x.p, "proj_out");
    rf_give(r, t.p);
    rf_leave(r, mark);
}

static map middle(coder *d, map x)
{
    const size_t mark = rf_enter(d->r, "mid");
    x = res_block(d, x, x.c, "block_", 1);
    self_attention(d, x);
    x = res_block(d, x, x.c, "block_", 2);
    rf_leave(d->r, mark);
    return x;
}

/* ---- decoding ------------------------------------------------------------------------------ */

/* Latent to the decoder's input: unscale, then the 1x1 that follows quantisation in training. */
static map enter_latent(coder *d, const rf_vae_decode_args *a)
{
    const int z = a->arch->z;
    const map raw = new_map(d, a->h, a->w, z), x = new_map(d, a->h, a->w, z);
    rf_do_lincomb(d->r,
                  (rf_lincomb_args){.y = raw.p,
                                    .x = {a->latent},
                                    .coef = a->unscale,
                                    .xdtype = {RF_F32},
                                    .n = a->n,
                                    .e = a->h * a->w * z,
                                    .terms = 1,
                                    .ydtype = d->r->dtype},
                  "unscale");
    linear(d, x, raw, NULL, "post_quant_conv");
    rf_give(d->r, raw.p);
    return x;
}

void rf_vae_decode(rf_recorder *r, const void *arg)
{
    const rf_vae_decode_args *a = arg;
    const rf_vae_arch        *arch = a->arch;
    coder                     d = {.r = r, .arch = arch, .n = a->n};
    const map                 z = enter_latent(&d, a);
    const size_t              mark = rf_enter(r, "decoder");

    map x = new_map(&d, a->h, a->w, arch->width * arch->mult[arch->levels - 1]);
    conv(&d, x, z, RF_CONV_SAME, NULL, "conv_in");
    rf_give(r, z.p);
    x = middle(&d, x);

    for (int level = arch->levels - 1; level >= 0; level--) {
        const size_t up = rf_enter(r, "up.%d", level);
        for (int i = 0; i <= arch->blocks; i++)
            x = res_block(&d, x, arch->width * arch->mult[level], "block.", i);
        if (level > 0) {
            const map y = new_map(&d, x.h * 2, x.w * 2, x.c);
            conv(&d, y, x, RF_CONV_UP2, NULL, "upsample.conv");
            rf_give(r, x.p);
            x = y;
        }
        rf_leave(r, up);
    }
    norm(&d, x.p, x, 1, "norm_out");
    const map rgb = new_map(&d, x.h, x.w, 3);
    conv(&d, rgb, x, RF_CONV_SAME, NULL, "conv_out");
    rf_give(r, x.p);
    rf_do_pixels(
        r,
        (rf_pixels_args){.y = a->pixels, .x = rgb.p, .stats = a->stats, .n = a->n, .hw = x.h * x.w},
        "pixels");
    rf_give(r, rgb.p);
    rf_leave(r, mark);
}

/* ---- encoding ------------------------------------------------------------------------------ */

/* The pixels' map is the caller's and is not given back. */
static map go_down(coder *d, map pixels)
{
    const rf_vae_arch *arch = d->arch;
    map                x = new_map(d, pixels.h, pixels.w, arch->width);
    conv(d, x, pixels, RF_CONV_SAME, NULL, "conv_in");
    for (int level = 0; level < arch->levels; level++) {
        const size_t down = rf_enter(d->r, "down.%d", level);
        for (int i = 0; i < arch->blocks; i++)
            x = res_block(d, x, arch->width * arch->mult[level], "block.", i);
        if (level + 1 < arch->levels) {
            const map y = new_map(d, x.h / 2, x.w / 2, x.c);
            conv(d, y, x, RF_CONV_DOWN_RB, NULL, "downsample.conv");
            rf_give(d->r, x.p);
            x = y;
        }
        rf_leave(d->r, down);
    }
    return x;
}

void rf_vae_encode(rf_recorder *r, const void *arg)
{
    const rf_vae_encode_args *a = arg;
    const rf_vae_arch        *arch = a->arch;
    coder                     d = {.r = r, .arch = arch, .n = a->n};
    const int                 scale = 1 << (arch->levels - 1), wide = 2 * arch->z;
    const size_t              mark = rf_enter(r, "encoder");
    map                       pixels = {.h = a->h * scale, .w = a->w * scale, .c = 3};
    pixels.p = (void *)(uintptr_t)a->pixels; /* read, never written */

    map x = middle(&d, go_down(&d, pixels));
    norm(&d, x.p, x, 1, "norm_out");
    const map moments = new_map(&d, x.h, x.w, wide);
    conv(&d, moments, x, RF_CONV_SAME, NULL, "conv_out");
    rf_give(r, x.p);
    rf_leave(r, mark);
    linear(&d, (map){.p = a->moments, .h = x.h, .w = x.w, .c = wide}, moments, NULL, "quant_conv");
    rf_give(r, moments.p);
}
