/* What a call computes against the reference, before it is timed.
 *
 * The reference is slow, so it is asked for what the output begins with: two rows of a product,
 * some pixels of a convolution, two queries, the first image.  Inputs are read back from the
 * device. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device_bench.h"

enum { HELD_MOST = 16, CHECKED_ROWS = 2, CHECKED_MOST = 1 << 24, CHECKED_COLUMNS = 16 };

/* Host memory of one check; what is missing of it is told once, by `lacks`. */
typedef struct check {
    device_bench *b;
    void         *held[HELD_MOST];
    int           count;
    bool          lacks;
    const float  *want; /* [elems], or NULL */
    size_t        elems;
} check;

static void *hold(check *k, size_t bytes)
{
    void *at = k->count < HELD_MOST ? calloc(1, bytes) : NULL;
    if (!at) return k->lacks = true, NULL;
    return k->held[k->count++] = at;
}

/* `elems` of the device's, as f32; NULL for NULL. */
static float *read_back(check *k, const void *device, rf_dtype dtype, size_t elems)
{
    if (!device || !elems) return NULL;
    const size_t bytes = elems * rf_dtype_bytes(dtype);
    void        *raw = malloc(bytes);
    float       *wide = hold(k, elems * sizeof *wide);
    if (!raw || !wide || !device_get(k->b, raw, device, bytes))
        k->lacks = true;
    else
        for (size_t i = 0; i < elems; i++) wide[i] = rf_load(raw, dtype, i);
    free(raw);
    return wide;
}

static void want(check *k, rf_status st, const float *y, size_t elems)
{
    if (st != RF_OK) k->lacks = true;
    k->want = y;
    k->elems = elems;
}

static void want_gemm(check *k, const device_call *c)
{
    rf_gemm_args a = c->args.gemm;
    if (a.m > CHECKED_ROWS) a.m = CHECKED_ROWS;
    const size_t m = (size_t)a.m, n = (size_t)a.n, all = (size_t)a.k,
                 k1 = a.k1 ? (size_t)a.k1 : all, cols = a.act == RF_ACT_GEGLU ? n / 2 : n;
    float *y = hold(k, m * cols * sizeof *y);
    a.x = read_back(k, a.x, a.dtype, m * k1);
    a.x2 = read_back(k, a.x2, a.dtype, m * (all - k1));
    a.w = read_back(k, c->weights, a.wdtype, n * all);
    a.bias = read_back(k, a.bias, RF_F32, n);
    a.y = y, a.workspace = NULL, a.dtype = a.wdtype = RF_F32;
    want(k, k->lacks ? RF_E_NOMEM : rf_gemm_ref(NULL, &a), y, m * cols);
}

/* The first `columns` of each of the first `rows` of a map of `width`. */
static float *corner(check *k, const void *x, const rf_conv_args *a, size_t rows, size_t columns,
                     size_t channels)
{
    const size_t width = (size_t)a->w;
    float       *whole = read_back(k, x, a->dtype, rows * width * channels);
    float       *cut = whole ? hold(k, rows * columns * channels * sizeof *cut) : NULL;
    for (size_t i = 0; cut && i < rows; i++)
        memcpy(cut + i * columns * channels, whole + i * width * channels,
               columns * channels * sizeof *cut);
    return cut;
}

/* The beginning of the first row, which a corner of the map decides: what the cut there would
 * change is left out. */
