/* conv with mma.sync: an implicit matrix product, 16-bit storage, f32 accumulation.
 *
 * y as [n * ho * wo, cout] is x · wᵀ, where row p of x holds, tap after tap, the 9 input pixels
 * under output pixel p.  That matrix is never made: the tiles of kernels/device/matmul.cuh are
 * filled from the map, a 16-byte piece of a pixel at a time, zeros where a tap lies outside.  k
 * runs over the taps and, within a tap, over the channels (rounded up to 8); so a piece has one
 * tap, and a thread, whose pieces of a tile stand in one column, has one tap and one source at a
 * time.
 *
 *   step      who       what
 *   0 locate  a thread  per output pixel of the block: the input pixel under its middle tap, and
 *             a pixel   which taps are inside the map: one table, so no step of k divides
 *   1 to 4    all       kernels/device/matmul.cuh
 *   5 finish  all       adds bias, the sample's row of temb and residual, cuts off what is
 *                       negative if asked, writes y
 *
 * Rows are counted through all images: a block may hold the end of one and the start of the next.
 * Every sum runs over k in order whatever the tile, so an image's bytes do not depend on n.
 *
 * What limits it: a step of k reads 128 * (BM + BN) bytes for 128 * BM * BN flop, so 256 x 160
 * makes 98 flop of a byte and 128 x 128 makes 64.  A pixel is read up to 9 times per column of
 * tiles, all but the first time from L2 if that holds the map (UNet, level 0: 10 MB an image).  The
 * 312 TFLOP/s of an A100 then ask for 3.2 or 4.9 TB/s of L2: hence the larger tile where there are
 * tiles enough.  Nothing of this has been measured.
 *
 * If cin, cin1 or a pointer rules out 16-byte pieces of x (conv_in, with 3 or 4 channels), its
 * tiles are filled element by element instead (RAGGED): the rest is the same. */
#include "kernels/conv/conv.h"

#include "kernels/choice/choice_keys.h"
#include "kernels/conv/conv_tiles.h"
#include "kernels/conv/sm80_conv_plan.h"
#include "kernels/device/matmul.cuh"

/* Faults that the emulated device plants on request, after those of the loop. */
enum defect {
    NO_BARRIER_OF_TABLE = LOOP_DEFECTS, /* the table is read before all of it is written */
    UNGUARDED_PIXELS,                   /* pixels beyond the last are read */
    UNGUARDED_STORE,                    /* channels of y beyond cout are written */
    NO_ZERO_FILL,                       /* padding shows the map's first pixel */
    WRAPPED_HALO,                       /* right of a row the next one is read */
    LOST_STRIDE,                        /* columns of a stride-2 convolution stand 1 apart */
    TRANSPOSED_TAPS,                    /* ky and kx change places */
    EVEN_PIXELS,                        /* of an enlarged map all pixels are taken for even ones */
    SECOND_SOURCE_LATE,                 /* x2 begins 8 channels late */
    WRONG_SAMPLE,                       /* temb of the block's first sample for all of its pixels */
    RELU_BEFORE_RESIDUAL,               /* negative sums are lost before the residual is added */
};

/* What a launch knows; all pointers are the device's. */
typedef struct conv_call {
    void          *y;
    const void    *x, *x2;
    const float   *bias;
    const void    *temb;
    const int32_t *temb_row;
    const void    *residual;
    int            temb_stride;
    int            m;                 /* output pixels of all images */
    int            h, w, cin, c1;     /* of x; c1: channels from x, the rest are from x2 */
    int            pixels, wo, cout;  /* of y; pixels: of an image */
    int            channels;          /* cin rounded up to 8 */
    int            stride, first, up; /* middle tap of output 0, and 1 if enlarged */
    int            relu;
    int            wide; /* what is added and y can be moved 16 bytes at a time */
    packed_weights wt;
} conv_call;

/* ---- step 0: where the taps lie -------------------------------------------------------------- */

/* An output pixel as the loads need it: 8 bytes, read at once. */
typedef struct alignas(8) located {
    int32_t  middle; /* input pixel under the middle tap, counted through all images */
    uint32_t taps;   /* bit 3 * ky + kx: inside the map; and the two bits below */
} located;

enum {
    TAPS = RF_CONV_TAPS,
    ODD_ROW = 16, /* of an enlarged map; 0 otherwise.  Taps 9 to 15 do not exist: 0 */
    ODD_COLUMN = 17,
};

