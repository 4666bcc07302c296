/* conv: what the sm80 level promises about bits, its results at real widths, and the figures that
 * need no GPU: traffic, tiles under way, mma issued. */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/conv_sm80_case.h"

/* ---- bits ------------------------------------------------------------------------------------ */

typedef struct inputs {
    conv_row r;
    rf_dtype dtype;
    void    *x, *x2, *w, *temb, *residual;
    float   *bias;
} inputs;

static void *fill_random(rf_dtype dtype, size_t elems, unsigned seed)
{
    void *p = malloc(elems * rf_dtype_bytes(dtype));
    cr_assert_not_null(p);
    for (size_t i = 0; i < elems; i++) {
        seed = seed * 1664525u + 1013904223u;
        rf_store(p, dtype, i, (float)(int)(seed >> 8) * 0x1p-23f - 1);
    }
    return p;
}

static inputs inputs_of(conv_row r, rf_dtype dtype)
{
    inputs in = {.r = r, .dtype = dtype};
    in.x = fill_random(dtype, conv_x_elems(&r), 1);
    if (r.cin1) in.x2 = fill_random(dtype, conv_x2_elems(&r), 2);
    in.w = fill_random(dtype, conv_weight_elems(&r), 3);
    in.bias = fill_random(RF_F32, (size_t)r.cout, 4);
    in.residual = fill_random(dtype, conv_out_elems(&r), 5);
    in.temb = fill_random(dtype, CONV_TEMB_ROWS * (size_t)r.cout, 6);
    return in;
}

static void free_inputs(inputs *in)
{
    free(in->x), free(in->x2), free(in->w), free(in->bias), free(in->residual), free(in->temb);
}

/* Images first .. first+n-1 of the result; free it. */
static char *images_of(const inputs *in, int first, int n, gpu_settings s, size_t offset)
{
    conv_row     r = in->r;
    const size_t images = (size_t)r.n, at = (size_t)first;
    const size_t bytes = conv_out_elems(&r) / images * 2;
    const size_t x_bytes = conv_x_elems(&r) / images * 2, x2_bytes = conv_x2_elems(&r) / images * 2;
    r.n = n;
    rf_conv_args a = conv_args_of(&r);
    a.dtype = a.wdtype = in->dtype;
    a.bias = in->bias;
    a.wt = in->w;
    a.x = (char *)in->x + at * x_bytes;
    if (in->x2) a.x2 = (char *)in->x2 + at * x2_bytes;
    if (in->residual) a.residual = (char *)in->residual + at * bytes;
    if (in->temb) a.temb = in->temb, a.temb_stride = r.cout, a.temb_row = conv_temb_row + first;
    a.y = calloc((size_t)n, bytes);
    cr_assert_not_null(a.y);
    conv_run_sm80(s, &r, a, offset);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());
    return a.y;
}

typedef struct way {
    int    first, n, limit, seed;
    size_t offset;
} way;

/* The same images as in a batch of all: the same bytes. */
static void check_bits(conv_row r, rf_dtype dtype, const way *ways, int count)
{
    inputs       in = inputs_of(r, dtype);
    const size_t bytes = conv_out_elems(&r) / (size_t)r.n * 2;
    char        *want = images_of(&in, 0, r.n, (gpu_settings){GPU_SHARED_H100, 0, 0}, 0);
    for (int i = 0; i < count; i++) {
        const gpu_settings s = {ways[i].limit, (uint64_t)ways[i].seed, 0};
        char              *got = images_of(&in, ways[i].first, ways[i].n, s, ways[i].offset);
        cr_expect(!memcmp(got, want + (size_t)ways[i].first * bytes, (size_t)ways[i].n * bytes),
                  "%s: way %d differs", r.name, i);
        free(got);
    }
    free(want);
    free_inputs(&in);
}

/* Alone, among others, under another schedule, with other tiles, and with everything moved element
 * by element. */
Test(conv_sm80_bits, bits_depend_on_neither_batch_nor_tile_nor_order, .timeout = 120)
{
    static const way ways[] = {{0, 1, GPU_SHARED_H100, 0, 0}, {2, 1, GPU_SHARED_H100, 1, 0},
                               {1, 2, GPU_SHARED_A100, 0, 0}, {0, 3, GPU_SHARED_SMALL, 3, 0},
                               {1, 1, GPU_SHARED_A100, 2, 2}, {0, 3, GPU_SHARED_H100, 5, 0}};
    for (int kind = 0; kind <= RF_CONV_UP2; kind++) {
        const conv_row r = {"bits", 3, 7, 6, 40, 16, 160, (rf_conv_kind)kind};
        check_bits(r, kind % 2 ? RF_F16 : RF_BF16, ways, 6);
    }
    check_bits((conv_row){"bits_in", 3, 5, 9, 4, 0, 72, RF_CONV_SAME}, RF_F16, ways, 6);
    check_bits((conv_row){"bits_out", 3, 5, 9, 72, 0, 4, RF_CONV_SAME}, RF_BF16, ways, 6);
}

