/* conv on the CPU: one oneDNN convolution per image, or per strip of rows of an enlarged one.
 *
 * Images go one by one, so an image's bytes cannot depend on the batch.  Bias and time embedding
 * become one f32 vector per image, and the residual is what y already holds.
 *
 * UP2 never enlarges the whole map: a strip of enlarged rows, with a row above and below (zero at
 * the edges of the map), is made in workspace while it is in cache and convolved without vertical
 * padding.  Two sources are joined there, image by image.  (Four 2x2 convolutions with summed
 * weights would do 4/9 of the work, but the sums do not fit bf16: 10 % of the results leave the
 * error bound, by up to 45 times.) */
#include <string.h>

#include "kernels/conv/conv.h"
#include "kernels/onednn.h"

enum {
    STRIP_BYTES = 2 << 20, /* the L2 of two cores; enlarging then costs 2 % */
};

/* What the call computes per image: `strips` convolutions of `rows` output rows, then one of
 * `rest_rows`.  Without UP2 that is one convolution of everything. */
typedef struct plan {
    rf_dnn_spec whole, rest;
    int         rows, strips, rest_rows;
    size_t      at_bias, at_joined, at_strip, at_weights; /* offsets into workspace */
} plan;

static size_t image_bytes(const rf_conv_args *a)
{
    return (size_t)a->h * (size_t)a->w * (size_t)a->cin * rf_dtype_bytes(a->dtype);
}

static int has_two_sources(const rf_conv_args *a)
{
    return a->cin1 && a->cin1 < a->cin;
}

static size_t enlarged_row_bytes(const rf_conv_args *a)
{
    return 2 * (size_t)a->w * (size_t)a->cin * rf_dtype_bytes(a->dtype);
}

/* Output rows per strip: even, so that a strip starts on an input row. */
static int strip_rows(const rf_conv_args *a)
{
    const size_t rows = STRIP_BYTES / enlarged_row_bytes(a) / 2 * 2;
    return rows < 8 ? 8 : rows > 2 * (size_t)a->h ? 2 * a->h : (int)rows;
}

static rf_status make_plan(plan *p, const rf_conv_args *a)
{
    const rf_status st = rf_conv_check(a);
    if (st != RF_OK) return st;
    if (!rf_dnn_types_ok(a->dtype, a->wdtype)) return RF_E_SHAPE;

    const int up2 = a->kind == RF_CONV_UP2;
    *p = (plan){.rows = rf_conv_out(a->kind, a->h), .strips = 1};
    if (up2) {
        const int rows = strip_rows(a);
        p->strips = p->rows / rows;
        p->rest_rows = p->rows % rows;
        p->rows = rows;
    }
    p->whole = (rf_dnn_spec){
        .conv = 1,
        .n = a->cout,
        .k = a->cin,
        .x_type = a->dtype,
        .y_type = a->dtype,
        .h = up2 ? p->rows + 2 : a->h,
        .w = up2 ? 2 * a->w : a->w,
        .ho = p->rows,
        .wo = rf_conv_out(a->kind, a->w),
        .stride = a->kind == RF_CONV_DOWN || a->kind == RF_CONV_DOWN_RB ? 2 : 1,
        .top = up2 || a->kind == RF_CONV_DOWN_RB ? 0 : 1,
        .left = a->kind != RF_CONV_DOWN_RB,
    };
    p->rest = p->whole;
    p->rest.h = p->rest_rows + 2;
    p->rest.ho = p->rest_rows;

    size_t used = 0;
    p->at_bias = rf_dnn_take(&used, (size_t)a->cout * sizeof(float));
    p->at_joined = rf_dnn_take(&used, has_two_sources(a) ? image_bytes(a) : 0);
    p->at_strip = rf_dnn_take(&used, up2 ? (size_t)p->whole.h * enlarged_row_bytes(a) : 0);
    p->at_weights = used; /* from here on the primitives say how much: weights, scratch */
    return RF_OK;
}

rf_status rf_conv_prepare_cpu(void *stream, const rf_conv_args *a, size_t *workspace_bytes)
{
    rf_status st = RF_OK;
    rf_dnn   *dnn = rf_host_dnn(stream);
    plan      p;
    size_t    used, scratch_bytes = 0;
    *workspace_bytes = 0;

    RF_TRY(make_plan(&p, a));
    used = p.at_weights;
    RF_TRY(rf_dnn_prepare_call(dnn, p.whole, 1, a->wdtype, &used, &scratch_bytes));
    if (p.rest_rows) RF_TRY(rf_dnn_prepare_call(dnn, p.rest, 1, a->wdtype, &used, &scratch_bytes));
    *workspace_bytes = used + scratch_bytes;
done:
    return st;
}