RF_DEVICE located locate(const conv_call &c, int p)
{
    enum { TOP = 0007, BOTTOM = 0700, LEFT = 0111, RIGHT = 0444, ALL = 0777 };
    const int b = p / c.pixels, at = p % c.pixels;
    const int y = at / c.wo * c.stride + c.first;
    const int x = at % c.wo * (RF_DEFECT(LOST_STRIDE) ? 1 : c.stride) + c.first;
    const int last_y = (c.h << c.up) - 1, last_x = (c.w << c.up) - 1;
    unsigned  outside = 0;
    if (y == 0) outside |= TOP;
    if (y == last_y) outside |= BOTTOM;
    if (x == 0) outside |= LEFT;
    if (x == last_x && !RF_DEFECT(WRAPPED_HALO)) outside |= RIGHT;
    located l;
    l.middle = (b * c.h + (y >> c.up)) * c.w + (x >> c.up);
    l.taps = ALL & ~outside;
    if (c.up) l.taps |= (unsigned)(y & 1) << ODD_ROW | (unsigned)(x & 1) << ODD_COLUMN;
    return l;
}

template <class S> RF_DEVICE void locate_all(located *table_s, const conv_call &c, int row0)
{
    for (int r = (int)threadIdx.x; r < S::BM; r += S::THREADS)
        table_s[r] =
            row0 + r < c.m || RF_DEFECT(UNGUARDED_PIXELS) ? locate(c, row0 + r) : located{0, 0};
    if (!RF_DEFECT(NO_BARRIER_OF_TABLE)) __syncthreads(); /* any thread may need any row */
}

/* ---- tiles of x ------------------------------------------------------------------------------ */

template <class T, class S, bool RAGGED> struct taps_of_x {
    const conv_call &c;
    const located   *table_s;
    int              tap, channel; /* of this thread's pieces in the next tile */
};

template <class T, class S, bool RAGGED>
RF_DEVICE taps_of_x<T, S, RAGGED> first_taps(const conv_call &c, const located *table_s)
{
    const int k = (int)threadIdx.x % TILE_CHUNKS * PIECE;
    return {c, table_s, k / c.channels, k % c.channels};
}

/* Eight channels of input pixel `at` from `channel` on, of which those below cin exist, one by one.
 */
template <class T> RF_DEVICE chunk16 gather_channels(const conv_call &c, size_t at, int channel)
{
    uint32_t half[PIECE];
    for (int i = 0; i < PIECE; i++) {
        const int j = channel + i;
        half[i] = 0;
        if (j >= c.cin) continue;
        half[i] = j < c.c1 ? ((const T *)c.x)[at * c.c1 + j].bits
                           : ((const T *)c.x2)[at * (c.cin - c.c1) + j - c.c1].bits;
    }
    return chunk_of_halves(half);
}

/* The input pixel under tap (ky, kx); it exists if the table has the tap's bit. */
RF_DEVICE int pixel_under(const conv_call &c, const located &l, int ky, int kx)
{
    /* In halves of an input pixel if the map is enlarged, else in twice that. */
    const int dy = (ky - 1) * (2 - c.up), dx = (kx - 1) * (2 - c.up);
    const int odd_y = RF_DEFECT(EVEN_PIXELS) ? 0 : (int)(l.taps >> ODD_ROW & 1);
    const int odd_x = RF_DEFECT(EVEN_PIXELS) ? 0 : (int)(l.taps >> ODD_COLUMN & 1);
    return l.middle + ((dy + odd_y) >> 1) * c.w + ((dx + odd_x) >> 1);
}

template <class T, class S, bool RAGGED>
RF_DEVICE void load_x(taps_of_x<T, S, RAGGED> &source, unsigned char *tile, uint32_t tile_s)
{
    static_assert(S::THREADS % TILE_CHUNKS == 0, "a thread's pieces stand in one column");
    constexpr int    ROWS = S::THREADS / TILE_CHUNKS; /* filled at once */
    const conv_call &c = source.c;
    const int        row0 = (int)threadIdx.x / TILE_CHUNKS, chunk = (int)threadIdx.x % TILE_CHUNKS;
    const int        tap = source.tap;
    const int        ky = RF_DEFECT(TRANSPOSED_TAPS) ? tap % 3 : tap / 3;
    const int        kx = RF_DEFECT(TRANSPOSED_TAPS) ? tap / 3 : tap % 3;
    const int        split = RF_DEFECT(SECOND_SOURCE_LATE) ? c.c1 + PIECE : c.c1;
    const bool       second = source.channel >= split;
    const T         *from = (const T *)(second ? c.x2 : c.x);
    const int        channel = second ? source.channel - split : source.channel;
    const size_t     stride = (size_t)(second ? c.cin - c.c1 : c.c1);
    if constexpr (RAGGED) {
        RF_ROLLED
        for (int r = row0; r < S::BM; r += ROWS) {
            const located l = source.table_s[r];
            *(chunk16 *)(tile + tile_chunk(0, r, chunk)) =
                l.taps >> tap & 1
                    ? gather_channels<T>(c, (size_t)pixel_under(c, l, ky, kx), source.channel)
                    : chunk16{};
        }
    } else {
        RF_UNROLL
        for (int r = row0; r < S::BM; r += ROWS) {
            const located l = source.table_s[r];
            const bool    there = l.taps >> tap & 1;
            const T      *piece = (const T *)c.x; /* not read */
            if (there) piece = from + (size_t)pixel_under(c, l, ky, kx) * stride + channel;
            cp_async_16(tile_chunk(tile_s, r, chunk), piece,
                        there || RF_DEFECT(NO_ZERO_FILL) ? 16 : 0);
        }
    }
    for (source.channel += TILE_K; source.channel >= c.channels; source.channel -= c.channels)
        source.tap++;
}