static void want_conv(check *k, const device_call *c)
{
    rf_conv_args               a = c->args.conv;
    const rf_conv_weight_shape shape = {a.cin, a.cout, a.kind, RF_F32, RF_F32};
    const bool                 down = a.kind == RF_CONV_DOWN || a.kind == RF_CONV_DOWN_RB;
    const int                  columns = a.w > CHECKED_COLUMNS ? CHECKED_COLUMNS : a.w;
    const size_t               weights = (size_t)a.cout * (size_t)a.cin * 9;
    const size_t               c1 = (size_t)(a.cin1 ? a.cin1 : a.cin);
    int                        valid = rf_conv_out(a.kind, columns);
    if (columns < a.w) valid /= 2;
    if (a.h > 3) a.h = down ? 4 : 3;
    a.x = corner(k, a.x, &a, (size_t)a.h, (size_t)columns, c1);
    a.x2 = corner(k, a.x2, &a, (size_t)a.h, (size_t)columns, (size_t)a.cin - c1);
    a.n = 1, a.w = columns;
    const size_t out = (size_t)rf_conv_out(a.kind, a.h) * (size_t)rf_conv_out(a.kind, a.w);
    float       *y = hold(k, out * (size_t)a.cout * sizeof *y), *wt = hold(k, weights * sizeof *wt);
    const float *w = read_back(k, c->weights, a.wdtype, weights);
    a.bias = read_back(k, a.bias, RF_F32, (size_t)a.cout);
    a.wt = wt, a.y = y, a.workspace = NULL, a.dtype = a.wdtype = RF_F32;
    if (!k->lacks) k->lacks = rf_conv_pack_ref(NULL, &shape, wt, w) != RF_OK;
    want(k, k->lacks ? RF_E_NOMEM : rf_conv_ref(NULL, &a), y, (size_t)valid * (size_t)a.cout);
}

/* A query depends on no other. */
static void want_attention(check *k, const device_call *c)
{
    rf_attention_args a = c->args.attention;
    const size_t      width = (size_t)a.heads * (size_t)a.d;
    if (!a.causal && a.sq > CHECKED_ROWS) a.sq = CHECKED_ROWS;
    const size_t elems = (size_t)a.sq * width;
    float       *y = hold(k, elems * sizeof *y);
    const float *kv = read_back(k, a.k, a.dtype, 2 * (size_t)a.skv * width);
    a.q = read_back(k, a.q, a.dtype, elems);
    a.k = kv, a.v = kv ? kv + width : NULL;
    a.n = 1, a.o = y, a.workspace = NULL, a.dtype = RF_F32;
    want(k, k->lacks ? RF_E_NOMEM : rf_attention_ref(NULL, &a), y, elems);
}

static void want_groupnorm(check *k, const device_call *c)
{
    rf_groupnorm_args a = c->args.groupnorm;
    const size_t      pixels = (size_t)a.hw, all = (size_t)a.c, c1 = a.c1 ? (size_t)a.c1 : all;
    if (pixels * all > CHECKED_MOST) return;
    float *y = hold(k, pixels * all * sizeof *y);
    a.x = read_back(k, a.x, a.dtype, pixels * c1);
    a.x2 = read_back(k, a.x2, a.dtype, pixels * (all - c1));
    a.gamma = read_back(k, a.gamma, RF_F32, all);
    a.beta = read_back(k, a.beta, RF_F32, all);
    a.n = 1, a.y = y, a.workspace = NULL, a.dtype = RF_F32;
    want(k, k->lacks ? RF_E_NOMEM : rf_groupnorm_ref(NULL, &a), y, pixels * all);
}

static void want_layernorm(check *k, const device_call *c)
{
    rf_layernorm_args a = c->args.layernorm;
    if (a.m > CHECKED_ROWS) a.m = CHECKED_ROWS;
    const size_t elems = (size_t)a.m * (size_t)a.c;
    float       *y = hold(k, elems * sizeof *y);
    a.x = read_back(k, a.x, a.dtype, elems);
    a.gamma = read_back(k, a.gamma, RF_F32, (size_t)a.c);
    a.beta = read_back(k, a.beta, RF_F32, (size_t)a.c);
    a.y = y, a.dtype = RF_F32;
    want(k, k->lacks ? RF_E_NOMEM : rf_layernorm_ref(NULL, &a), y, elems);
}

static void want_lincomb(check *k, const device_call *c)
{
    rf_lincomb_args a = c->args.lincomb;
    const size_t    elems = (size_t)a.e;
    float          *y = hold(k, elems * sizeof *y);
    for (int j = 0; j < a.terms; j++) a.x[j] = read_back(k, a.x[j], RF_F32, elems);
    a.coef = read_back(k, a.coef, RF_F32, (size_t)a.terms);
    a.n = 1, a.y = y;
    want(k, k->lacks ? RF_E_NOMEM : rf_lincomb_ref(NULL, &a), y, elems);
}