/* The tall tile, which small maps do not get, against the others. */
Test(conv_sm80_bits, bits_of_the_tall_tile, .timeout = 120)
{
    static const way ways[] = {{1, 1, GPU_SHARED_H100, 0, 0}, {1, 1, GPU_SHARED_A100, 0, 0}};
    if (gpu_checked()) return; /* moves_little_and_early has one that is checked */
    check_bits((conv_row){"tall", 2, 64, 64, 16, 0, 640, RF_CONV_SAME}, RF_BF16, ways, 2);
}

/* ---- real widths ----------------------------------------------------------------------------- */

/* Terms of an element, summed in double: what is added, and the sum of their sizes. */
static double element(const inputs *in, size_t at, double *size)
{
    const conv_row *r = &in->r;
    const int       ho = rf_conv_out(r->kind, r->h), wo = rf_conv_out(r->kind, r->w);
    const int       up = r->kind == RF_CONV_UP2 ? 2 : 1, pad = r->kind == RF_CONV_DOWN_RB ? 0 : 1;
    const int       stride = r->kind == RF_CONV_DOWN || r->kind == RF_CONV_DOWN_RB ? 2 : 1;
    const size_t    c = at % (size_t)r->cout, p = at / (size_t)r->cout, cin = (size_t)r->cin;
    const size_t    c1 = r->cin1 ? (size_t)r->cin1 : cin;
    const int       x = (int)(p % (size_t)wo), y = (int)(p / (size_t)wo) % ho;
    const int       b = (int)(p / (size_t)wo) / ho;
    double          sum =
        (double)in->bias[c] + (double)rf_load(in->residual, in->dtype, at) +
        (double)rf_load(in->temb, in->dtype, (size_t)conv_temb_row[b] * (size_t)r->cout + c);
    *size = fabs(sum);
    for (int tap = 0; tap < 9; tap++) {
        const int uy = y * stride + tap / 3 - pad, ux = x * stride + tap % 3 - pad;
        if (uy < 0 || uy >= up * r->h || ux < 0 || ux >= up * r->w) continue;
        const size_t row = (size_t)b * (size_t)r->h + (size_t)(uy / up);
        const size_t from = row * (size_t)r->w + (size_t)(ux / up);
        for (size_t i = 0; i < cin; i++) {
            const float  v = i < c1 ? rf_load(in->x, in->dtype, from * c1 + i)
                                    : rf_load(in->x2, in->dtype, from * (cin - c1) + i - c1);
            const double term =
                (double)v * (double)rf_load(in->w, in->dtype, (c * cin + i) * 9 + (size_t)tap);
            sum += term, *size += fabs(term);
        }
    }
    return sum;
}

/* Elements here and there against sums in double: the reference takes too long. */
static void check_sample(conv_row r, int limit)
{
    inputs       in = inputs_of(r, RF_BF16);
    char        *y = images_of(&in, 0, r.n, (gpu_settings){limit, 0, 0}, 0);
    const size_t elems = conv_out_elems(&r);
    for (size_t i = 0; i < 500; i++) {
        const size_t at = i < 2 ? i * (elems - 1) : i * 7368787 % elems;
        double       size;
        const double want = element(&in, at, &size);
        const double bound = 2 * size * check_sum_error(9.0 * r.cin + 3, CHECK_UNIT_F32) +
                             4 * fabs(want) * CHECK_UNIT_BF16;
        cr_expect_float_eq((double)rf_load(y, RF_BF16, at), want, bound, "%s: element %zu", r.name,
                           at);
    }
    free(y);
    free_inputs(&in);
}

Test(conv_sm80_bits, real_widths, .timeout = 120)
{
    if (gpu_checked()) return; /* the same code as in the small shapes, for 3 times as long */
    check_sample((conv_row){"1280", 2, 6, 5, 1280, 0, 160, RF_CONV_SAME}, GPU_SHARED_A100);
    check_sample((conv_row){"two", 2, 5, 6, 2560, 1280, 160, RF_CONV_SAME}, GPU_SHARED_SMALL);
    check_sample((conv_row){"tall_up", 1, 32, 32, 16, 0, 640, RF_CONV_UP2}, GPU_SHARED_H100);
    check_sample((conv_row){"vae_out", 1, 96, 96, 128, 0, 3, RF_CONV_SAME}, GPU_SHARED_SMALL);
}