/* ---- step 5: from sums to y ------------------------------------------------------------------ */

/* What image b adds to its sums: eight channels of bias and of its row of temb. */
template <class T>
RF_DEVICE void load_added(float (&added)[PIECE], const conv_call &c, int b, int col, int count)
{
    float temb[PIECE] = {};
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) added[i] = 0.f;
    if (c.bias) load_some(added, c.bias + col, c.wide, count);
    if (c.temb)
        load_some(temb, (const T *)c.temb + (size_t)c.temb_row[b] * c.temb_stride + col, c.wide,
                  count);
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) added[i] += temb[i];
}

RF_DEVICE float relu_of(float x)
{
    return x < 0 ? 0 : x; /* NaN stays */
}

/* A thread works on the same eight channels in every row that it finishes. */
template <class T, class S>
RF_DEVICE void finish(const conv_call &c, const float *sums_s, int row0, int col0)
{
    const int pieces = S::BN / PIECE, rows = S::THREADS / pieces; /* rows: finished at once */
    const int first = (int)threadIdx.x / pieces, piece = (int)threadIdx.x % pieces * PIECE;
    const int col = col0 + piece, left = c.cout - col;
    if (first >= rows || left <= 0) return; /* 160 columns leave threads over */
    const int count = left < PIECE ? left : PIECE;
    int       image = -1;
    float     added[PIECE];
    for (int r = first; r < S::BM && row0 + r < c.m; r += rows) {
        const int b = (RF_DEFECT(WRONG_SAMPLE) ? row0 : row0 + r) / c.pixels;
        if (b != image) load_added<T>(added, c, image = b, col, count);
        const size_t at = (size_t)(row0 + r) * c.cout + col;
        float        v[PIECE], residual[PIECE] = {};
        if (c.residual) load_some(residual, (const T *)c.residual + at, c.wide, count);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) {
            const float sum = sums_s[r * S::SUM_STRIDE + piece + i] + added[i];
            v[i] = (c.relu && RF_DEFECT(RELU_BEFORE_RESIDUAL) ? relu_of(sum) : sum) + residual[i];
            if (c.relu) v[i] = relu_of(v[i]);
        }
        store_some((T *)c.y + at, v, c.wide, RF_DEFECT(UNGUARDED_STORE) ? PIECE : count);
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <class T, class S, bool RAGGED>
RF_KERNEL(S::THREADS)
conv_kernel(const __grid_constant__ conv_call c)
{
    RF_SHARED(raw_s); /* the ring, then the table */
    located  *table_s = (located *)(raw_s + S::RING_BYTES);
    const int row0 = (int)blockIdx.x * S::BM, col0 = (int)blockIdx.y * S::BN;
    locate_all<S>(table_s, c, row0);
    auto         source = first_taps<T, S, RAGGED>(c, table_s);
    warp_sums<S> sum = {};
    multiply<T>(sum, source, c.wt, TAPS * c.channels, raw_s, col0);
    stage_sums((float *)raw_s, sum);
    finish<T, S>(c, (const float *)raw_s, row0, col0);
}

/* ---- packing --------------------------------------------------------------------------------- */

typedef struct pack_call {
    uint16_t       *dst; /* [cout][9][channels] */
    const uint16_t *src; /* [cout][cin][9] */
    int             cin, channels;
} pack_call;

enum { PACK_THREADS = 256 };

/* A block packs the weights of an output channel, written in order. */
RF_KERNEL(PACK_THREADS) conv_pack_kernel(const __grid_constant__ pack_call c)
{
    const int    k = TAPS * c.channels;
    const size_t row = blockIdx.x;
    for (int j = (int)threadIdx.x; j < k; j += PACK_THREADS) {
        const int tap = j / c.channels, channel = j % c.channels;
        c.dst[row * k + j] =
            channel < c.cin ? c.src[(row * c.cin + channel) * TAPS + tap] : (uint16_t)0;
    }
}

/* ---- host ------------------------------------------------------------------------------------ */

typedef tile_shape<64, 64, 2, 2, 4>   small_tile;
typedef tile_shape<128, 16, 4, 1, 4>  thin_tile;
typedef tile_shape<128, 128, 2, 2, 3> square_tile;
typedef tile_shape<128, 160, 4, 2, 4> wide_tile;
typedef tile_shape<256, 160, 4, 2, 4> tall_tile;

template <class T, class S, bool RAGGED>
static rf_status launch_tile(const rf_gpu *gpu, const conv_call *c)
{
    const dim3 grid((unsigned)((c->m + S::BM - 1) / S::BM),
                    (unsigned)((c->cout + S::BN - 1) / S::BN));
    const int  shared_bytes = S::RING_BYTES + S::BM * (int)sizeof(located);
    return rf_launch(conv_kernel<T, S, RAGGED>, grid, S::THREADS, shared_bytes, gpu, *c);
}

/* The table's tile where it names one that fits, or the rule's: the bytes are the same. */
static int tile_of(const rf_gpu *gpu, const rf_conv_args *a, int pixels)
{
    const rf_choice_key key = rf_conv_choice_key(a);
    const int           rule = rf_conv_tile_sm80(pixels, a->cin, a->cout, gpu->shared_bytes_max);
    const int           tile = rf_choose_tile(gpu->choices, &key, RF_CONV_TILES, rule);
    return rf_conv_tile_bytes(tile) <= gpu->shared_bytes_max ? tile : rule;
}

template <class T>
static rf_status launch_type(const rf_gpu *gpu, const conv_call *c, int tile, int ragged)
{
    if (ragged) return launch_tile<T, small_tile, true>(gpu, c);
    switch (tile) {
    case RF_CONV_TALL: return launch_tile<T, tall_tile, false>(gpu, c);
    case RF_CONV_WIDE: return launch_tile<T, wide_tile, false>(gpu, c);
    case RF_CONV_SQUARE: return launch_tile<T, square_tile, false>(gpu, c);
    case RF_CONV_THIN: return launch_tile<T, thin_tile, false>(gpu, c);
    default: return launch_tile<T, small_tile, false>(gpu, c);
    }
}

static conv_call call_of(const rf_conv_args *a)
{
    conv_call c = {};
    c.y = a->y;
    c.x = a->x;
    c.x2 = a->x2;
    c.bias = a->bias;
    c.temb = a->temb;
    c.temb_row = a->temb_row;
    c.residual = a->residual;
    c.temb_stride = a->temb_stride;
    c.relu = a->relu;
    c.h = a->h;
    c.w = a->w;
    c.cin = a->cin;
    c.c1 = a->cin1 ? a->cin1 : a->cin;
    c.wo = rf_conv_out(a->kind, a->w);
    c.pixels = rf_conv_out(a->kind, a->h) * c.wo;
    c.m = a->n * c.pixels;
    c.cout = a->cout;
    c.channels = rf_conv_packed_channels_sm80(a->cin);
    c.stride = a->kind == RF_CONV_DOWN || a->kind == RF_CONV_DOWN_RB ? 2 : 1;
    c.first = a->kind == RF_CONV_DOWN_RB;
    c.up = a->kind == RF_CONV_UP2;
    c.wide = c.cout % PIECE == 0 && rf_aligned_16(c.y) && rf_aligned_16(c.bias) &&
             rf_aligned_16(c.residual) &&
             (!c.temb || (rf_aligned_16(c.temb) && c.temb_stride % PIECE == 0));
    c.wt = packed_weights{a->wt, a->cout, TAPS * c.channels};
    return c;
}

extern "C" rf_status rf_conv_sm80(void *stream, const rf_conv_args *a)
{
    const rf_gpu   *gpu = (const rf_gpu *)stream;
    size_t          unused;
    const rf_status st = rf_conv_prepare_sm80(stream, a, &unused);
    if (st != RF_OK) return st;
    const conv_call c = call_of(a);
    const int ragged = c.cin % PIECE || c.c1 % PIECE || !rf_aligned_16(c.x) || !rf_aligned_16(c.x2);
    const int tile = tile_of(gpu, a, c.pixels);
    return a->dtype == RF_F16 ? launch_type<f16>(gpu, &c, tile, ragged)
                              : launch_type<bf16>(gpu, &c, tile, ragged);
}

extern "C" rf_status rf_conv_pack_sm80(void *stream, const rf_conv_weight_shape *s, void *dst,
                                       const void *src)
{
    size_t          bytes;
    const rf_status st = rf_conv_pack_bytes_sm80(stream, s, &bytes);
    if (st != RF_OK) return st;
    pack_call c = {};
    c.dst = (uint16_t *)dst;
    c.src = (const uint16_t *)src;
    c.cin = s->cin;
    c.channels = rf_conv_packed_channels_sm80(s->cin);
    return rf_launch(conv_pack_kernel, dim3((unsigned)s->cout), PACK_THREADS, 0,
                     (const rf_gpu *)stream, c);
}