static void want_pixels(check *k, const device_call *c)
{
    rf_pixels_args  a = c->args.pixels;
    rf_pixels_stats stats;
    const size_t    elems = (size_t)a.hw * 3;
    float          *y = hold(k, elems * sizeof *y);
    uint8_t        *bytes = hold(k, elems);
    a.x = read_back(k, a.x, a.dtype, elems);
    a.n = 1, a.y = bytes, a.stats = &stats, a.dtype = RF_F32;
    want(k, k->lacks ? RF_E_NOMEM : rf_pixels_ref(NULL, &a), y, elems);
    for (size_t i = 0; !k->lacks && i < elems; i++) y[i] = bytes[i];
}

static void want_latent_rgb(check *k, const device_call *c)
{
    rf_latent_rgb_args a = c->args.latent_rgb;
    const size_t       pixels = (size_t)a.hw, elems = pixels * 3;
    float             *y = hold(k, elems * sizeof *y);
    uint8_t           *bytes = hold(k, elems);
    a.x = read_back(k, a.x, RF_F32, pixels * 4);
    a.map = read_back(k, a.map, RF_F32, 15);
    a.scale = read_back(k, a.scale, RF_F32, 1);
    a.n = 1, a.y = bytes;
    want(k, k->lacks ? RF_E_NOMEM : rf_latent_rgb_ref(NULL, &a), y, elems);
    for (size_t i = 0; !k->lacks && i < elems; i++) y[i] = bytes[i];
}

/* Runs the call over an output of NaNs, and reads how it begins into `got`. */
static bool run_once(check *k, const device_call *c, void *got, size_t bytes)
{
    device_bench *b = k->b;
    return device_ok(b, rf_device_fill(&b->device, RF_STREAM_OPS, device_output(c), 0xFF,
                                       c->out_bytes * (size_t)c->images, &b->err)) &&
           device_run(b, RF_LEVEL_SM80, c) == RF_OK && device_get(b, got, device_output(c), bytes);
}

/* |got - want| / |want|; infinite if it did not run, or a value is not finite. */
static double relative_error(check *k, const device_call *c)
{
    const bool     bytes = c->op == RF_OP_PIXELS || c->op == RF_OP_LATENT_RGB;
    const rf_dtype dtype = c->op == RF_OP_LINCOMB ? RF_F32 : k->b->dtype;
    const size_t   size = k->elems * (bytes ? 1 : rf_dtype_bytes(dtype));
    void          *got = hold(k, size);
    double         apart = 0, norm = 0;
    if (k->lacks || !run_once(k, c, got, size)) return INFINITY;
    for (size_t i = 0; i < k->elems; i++) {
        const float  x = bytes ? ((const uint8_t *)got)[i] : rf_load(got, dtype, i);
        const double w = (double)k->want[i], d = (double)x - w;
        apart += d * d;
        norm += w * w;
    }
    const double ratio = sqrt(apart / (norm > 0 ? norm : 1));
    return isfinite(ratio) ? ratio : INFINITY;
}

bool device_right(device_bench *b, const device_call *c, double *error)
{
    /* 8 roundings of the storage type; pixels are cut off, not rounded; latent_rgb is exact. */
    const double limit = c->op == RF_OP_LATENT_RGB ? 0
                         : c->op == RF_OP_LINCOMB  ? 0x1p-18
                         : b->dtype == RF_F16      ? 0x1p-8
                                                   : 0x1p-5;
    check        k = {.b = b};
    switch (c->op) {
    case RF_OP_GEMM: want_gemm(&k, c); break;
    case RF_OP_CONV: want_conv(&k, c); break;
    case RF_OP_ATTENTION: want_attention(&k, c); break;
    case RF_OP_GROUPNORM: want_groupnorm(&k, c); break;
    case RF_OP_LAYERNORM: want_layernorm(&k, c); break;
    case RF_OP_LINCOMB: want_lincomb(&k, c); break;
    case RF_OP_LATENT_RGB: want_latent_rgb(&k, c); break;
    default: want_pixels(&k, c);
    }
    const bool unchecked = !k.want && !k.lacks;
    *error = unchecked ? -1 : relative_error(&k, c);
    while (k.count) free(k.held[--k.count]);
    if (*error <= limit) return true;
    printf("%-10s %-22s %-4s refused: relative error %g exceeds %g\n", rf_op_name(c->op), c->row,
           rf_dtype_name(b->dtype), *error, limit);
    b->wrong = 1;
    return false;
}
