/* groupnorm: three kernels, x read twice and y written once.
 *
 *   kernel   a block has      what
 *   1 slab   a slab of        each thread keeps eight channels and walks the slab's pixels, with
 *            pixels, all      sums about the first value it saw (sums about zero would cancel);
 * then channels         a warp per group joins channels and threads to a mean and squares 2 join an
 * image, a      slabs in a fixed order to mean and 1 / deviation warp per group 3 apply  a slab y =
 * (x - mean) * rstd * gamma + beta, silu
 *
 * Bandwidth bound.  Slabs depend on hw alone and every join has a fixed order, so an image's bytes
 * depend on that image only.  Pieces of eight channels move as 16 bytes; where c, c1 or a pointer
 * forbids that (RAGGED), one by one. */
#include "kernels/groupnorm/groupnorm.h"

#include "kernels/device/piece.cuh"
#include "kernels/groupnorm/sm80_groupnorm_plan.h"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,        /* channels are joined before they are all there */
    LAST_PIXEL_LOST,   /* of every slab */
    SQUARES_OF_SLABS,  /* slabs are joined as if their means were equal */
    WRONG_SOURCE_EDGE, /* x2 begins one channel early */
    NO_SILU,
    UNGUARDED_PIXELS, /* the last slab is taken for a full one */
};

enum {
    LANES = 32,
    WARPS = 8,
    THREADS = WARPS * LANES,
};
static_assert((int)THREADS == (int)RF_GROUPNORM_THREADS_SM80 &&
                  (int)PIECE == (int)RF_GROUPNORM_PIECE_SM80,
              "the plan divides what the kernels walk");

typedef struct norm_call {
    rf_groupnorm_args a; /* with c1 = c if there is one source */
    int               slab, slabs, pieces, rows;
    float            *slab_stats; /* [n][slabs][groups] pairs: mean, squared deviations */
    float            *stats;      /* [n][groups] pairs: mean, 1 / deviation */
} norm_call;

typedef struct stats {
    float count, mean, squares;
} stats;

/* Both halves as one (Chan et al. 1979, eq. 2.1); written so that a and b can change places, which
 * a butterfly needs. */
RF_DEVICE stats join(stats a, stats b)
{
    const float count = a.count + b.count, d = a.mean - b.mean;
    if (count == 0.f) return a;
    stats both;
    both.count = count;
    both.mean = (a.count * a.mean + b.count * b.mean) / count;
    both.squares = a.squares + b.squares +
                   (RF_DEFECT(SQUARES_OF_SLABS) ? 0.f : d * d * (a.count * b.count / count));
    return both;
}

RF_DEVICE stats join_warp(stats s)
{
    for (int lanes = LANES / 2; lanes; lanes /= 2) {
        stats other;
        other.count = shuffle_xor(s.count, lanes);
        other.mean = shuffle_xor(s.mean, lanes);
        other.squares = shuffle_xor(s.squares, lanes);
        s = join(s, other);
    }
    return s;
}

/* Channels col .. col+7 of a pixel (counted over all images); zeros beyond c. */
template <class T, bool RAGGED>
RF_DEVICE void load_channels(float (&v)[PIECE], const rf_groupnorm_args &a, size_t pixel, int col)
{
    const T  *x = (const T *)a.x + pixel * a.c1, *x2 = (const T *)a.x2 + pixel * (a.c - a.c1);
    const int c1 = RF_DEFECT(WRONG_SOURCE_EDGE) && a.c1 < a.c ? a.c1 - 1 : a.c1;
    if constexpr (RAGGED) {
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) {
            const int j = col + i;
            v[i] = j >= a.c ? 0.f : widen(j < c1 ? x[j] : x2[j - c1]);
        }
    } else {
        load_piece(v, col < c1 ? x + col : x2 + col - c1);
    }
}

RF_DEVICE int slab_pixels(const norm_call &c, int slab)
{
    const int left = c.a.hw - slab * c.slab;
    return left < c.slab && !RF_DEFECT(UNGUARDED_PIXELS) ? left : c.slab;
}

