/* Decoding latents by a tiny autoencoder; see taesd.h.
 *
 * Every convolution is followed by a ReLU or by nothing, and residuals are added before it: each
 * layer is one op, on three maps. */
#include "engine/model/taesd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STAGES = 4, LAST = 18 }; /* names count the layers: the last one's number behind the first */

static const int blocks_of[STAGES] = {3, 3, 3, 1};

typedef struct decoder {
    rf_recorder         *r;
    const rf_taesd_args *a;
    int                  h, w;
} decoder;

static void *new_map(const decoder *d)
{
    const rf_taesd_args *a = d->a;
    return rf_take(d->r, (size_t)a->n * (size_t)d->h * (size_t)d->w * (size_t)a->arch->width);
}

static rf_conv_args conv_of(const decoder *d, void *y, const void *x, int relu)
{
    return (rf_conv_args){.y = y,
                          .x = x,
                          .n = d->a->n,
                          .h = d->h,
                          .w = d->w,
                          .cin = d->a->arch->width,
                          .cout = d->a->arch->width,
                          .relu = relu};
}

/* x = relu(x + conv(relu(conv(relu(conv(x)))))) */
static void block(const decoder *d, void *x, int number)
{
    rf_recorder *r = d->r;
    const size_t mark = rf_enter(r, "%d.conv", number);
    void        *a = new_map(d), *b = new_map(d);
    rf_do_conv(r, conv_of(d, a, x, 1), "0");
    rf_do_conv(r, conv_of(d, b, a, 1), "2");
    rf_give(r, a);
    rf_conv_args last = conv_of(d, x, b, 1);
    last.residual = x;
    rf_do_conv(r, last, "4");
    rf_give(r, b);
    rf_leave(r, mark);
}

typedef struct layer_name {
    char text[12];
} layer_name;

static layer_name name_of(int number)
{
    layer_name name;
    snprintf(name.text, sizeof name.text, "%d", number);
    return name;
}

static void *enlarge(decoder *d, void *x, int number)
{
    rf_conv_args up = conv_of(d, NULL, x, 0);
    d->h *= 2;
    d->w *= 2;
    up.y = new_map(d);
    up.kind = RF_CONV_UP2;
    rf_do_conv_bare(d->r, up, name_of(number).text);
    rf_give(d->r, x);
    return up.y;
}

static void *first_layer(const decoder *d)
{
    void        *x = new_map(d);
    rf_conv_args in = conv_of(d, x, d->a->latent, 1);
    in.cin = 4;
    rf_do_conv(d->r, in, name_of(d->a->arch->first).text);
    return x;
}

static void last_layer(const decoder *d, void *x)
{
    const rf_taesd_args *a = d->a;
    void                *rgb = rf_take(d->r, (size_t)a->n * (size_t)d->h * (size_t)d->w * 3);
    rf_conv_args         out = conv_of(d, rgb, x, 0);
    out.cout = 3;
    rf_do_conv(d->r, out, name_of(a->arch->first + LAST).text);
    rf_give(d->r, x);
    rf_do_pixels(
        d->r,
        (rf_pixels_args){.y = a->pixels, .x = rgb, .stats = a->stats, .n = a->n, .hw = d->h * d->w},
        "pixels");
    rf_give(d->r, rgb);
}

void rf_taesd_decode(rf_recorder *r, const void *arg)
{
    const rf_taesd_args *a = arg;
    decoder              d = {.r = r, .a = a, .h = a->h, .w = a->w};
    int                  number = a->arch->first + 2; /* behind a convolution and its ReLU */
    void                *x = first_layer(&d);
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < blocks_of[stage]; i++) block(&d, x, number++);
        if (stage == STAGES - 1) break;
        number++; /* enlarging has a number of its own */
        x = enlarge(&d, x, number++);
    }
    last_layer(&d, x);
}

void rf_taesd_enter(void *to, rf_dtype dtype, const float *latent, size_t count)
{
    for (size_t i = 0; i < count; i++) rf_store(to, dtype, i, 3 * tanhf(latent[i] / 3));
}

/* ---- its last layer ----------------------------------------------------------------------- */

enum { NAME_BYTES = 64 };

static int is_of_last(const rf_taesd_arch *arch, const char *tensor, const char *leaf)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%d.%s", arch->prefix, arch->first + LAST, leaf);
    return strcmp(tensor, name) == 0;
}

static int touches(const void *user, const char *tensor)
{
    return is_of_last(user, tensor, "weight") || is_of_last(user, tensor, "bias");
}

/* From v to 2 v - 1. */
static rf_status widen(const void *user, const rf_tensor *tensor, float *whole, int threads,
                       rf_error *err)
{
    const float less = is_of_last(user, tensor->name, "bias") ? 1 : 0;
    (void)threads, (void)err;
    for (uint64_t i = 0; i < tensor->elems; i++) whole[i] = 2 * whole[i] - less;
    return RF_OK;
}

rf_weights_patch rf_taesd_patch(const rf_taesd_arch *arch)
{
    return (rf_weights_patch){.touches = touches, .apply = widen, .user = arch};
}
