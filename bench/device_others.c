/* Calls of groupnorm, layernorm, lincomb, pixels and latent_rgb on a GPU, as many images as the
 * rows of their shape tables have: bound by memory, and the vendor has none of them to compare
 * with.  bytes: every input and output once. */
#include "bench/device_bench.h"

static void time_row(device_bench *b, const device_call *c, device_row_fn *each, void *user)
{
    if (!b->wrong) each(b, c, NULL, user);
    device_give_all(b);
}

static void groupnorm_row(device_bench *b, const char *name, rf_groupnorm_args a,
                          device_row_fn *each, void *user)
{
    const size_t pixels = (size_t)a.n * (size_t)a.hw, c = (size_t)a.c;
    const size_t c1 = a.c1 ? (size_t)a.c1 : c, size = rf_dtype_bytes(b->dtype);
    device_call  call = {.op = RF_OP_GROUPNORM, .row = name, .images = a.n};
    size_t       workspace = 0;
    a.eps = 1e-5f, a.silu = 1, a.dtype = b->dtype;
    a.x = device_random(b, a.dtype, pixels * c1);
    if (a.c1) a.x2 = device_random(b, a.dtype, pixels * (c - c1));
    a.gamma = device_random(b, RF_F32, c);
    a.beta = device_random(b, RF_F32, c);
    a.y = device_take(b, pixels * c * size);
    call.args.groupnorm = a;
    if (!b->wrong && device_ok(b, device_prepare(b, RF_LEVEL_SM80, &call, &workspace)))
        call.args.groupnorm.workspace = device_take(b, workspace);
    call.bytes = 2.0 * (double)(pixels * c * size);
    call.out_bytes = (size_t)a.hw * c * size;
    time_row(b, &call, each, user);
}

static void layernorm_row(device_bench *b, const char *name, rf_layernorm_args a,
                          device_row_fn *each, void *user)
{
    const size_t elems = (size_t)a.m * (size_t)a.c, bytes = elems * rf_dtype_bytes(b->dtype);
    device_call  call = {.op = RF_OP_LAYERNORM, .row = name, .images = 1};
    a.eps = 1e-5f, a.dtype = b->dtype;
    a.x = device_random(b, a.dtype, elems);
    a.gamma = device_random(b, RF_F32, (size_t)a.c);
    a.beta = device_random(b, RF_F32, (size_t)a.c);
    a.y = device_take(b, bytes);
    call.args.layernorm = a;
    call.bytes = 2.0 * (double)bytes;
    call.out_bytes = bytes;
    time_row(b, &call, each, user);
}

/* Terms and result are f32, whatever the type of the others. */
static void lincomb_row(device_bench *b, const char *name, rf_lincomb_args a, device_row_fn *each,
                        void *user)
{
    const size_t elems = (size_t)a.n * (size_t)a.e;
    device_call  call = {.op = RF_OP_LINCOMB, .row = name, .images = a.n};
    a.ydtype = RF_F32;
    for (int j = 0; j < a.terms; j++) {
        a.x[j] = device_random(b, RF_F32, elems);
        a.xdtype[j] = RF_F32;
    }
    a.coef = device_random(b, RF_F32, (size_t)a.n * (size_t)a.terms);
    a.y = device_take(b, elems * sizeof(float));
    call.args.lincomb = a;
    call.bytes = (1.0 + a.terms) * sizeof(float) * (double)elems;
    call.out_bytes = (size_t)a.e * sizeof(float);
    time_row(b, &call, each, user);
}

static void pixels_row(device_bench *b, const char *name, rf_pixels_args a, device_row_fn *each,
                       void *user)
{
    const size_t elems = (size_t)a.n * (size_t)a.hw * 3;
    device_call  call = {.op = RF_OP_PIXELS, .row = name, .images = a.n};
    a.dtype = b->dtype;
    a.x = device_random(b, a.dtype, elems);
    a.y = device_take(b, elems);
    a.stats = device_take(b, (size_t)a.n * sizeof *a.stats);
    call.args.pixels = a;
    call.bytes = (double)(elems * (rf_dtype_bytes(a.dtype) + 1));
    call.out_bytes = (size_t)a.hw * 3;
    time_row(b, &call, each, user);
}

/* f32 in, bytes out, whatever the type of the others. */
static void latent_rgb_row(device_bench *b, const char *name, rf_latent_rgb_args a,
                           device_row_fn *each, void *user)
{
    const size_t pixels = (size_t)a.n * (size_t)a.hw;
    device_call  call = {.op = RF_OP_LATENT_RGB, .row = name, .images = a.n};
    a.x = device_random(b, RF_F32, pixels * 4);
    a.map = device_random(b, RF_F32, 15);
    a.scale = device_random(b, RF_F32, (size_t)a.n);
    a.y = device_take(b, pixels * 3);
    call.args.latent_rgb = a;
    call.bytes = (4 * sizeof(float) + 3) * (double)pixels;
    call.out_bytes = (size_t)a.hw * 3;
    time_row(b, &call, each, user);
}

void device_other_rows(device_bench *b, rf_op_kind op, device_row_fn *each, void *user)
{
#define GROUPNORM(name, n_, hw_, c_, c1_, groups_, why)                                            \
    if (!b->wrong && op == RF_OP_GROUPNORM && device_wants(b, #name))                              \
        groupnorm_row(                                                                             \
            b, #name,                                                                              \
            (rf_groupnorm_args){.n = n_, .hw = hw_, .c = c_, .c1 = c1_, .groups = groups_}, each,  \
            user);
    RF_GROUPNORM_SHAPES(GROUPNORM)
#undef GROUPNORM
#define LAYERNORM(name, m_, c_, why)                                                               \
    if (!b->wrong && op == RF_OP_LAYERNORM && device_wants(b, #name))                              \
        layernorm_row(b, #name, (rf_layernorm_args){.m = m_, .c = c_}, each, user);
    RF_LAYERNORM_SHAPES(LAYERNORM)
#undef LAYERNORM
#define LINCOMB(name, n_, e_, terms_, why)                                                         \
    if (!b->wrong && op == RF_OP_LINCOMB && device_wants(b, #name))                                \
        lincomb_row(b, #name, (rf_lincomb_args){.n = n_, .e = e_, .terms = terms_}, each, user);
    RF_LINCOMB_SHAPES(LINCOMB)
#undef LINCOMB
#define PIXELS(name, n_, hw_, why)                                                                 \
    if (!b->wrong && op == RF_OP_PIXELS && device_wants(b, #name))                                 \
        pixels_row(b, #name, (rf_pixels_args){.n = n_, .hw = hw_}, each, user);
    RF_PIXELS_SHAPES(PIXELS)
#undef PIXELS
#define LATENT_RGB(name, n_, hw_, why)                                                             \
    if (!b->wrong && op == RF_OP_LATENT_RGB && device_wants(b, #name))                             \
        latent_rgb_row(b, #name, (rf_latent_rgb_args){.n = n_, .hw = hw_}, each, user);
    RF_LATENT_RGB_SHAPES(LATENT_RGB)
#undef LATENT_RGB
}