/* ---- 1: a slab's mean and squared deviations, per group ----------------------------------------
 */

template <class T, bool RAGGED>
RF_DEVICE void channel_stats(const norm_call &c, float *channels_s, int piece, int row, int pixels)
{
    const size_t first = (size_t)blockIdx.y * c.a.hw + (size_t)blockIdx.x * c.slab;
    float        shift[PIECE] = {}, sum[PIECE] = {}, squares[PIECE] = {}, count = 0;
    for (int p = row; p < pixels - (RF_DEFECT(LAST_PIXEL_LOST) ? 1 : 0); p += c.rows) {
        float v[PIECE];
        load_channels<T, RAGGED>(v, c.a, first + p, piece * PIECE);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) {
            if (p == row) shift[i] = v[i];
            sum[i] += v[i] - shift[i];
            squares[i] += (v[i] - shift[i]) * (v[i] - shift[i]);
        }
        count += 1.f;
    }
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) {
        const int col = piece * PIECE + i;
        if (col >= c.a.c) continue;
        float *to = channels_s + 2 * (row * c.a.c + col);
        to[0] = count > 0.f ? shift[i] + sum[i] / count : 0.f;
        to[1] = count > 0.f ? squares[i] - sum[i] * (sum[i] / count) : 0.f;
    }
}

template <class T, bool RAGGED>
RF_KERNEL(THREADS)
groupnorm_slab_kernel(const __grid_constant__ norm_call c)
{
    RF_SHARED(raw_s);
    float    *channels_s = (float *)raw_s; /* [rows][c] pairs: mean, squared deviations */
    const int t = (int)threadIdx.x, pixels = slab_pixels(c, (int)blockIdx.x);
    const int span = c.pieces < THREADS ? c.pieces : THREADS, row = t / span;
    for (int piece = t % span; piece < c.pieces && row < c.rows; piece += THREADS)
        channel_stats<T, RAGGED>(c, channels_s, piece, row, pixels);
    if (!RF_DEFECT(NO_BARRIER)) __syncthreads(); /* channels are written above, joined below */

    const int width = c.a.c / c.a.groups, lane = t % LANES;
    for (int g = t / LANES; g < c.a.groups; g += WARPS) {
        stats s = {0.f, 0.f, 0.f};
        for (int e = lane; e < width * c.rows; e += LANES) {
            const int    r = e / width;
            const float *from = channels_s + 2 * (r * c.a.c + g * width + e % width);
            stats        one;
            const int    count = (pixels - r + c.rows - 1) / c.rows; /* pixels r, r + rows, ... */
            one.count = (float)count;
            one.mean = from[0];
            one.squares = from[1];
            s = join(s, one);
        }
        s = join_warp(s);
        float *to = c.slab_stats +
                    2 * (((size_t)blockIdx.y * c.slabs + blockIdx.x) * c.a.groups + (size_t)g);
        if (lane == 0) to[0] = s.mean;
        if (lane == 0) to[1] = s.squares;
    }
}

/* ---- 2: all slabs of an image ------------------------------------------------------------------
 */

RF_KERNEL(THREADS) groupnorm_join_kernel(const __grid_constant__ norm_call c)
{
    const int t = (int)threadIdx.x, lane = t % LANES, g = (int)blockIdx.x * WARPS + t / LANES;
    if (g >= c.a.groups) return;
    const size_t image = blockIdx.y;
    const int    width = c.a.c / c.a.groups;
    stats        s = {0.f, 0.f, 0.f};
    for (int i = lane; i < c.slabs; i += LANES) {
        const float *from = c.slab_stats + 2 * ((image * c.slabs + i) * c.a.groups + g);
        stats        one;
        one.count = (float)width * (float)slab_pixels(c, i);
        one.mean = from[0];
        one.squares = from[1];
        s = join(s, one);
    }
    s = join_warp(s);
    if (lane) return;
    float *to = c.stats + 2 * (image * c.a.groups + g);
    to[0] = s.mean;
    to[1] = 1.f / sqrtf(s.squares / s.count + c.a.eps);
}

/* ---- 3: apply ----------------------------------------------------------------------------------
 */