/* ---- traffic, pipeline ----------------------------------------------------------------------- */

/* What tiles must move, in bytes: every pixel under a tap that is inside the map, once per tap and
 * column of tiles (a tap's second reading of a pixel comes from a cache, which is not counted
 * here); the weights once per row of tiles; what is added, and y. */
static double least_traffic(const conv_row *r, int bm, int bn)
{
    const int    stride = r->kind == RF_CONV_DOWN || r->kind == RF_CONV_DOWN_RB ? 2 : 1;
    const int    pad = r->kind == RF_CONV_DOWN_RB ? 0 : 1, up = r->kind == RF_CONV_UP2 ? 2 : 1;
    const double m = (double)r->n * conv_out_pixels(r), cout = r->cout, cin = r->cin;
    double       rows = 0, cols = 0; /* taps inside, along each axis */
    for (int t = 0; t < 3; t++) {
        for (int y = 0; y < rf_conv_out(r->kind, r->h); y++)
            rows += y * stride + t >= pad && y * stride + t - pad < up * r->h;
        for (int x = 0; x < rf_conv_out(r->kind, r->w); x++)
            cols += x * stride + t >= pad && x * stride + t - pad < up * r->w;
    }
    return 2 * (ceil(cout / bn) * r->n * rows * cols * cin + ceil(m / bm) * cout * 9 * cin +
                2 * m * cout) +
           6 * ceil(m / bm) * cout;
}

/* Figures that need no GPU (issue of the CUDA engine, 6). */
static void check_figures(conv_row r, int limit, int bm, int bn, int groups)
{
    inputs in = inputs_of(r, RF_BF16);
    free(images_of(&in, 0, r.n, (gpu_settings){limit, 0, 0}, 0));
    const emu_counters *c = gpu_counts();
    const double        moved = (double)(c->global_read_bytes + c->global_written_bytes);
    const double        least = least_traffic(&r, bm, bn), m = (double)r.n * conv_out_pixels(&r);
    cr_log_info("%s: %.3f of the least traffic", r.name, moved / least);
    cr_expect_leq(moved, 1.15 * least, "%s: %g bytes moved, least %g", r.name, moved, least);
    cr_expect_eq(c->ldmatrix_conflicts, 0, "%s", r.name);
    cr_expect_eq(c->copy_groups_max, (uint64_t)groups, "%s", r.name);
    /* The last two steps of k have nothing more to fetch. */
    const double steps = ceil(9.0 * r.cin / 64);
    cr_expect_float_eq((double)c->mma_covered / (double)c->mma, (steps - 2) / steps, 1e-9, "%s",
                       r.name);
    /* No more mma than the tiles hold. */
    const double macs = conv_round_up(m, bm) * conv_round_up(r.cout, bn) * steps * 64;
    cr_expect_float_eq((double)c->mma * 2048, macs, 0.5, "%s", r.name);
    /* Only temb_row is read by less than 16 bytes, once per thread and image of its block. */
    const double blocks = conv_round_up(m, bm) / bm * conv_round_up(r.cout, bn) / bn;
    const double narrow = (double)(c->global_accesses - c->global_accesses_16);
    cr_expect_leq(narrow, gpu_checked() ? blocks * 256 * r.n : 0, "%s", r.name);
    free_inputs(&in);
}

Test(conv_sm80_bits, moves_little_and_early, .timeout = 120)
{
    GPU_EMULATED_ONLY();
    check_figures((conv_row){"square", 1, 16, 16, 128, 64, 128, RF_CONV_SAME}, GPU_SHARED_SMALL,
                  128, 128, 2);
    check_figures((conv_row){"wide", 2, 16, 16, 64, 0, 320, RF_CONV_DOWN}, GPU_SHARED_A100, 128,
                  160, 3);
    check_figures((conv_row){"up", 1, 8, 8, 64, 0, 160, RF_CONV_UP2}, GPU_SHARED_H100, 128, 160, 3);
    check_figures((conv_row){"thin", 1, 16, 16, 128, 0, 8, RF_CONV_SAME}, GPU_SHARED_SMALL, 128, 16,
                  3);
    check_figures((conv_row){"tall", 1, 64, 64, 24, 0, 640, RF_CONV_SAME}, GPU_SHARED_H100, 256,
                  160, 3);
}