/* Bias and image b's row of the time embedding, in f32. */
static void image_bias(float *dst, const rf_conv_args *a, int b)
{
    for (int c = 0; c < a->cout; c++) {
        float v = a->bias ? a->bias[c] : 0;
        if (a->temb)
            v += rf_load(a->temb, a->dtype,
                         (size_t)a->temb_row[b] * (size_t)a->temb_stride + (size_t)c);
        dst[c] = v;
    }
}

/* Image b of both sources, channel after channel. */
static void join_sources(char *dst, const rf_conv_args *a, int b, int threads)
{
    const size_t size = rf_dtype_bytes(a->dtype), pixels = (size_t)a->h * (size_t)a->w;
    const size_t one = (size_t)a->cin1 * size, two = (size_t)a->cin * size - one;
    const char  *x = (const char *)a->x + (size_t)b * pixels * one;
    const char  *x2 = (const char *)a->x2 + (size_t)b * pixels * two;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t p = 0; p < pixels; p++) {
        memcpy(dst + p * (one + two), x + p * one, one);
        memcpy(dst + p * (one + two) + one, x2 + p * two, two);
    }
}

/* Enlarged rows first-1 .. first+rows of image `x`: zero outside the map. */
static void enlarge(char *dst, const rf_conv_args *a, const char *x, int first, int rows,
                    int threads)
{
    const size_t pixel = (size_t)a->cin * rf_dtype_bytes(a->dtype), row = 2 * pixel * (size_t)a->w;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int r = 0; r < rows + 2; r++) {
        char     *to = dst + (size_t)r * row;
        const int u = first - 1 + r;
        if (u < 0 || u >= 2 * a->h) {
            memset(to, 0, row);
            continue;
        }
        const char *from = x + (size_t)(u / 2) * pixel * (size_t)a->w;
        for (size_t c = 0; c < (size_t)a->w; c++) {
            memcpy(to + 2 * c * pixel, from + c * pixel, pixel);
            memcpy(to + (2 * c + 1) * pixel, from + c * pixel, pixel);
        }
    }
}

/* y = residual, so that the convolution can accumulate onto it. */
static void start_from_residual(const rf_conv_args *a, size_t row_bytes, int rows, int threads)
{
    if (a->residual == a->y) return;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int r = 0; r < rows; r++)
        memcpy((char *)a->y + (size_t)r * row_bytes,
               (const char *)a->residual + (size_t)r * row_bytes, row_bytes);
}

/* Negative numbers become 0.  Of both types the sign is the highest bit, and NaN is beyond
 * infinity. */
static void cut_off(void *y, rf_dtype dtype, size_t elems, int threads)
{
    enum { CHUNK = 1 << 14 };
    const size_t chunks = (elems + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t c = 0; c < chunks; c++) {
        const size_t first = c * CHUNK, end = first + CHUNK < elems ? first + CHUNK : elems;
        float       *wide = y;
        uint16_t    *half = y;
        if (dtype == RF_F32)
            for (size_t i = first; i < end; i++) wide[i] = wide[i] < 0 ? 0 : wide[i];
        else
            for (size_t i = first; i < end; i++)
                half[i] = half[i] > 0x8000 && half[i] <= 0xFF80 ? 0 : half[i]; /* bf16 */
    }
}

typedef struct call {
    rf_dnn          *dnn;
    const rf_dnn_op *whole, *rest;
    int              threads;
    float           *bias;
    char            *joined, *strip, *scratch;
    const void      *whole_w, *rest_w;
} call;

static rf_status bind(call *c, const rf_conv_args *a, const plan *p)
{
    char  *space = a->workspace;
    size_t used = p->at_weights;

    c->whole = rf_dnn_find(c->dnn, &p->whole);
    c->rest = p->rest_rows ? rf_dnn_find(c->dnn, &p->rest) : c->whole;
    if (!c->whole || !c->rest) return RF_E_BUG; /* was not prepared */
    c->bias = (float *)(void *)(space + p->at_bias);
    c->joined = space + p->at_joined;
    c->strip = space + p->at_strip;

    char *to = space + rf_dnn_take(&used, rf_dnn_weight_bytes(c->whole, a->wdtype));
    c->whole_w = c->rest_w = rf_dnn_weights(c->dnn, c->whole, a->wdtype, a->wt, to);
    if (p->rest_rows) {
        to = space + rf_dnn_take(&used, rf_dnn_weight_bytes(c->rest, a->wdtype));
        c->rest_w = rf_dnn_weights(c->dnn, c->rest, a->wdtype, a->wt, to);
    }
    c->scratch = space + used;
    return RF_OK;
}