template <class T, bool RAGGED>
RF_DEVICE void apply_piece(const norm_call &c, int piece, int row, int pixels)
{
    const size_t first = (size_t)blockIdx.y * c.a.hw + (size_t)blockIdx.x * c.slab;
    const int    col = piece * PIECE, width = c.a.c / c.a.groups;
    const int    count = c.a.c - col < PIECE ? c.a.c - col : PIECE;
    float        mean[PIECE], scale[PIECE], beta[PIECE];
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) {
        const int    j = i < count ? col + i : col;
        const float *of = c.stats + 2 * ((size_t)blockIdx.y * c.a.groups + j / width);
        mean[i] = of[0];
        scale[i] = of[1] * c.a.gamma[j];
        beta[i] = c.a.beta[j];
    }
    for (int p = row; p < pixels; p += c.rows) {
        float v[PIECE];
        load_channels<T, RAGGED>(v, c.a, first + p, col);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) {
            v[i] = (v[i] - mean[i]) * scale[i] + beta[i];
            if (c.a.silu && !RF_DEFECT(NO_SILU)) v[i] = v[i] / (1.f + expf(-v[i]));
        }
        T *y = (T *)c.a.y + (first + p) * c.a.c + col;
        if (RAGGED)
            store_few(y, v, count);
        else
            store_piece(y, v);
    }
}

template <class T, bool RAGGED>
RF_KERNEL(THREADS)
groupnorm_apply_kernel(const __grid_constant__ norm_call c)
{
    const int t = (int)threadIdx.x, pixels = slab_pixels(c, (int)blockIdx.x);
    const int span = c.pieces < THREADS ? c.pieces : THREADS, row = t / span;
    for (int piece = t % span; piece < c.pieces && row < c.rows; piece += THREADS)
        apply_piece<T, RAGGED>(c, piece, row, pixels);
}

/* ---- host ------------------------------------------------------------------------------------ */

template <class T, bool RAGGED>
static rf_status launch(const rf_gpu *gpu, const norm_call *c, int shared_bytes)
{
    rf_status  st = RF_OK;
    const dim3 slabs((unsigned)c->slabs, (unsigned)c->a.n);
    const dim3 groups(((unsigned)c->a.groups + WARPS - 1) / WARPS, (unsigned)c->a.n);
    RF_TRY(rf_launch(groupnorm_slab_kernel<T, RAGGED>, slabs, THREADS, shared_bytes, gpu, *c));
    RF_TRY(rf_launch(groupnorm_join_kernel, groups, THREADS, 0, gpu, *c));
    RF_TRY(rf_launch(groupnorm_apply_kernel<T, RAGGED>, slabs, THREADS, 0, gpu, *c));
done:
    return st;
}

extern "C" rf_status rf_groupnorm_sm80(void *stream, const rf_groupnorm_args *a)
{
    const rf_gpu          *gpu = (const rf_gpu *)stream;
    rf_groupnorm_plan_sm80 plan;
    norm_call              c = {};
    if (rf_groupnorm_plan_of_sm80(&plan, a) != RF_OK || plan.shared_bytes > gpu->shared_bytes_max)
        return RF_E_SHAPE;
    c.a = *a;
    c.a.c1 = a->c1 ? a->c1 : a->c;
    c.slab = plan.slab;
    c.slabs = plan.slabs;
    c.pieces = plan.pieces;
    c.rows = plan.rows;
    c.slab_stats = (float *)a->workspace;
    c.stats = c.slab_stats + plan.slab_stats_elems;
    const int ragged = a->c % PIECE || c.a.c1 % PIECE || !rf_aligned_16(a->x) ||
                       !rf_aligned_16(a->x2) || !rf_aligned_16(a->y);
    if (a->dtype == RF_F16)
        return ragged ? launch<f16, true>(gpu, &c, plan.shared_bytes)
                      : launch<f16, false>(gpu, &c, plan.shared_bytes);
    return ragged ? launch<bf16, true>(gpu, &c, plan.shared_bytes)
                  : launch<bf16, false>(gpu, &c, plan.shared_bytes);
}