static rf_status run_image(const rf_conv_args *a, const plan *p, const call *c, int b)
{
    const size_t pixel = rf_dtype_bytes(a->dtype);
    const size_t y_row = (size_t)p->whole.wo * (size_t)a->cout * pixel;
    const char  *x = (const char *)a->x + (size_t)b * image_bytes(a);
    char        *y = (char *)a->y + (size_t)b * (size_t)rf_conv_out(a->kind, a->h) * y_row;

    image_bias(c->bias, a, b);
    if (has_two_sources(a)) {
        join_sources(c->joined, a, b, c->threads);
        x = c->joined;
    }
    for (int s = 0; s < p->strips + (p->rest_rows > 0); s++) {
        const int rest = s == p->strips, first = s * p->rows;
        rf_dnn_io io = {.x = x, .bias = c->bias, .scratch = c->scratch};
        io.y = y + (size_t)first * y_row;
        io.w = rest ? c->rest_w : c->whole_w;
        if (a->kind == RF_CONV_UP2) {
            enlarge(c->strip, a, x, first, rest ? p->rest_rows : p->rows, c->threads);
            io.x = c->strip;
        }
        const rf_status st = rf_dnn_run(c->dnn, rest ? c->rest : c->whole, &io);
        if (st != RF_OK) return st;
    }
    return RF_OK;
}

rf_status rf_conv_cpu(void *stream, const rf_conv_args *a)
{
    plan      p;
    rf_status st = make_plan(&p, a);
    if (st != RF_OK) return st;

    call c = {.dnn = rf_host_dnn(stream), .threads = rf_host_threads(stream)};
    p.whole.accumulate = p.rest.accumulate = a->residual != NULL;
    RF_TRY(bind(&c, a, &p));

    if (a->residual)
        start_from_residual(a, (size_t)p.whole.wo * (size_t)a->cout * rf_dtype_bytes(a->dtype),
                            a->n * rf_conv_out(a->kind, a->h), c.threads);
    for (int b = 0; b < a->n; b++) RF_TRY(run_image(a, &p, &c, b));
    if (a->relu)
        cut_off(a->y, a->dtype,
                (size_t)a->n * (size_t)rf_conv_out(a->kind, a->h) * (size_t)p.whole.wo *
                    (size_t)a->cout,
                c.threads);
done:
    return st;
}

/* ---- weights ----------------------------------------------------------------------------------
 */

static rf_status layout_of(void *stream, const rf_conv_weight_shape *s, rf_blocked *layout)
{
    const rf_dnn_spec spec = {.conv = 1, .n = s->cout, .k = s->cin, .x_type = s->dtype};
    if (s->cin < 1 || s->cout < 1 || !rf_dnn_types_ok(s->dtype, s->wdtype)) return RF_E_SHAPE;
    return rf_dnn_weight_layout(rf_host_dnn(stream), &spec, layout);
}

rf_status rf_conv_pack_bytes_cpu(void *stream, const rf_conv_weight_shape *s, size_t *bytes)
{
    rf_blocked      layout;
    const rf_status st = layout_of(stream, s, &layout);
    *bytes = st == RF_OK ? (size_t)layout.elems * rf_dtype_bytes(s->wdtype) : 0;
    return st;
}

rf_status rf_conv_pack_cpu(void *stream, const rf_conv_weight_shape *s, void *dst, const void *src)
{
    const int64_t  src_stride[RF_BLOCKED_AXES] = {(int64_t)s->cin * 9, 9, 3, 1};
    rf_blocked     layout;
    rf_blocked_map map;
    rf_status      st = layout_of(stream, s, &layout);
    if (st == RF_OK) st = rf_blocked_map_init(&map, &layout);
    if (st != RF_OK) return st;
    rf_blocked_pack(dst, &map, src, src_stride, s->wdtype, rf_host_threads(stream));
    rf_blocked_map_clear(&map);
    return RF_OK;
}
