/* gemm with mma.sync: y = act(x · wᵀ + bias + residual), 16-bit storage, f32 accumulation.
 *
 * A block computes BM x BN elements.  Its warps hold WM x WN each in registers and walk k in steps
 * of 64 through a ring of STAGES tiles in shared memory:
 *
 *   step        who          what
 *   1 wait      all          the oldest tile has arrived; the one used last is free again
 *   2 load      all          cp.async of the tile STAGES - 1 ahead, 16 bytes a thread at a time
 *   3 multiply  each warp    4 times: ldmatrix of (WM + WN) x 16, mma of WM x WN x 16
 *   4 store     all          sums through shared memory, so that bias, residual and y are read and
 *                            written 16 bytes at a time, with the activation in between
 *
 * Every element's sum runs over k in order, 16 at a time, whatever the tile: the bytes of y depend
 * neither on m nor on which tile was chosen.
 *
 * Weights are packed as [rows][k rounded up to 8], zero filled; for GEGLU 8 rows of value and 8 of
 * gate take turns, so that one thread finds both of an output.  If k, k1 or a pointer rules out
 * 16-byte pieces of x, its tiles are filled element by element instead (RAGGED): the rest is the
 * same. */
#include "kernels/gemm/gemm.h"

#include "kernels/device/piece.cuh"
#include "kernels/device/tile.cuh"
#include "kernels/gemm/sm80_tiles.h"

/* Faults that the emulated device plants on request: each must be caught by a test. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,         /* a tile is read before other threads' copies are known to have arrived */
    ONE_WAIT_TOO_FEW,   /* ... and before this thread's own have */
    NO_BARRIER_AT_END,  /* the sums overwrite tiles that other warps still read */
    UNGUARDED_ROWS,     /* rows of x beyond m are read */
    UNGUARDED_STORE,    /* columns of y beyond n are written */
    WRONG_SWIZZLE,      /* the reader of w looks in the wrong place */
    NO_TAIL,            /* the last, partial step of k is left out */
    SWAPPED_GATE,       /* GEGLU takes the gate for the value */
    SECOND_SOURCE_LATE, /* x2 begins 8 columns late */
};

enum { LANES = 32 };

/* What a launch knows; all pointers are the device's. */
typedef struct gemm_call {
    void        *y;
    const void  *x, *x2, *w;
    const float *bias;
    const void  *residual;
    int          m, cols;   /* of y */
    int          k, k1, kw; /* kw: row length of the packed weights */
    int          rows;      /* of the packed weights */
    int          act;
    int          wide; /* bias, residual and y can be moved 16 bytes at a time */
} gemm_call;

template <int BM_, int BN_, int WARPS_M_, int WARPS_N_, int STAGES_> struct tile_shape {
    static constexpr int BM = BM_, BN = BN_, STAGES = STAGES_;
    static constexpr int WARPS_M = WARPS_M_, WARPS_N = WARPS_N_;
    static constexpr int THREADS = LANES * WARPS_M * WARPS_N;
    static constexpr int WM = BM / WARPS_M, WN = BN / WARPS_N;
    static constexpr int STAGE_BYTES = (BM + BN) * TILE_ROW_BYTES;
    /* Sums are staged with 8 floats of padding: the rows that a warp writes at once, each with
     * pairs of columns, then fall into different banks. */
    static constexpr int SUM_STRIDE = BN + 8;
    static_assert(WM % 16 == 0 && WN % 16 == 0, "a warp loads 16 rows of x and of w at once");
    static_assert(BM * SUM_STRIDE * 4 <= STAGES * STAGE_BYTES, "sums take the tiles' place");
    static_assert(STAGES >= 3, "two tiles under way while one is used");
};

/* ---- step 2: tiles from global memory -------------------------------------------------------- */

/* Eight elements of x from column `col` on, of which `col` .. k-1 exist, one by one. */
template <class T> RF_DEVICE chunk16 gather_piece(const gemm_call &c, int row, int col)
{
    uint32_t half[PIECE];
    for (int i = 0; i < PIECE; i++) {
        const int j = col + i;
        half[i] = 0;
        if (row >= c.m || j >= c.k) continue;
        half[i] = j < c.k1 ? ((const T *)c.x)[(size_t)row * c.k1 + j].bits
                           : ((const T *)c.x2)[(size_t)row * (c.k - c.k1) + j - c.k1].bits;
    }
    chunk16 piece;
    for (int i = 0; i < 4; i++) piece.word[i] = half[2 * i] | half[2 * i + 1] << 16;
    return piece;
}

template <class T, class S, bool RAGGED>
RF_DEVICE void load_x(const gemm_call &c, unsigned char *tile, uint32_t tile_s, int row0, int col0)
{
    for (int i = (int)threadIdx.x; i < S::BM * TILE_CHUNKS; i += S::THREADS) {
        const int r = i / TILE_CHUNKS, chunk = i % TILE_CHUNKS;
        const int row = row0 + r, col = col0 + chunk * PIECE;
        if (RAGGED) {
            const uint32_t at = tile_chunk(0, r, chunk);
            *(chunk16 *)(tile + at) = gather_piece<T>(c, row, col);
            continue;
        }
        const int  split = RF_DEFECT(SECOND_SOURCE_LATE) ? c.k1 + PIECE : c.k1;
        const bool there = (row < c.m || RF_DEFECT(UNGUARDED_ROWS)) && col < c.k;
        const T   *from = (const T *)c.x;
        if (there)
            from = col < split ? from + (size_t)row * c.k1 + col
                               : (const T *)c.x2 + (size_t)row * (c.k - c.k1) + col - split;
        cp_async_16(tile_chunk(tile_s, r, chunk), from, there ? 16 : 0);
    }
}

template <class T, class S>
RF_DEVICE void load_w(const gemm_call &c, uint32_t tile_s, int row0, int col0)
{
    for (int i = (int)threadIdx.x; i < S::BN * TILE_CHUNKS; i += S::THREADS) {
        const int  r = i / TILE_CHUNKS, chunk = i % TILE_CHUNKS;
        const int  row = row0 + r, col = col0 + chunk * PIECE;
        const bool there = row < c.rows && col < c.kw;
        const T   *from = (const T *)c.w + (there ? (size_t)row * c.kw + col : 0);
        cp_async_16(tile_chunk(tile_s, r, chunk), from, there ? 16 : 0);
    }
}

/* ---- step 3: one tile of 64 columns of k ----------------------------------------------------- */

template <class T, class S>
RF_DEVICE void multiply_tile(float (&sum)[S::WM / 16][S::WN / 8][4], uint32_t x_s, uint32_t w_s)
{
    const int lane = (int)threadIdx.x % LANES, warp = (int)threadIdx.x / LANES;
    const int row0 = warp / S::WARPS_N * S::WM, col0 = warp % S::WARPS_N * S::WN;
    const int shift = RF_DEFECT(WRONG_SWIZZLE) ? 1 : 0;
    RF_UNROLL
    for (int k16 = 0; k16 < TILE_K / 16; k16++) {
        uint32_t x_r[S::WM / 16][4];
        RF_UNROLL
        for (int i = 0; i < S::WM / 16; i++) tile_load_a(x_r[i], x_s, row0 + 16 * i, k16, lane);
        RF_UNROLL
        for (int j = 0; j < S::WN / 16; j++) {
            uint32_t w_r[4];
            tile_load_b(w_r, w_s, col0 + 16 * j, k16 ^ shift, lane);
            RF_UNROLL
            for (int i = 0; i < S::WM / 16; i++) {
                mma_m16n8k16(T{}, sum[i][2 * j], x_r[i], w_r[0], w_r[1]);
                mma_m16n8k16(T{}, sum[i][2 * j + 1], x_r[i], w_r[2], w_r[3]);
            }
        }
    }
}

/* ---- step 4: from sums to y ------------------------------------------------------------------ */

RF_DEVICE float gelu(float v) /* erfc keeps the tail that 1 + erf loses */
{
    return 0.5f * v * erfcf(-0.70710678f * v);
}

RF_DEVICE float activate(int act, float v)
{
    switch (act) {
    case RF_ACT_SILU: return v / (1.f + expf(-v));
    case RF_ACT_GELU: return gelu(v);
    case RF_ACT_QUICK_GELU: return v / (1.f + expf(-1.702f * v));
    default: return v;
    }
}

template <class S>
RF_DEVICE void stage_sums(float *sums_s, const float (&sum)[S::WM / 16][S::WN / 8][4])
{
    const int lane = (int)threadIdx.x % LANES, warp = (int)threadIdx.x / LANES;
    const int row0 = warp / S::WARPS_N * S::WM + lane / 4;
    const int col0 = warp % S::WARPS_N * S::WN + lane % 4 * 2;
    RF_UNROLL
    for (int i = 0; i < S::WM / 16; i++) RF_UNROLL
    for (int j = 0; j < S::WN / 8; j++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        float *to = sums_s + (row0 + 16 * i + 8 * h) * S::SUM_STRIDE + col0 + 8 * j;
        to[0] = sum[i][j][2 * h];
        to[1] = sum[i][j][2 * h + 1];
    }
}

/* Eight columns of y; a thread works on the same ones in every row it finishes. */
typedef struct piece {
    int   col, count;                    /* count: columns that exist */
    float bias[PIECE], gate_bias[PIECE]; /* gate_bias: GEGLU only */
} piece;

RF_DEVICE void load_bias(float (&b)[PIECE], const float *bias, int wide, int count)
{
    if (bias && wide)
        load_piece(b, bias);
    else
        load_few(b, bias, bias ? count : 0);
}

/* Row `row` of a piece; `sums_s` has its sums, for GEGLU 8 values and then 8 gates. */
template <class T>
RF_DEVICE void finish_piece(const gemm_call &c, const piece &p, const float *sums_s, int row)
{
    const bool   gated = c.act == RF_ACT_GEGLU;
    const size_t at = (size_t)row * c.cols + p.col;
    const T     *residual = (const T *)c.residual + at;
    float        v[PIECE], added[PIECE] = {};
    if (c.residual && c.wide)
        load_piece(added, residual);
    else if (c.residual)
        load_few(added, residual, p.count);
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) v[i] = sums_s[i] + p.bias[i] + added[i];
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) {
        const float gate = gated ? sums_s[PIECE + i] + p.gate_bias[i] : 0.f;
        if (!gated)
            v[i] = activate(c.act, v[i]);
        else
            v[i] = RF_DEFECT(SWAPPED_GATE) ? gate * gelu(v[i]) : v[i] * gelu(gate);
    }
    if (c.wide)
        store_piece((T *)c.y + at, v);
    else
        store_few((T *)c.y + at, v, RF_DEFECT(UNGUARDED_STORE) ? PIECE : p.count);
}

template <class T, class S>
RF_DEVICE void finish(const gemm_call &c, const float *sums_s, int row0, int col0)
{
    const int span = c.act == RF_ACT_GEGLU ? 2 * PIECE : PIECE;  /* sums that make one piece */
    const int pieces = S::BN / span, rows = S::THREADS / pieces; /* rows: finished at once */
    const int t = (int)threadIdx.x, at = t % pieces;
    piece     p;
    p.col = col0 / span * PIECE + at * PIECE;
    if (t / pieces >= rows || p.col >= c.cols) return; /* 160 columns leave threads over */
    p.count = c.cols - p.col < PIECE ? c.cols - p.col : PIECE;
    load_bias(p.bias, c.bias ? c.bias + p.col : 0, c.wide, p.count);
    if (c.act == RF_ACT_GEGLU)
        load_bias(p.gate_bias, c.bias ? c.bias + c.cols + p.col : 0, c.wide, p.count);
    for (int r = t / pieces; r < S::BM && row0 + r < c.m; r += rows)
        finish_piece<T>(c, p, sums_s + r * S::SUM_STRIDE + at * span, row0 + r);
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <class T, class S, bool RAGGED>
RF_KERNEL(S::THREADS)
gemm_kernel(const __grid_constant__ gemm_call c)
{
    RF_SHARED(raw_s);
    const uint32_t ring_s = shared_address(raw_s);
    const int      row0 = (int)blockIdx.x * S::BM, col0 = (int)blockIdx.y * S::BN;
    const int      whole = RF_DEFECT(NO_TAIL) ? 0 : TILE_K - 1;
    const int      tiles = (c.k + whole) / TILE_K;
    float          sum[S::WM / 16][S::WN / 8][4] = {};

    /* Tile t lies in slot t % STAGES.  A group is committed for every tile, there or not, so that
     * the count of groups under way says which tile has arrived. */
    for (int t = 0; t < S::STAGES - 1; t++) {
        if (t < tiles) {
            const uint32_t at = (uint32_t)(t * S::STAGE_BYTES);
            load_x<T, S, RAGGED>(c, raw_s + at, ring_s + at, row0, t * TILE_K);
            load_w<T, S>(c, ring_s + at + S::BM * TILE_ROW_BYTES, col0, t * TILE_K);
        }
        cp_async_commit();
    }
    for (int t = 0; t < tiles; t++) {
        if (RF_DEFECT(ONE_WAIT_TOO_FEW))
            cp_async_wait<S::STAGES - 1>();
        else
            cp_async_wait<S::STAGES - 2>();
        /* Tile t of all threads has arrived; all are done with tile t - 1, whose slot is next. */
        if (!RF_DEFECT(NO_BARRIER)) __syncthreads();
        const int next = t + S::STAGES - 1;
        if (next < tiles) {
            const uint32_t at = (uint32_t)(next % S::STAGES * S::STAGE_BYTES);
            load_x<T, S, RAGGED>(c, raw_s + at, ring_s + at, row0, next * TILE_K);
            load_w<T, S>(c, ring_s + at + S::BM * TILE_ROW_BYTES, col0, next * TILE_K);
        }
        cp_async_commit();
        const uint32_t slot_s = ring_s + (uint32_t)(t % S::STAGES * S::STAGE_BYTES);
        multiply_tile<T, S>(sum, slot_s, slot_s + S::BM * TILE_ROW_BYTES);
    }
    cp_async_wait<0>();
    /* All tiles have been read; sums take their place. */
    if (!RF_DEFECT(NO_BARRIER_AT_END)) __syncthreads();
    stage_sums<S>((float *)raw_s, sum);
    __syncthreads(); /* sums are written by the warps above, read by rows below */
    finish<T, S>(c, (const float *)raw_s, row0, col0);
}

/* ---- packing --------------------------------------------------------------------------------- */

typedef struct pack_call {
    uint16_t       *dst; /* [rows][kw] */
    const uint16_t *src; /* [n][k] */
    int             n, k, kw, rows, gated;
} pack_call;

enum { PACK_THREADS = 256 };

/* A block packs a row: columns are read and written in order. */
RF_KERNEL(PACK_THREADS) gemm_pack_kernel(const __grid_constant__ pack_call c)
{
    const int row = (int)blockIdx.x, half = c.n / 2;
    int       from = row < c.n ? row : -1;
    if (c.gated) {
        const int col = row / (2 * PIECE) * PIECE + row % PIECE;
        from = col >= half ? -1 : row / PIECE % 2 ? half + col : col;
    }
    for (int j = (int)threadIdx.x; j < c.kw; j += PACK_THREADS)
        c.dst[(size_t)row * c.kw + j] =
            from >= 0 && j < c.k ? c.src[(size_t)from * c.k + j] : (uint16_t)0;
}

/* ---- host ------------------------------------------------------------------------------------ */

typedef tile_shape<64, 64, 2, 2, 4>   small_tile;
typedef tile_shape<128, 128, 2, 2, 3> square_tile;
typedef tile_shape<128, 160, 4, 2, 4> wide_tile;
typedef tile_shape<256, 160, 4, 2, 4> tall_tile;

template <class T, class S, bool RAGGED>
static rf_status launch_tile(const rf_gpu *gpu, const gemm_call *c)
{
    const dim3 grid((unsigned)((c->m + S::BM - 1) / S::BM),
                    (unsigned)((c->rows + S::BN - 1) / S::BN));
    return rf_launch(gemm_kernel<T, S, RAGGED>, grid, S::THREADS, S::STAGES * S::STAGE_BYTES, gpu,
                     *c);
}

template <class T> static rf_status launch_type(const rf_gpu *gpu, const gemm_call *c, int ragged)
{
    if (ragged) return launch_tile<T, small_tile, true>(gpu, c);
    switch (rf_gemm_tile_sm80(c->rows, c->k, gpu->shared_bytes_max)) {
    case RF_GEMM_TALL: return launch_tile<T, tall_tile, false>(gpu, c);
    case RF_GEMM_WIDE: return launch_tile<T, wide_tile, false>(gpu, c);
    case RF_GEMM_SQUARE: return launch_tile<T, square_tile, false>(gpu, c);
    default: return launch_tile<T, small_tile, false>(gpu, c);
    }
}

static int rounded_up(int x, int to)
{
    return (x + to - 1) / to * to;
}

static rf_status check_types(rf_dtype dtype, rf_dtype wdtype)
{
    return dtype == wdtype && (dtype == RF_F16 || dtype == RF_BF16) ? RF_OK : RF_E_SHAPE;
}

/* Sizes that leave room for rounding up in an int, and no more than 65535 tiles of columns. */
static rf_status check_sizes(int m, int n, int k)
{
    const int most_n = 1 << 21, most = 1 << 30;
    return n < 1 || k < 1 || n > most_n || k > most || m > most ? RF_E_SHAPE : RF_OK;
}

static int packed_rows(int n, rf_act act)
{
    return act == RF_ACT_GEGLU ? 2 * rounded_up(n / 2, PIECE) : n;
}

extern "C" rf_status rf_gemm_prepare_sm80(void *stream, const rf_gemm_args *a,
                                          size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    if (rf_gemm_check(a) != RF_OK || check_sizes(a->m, a->n, a->k) != RF_OK) return RF_E_SHAPE;
    return check_types(a->dtype, a->wdtype);
}

extern "C" rf_status rf_gemm_sm80(void *stream, const rf_gemm_args *a)
{
    const rf_gpu   *gpu = (const rf_gpu *)stream;
    size_t          unused;
    const rf_status st = rf_gemm_prepare_sm80(stream, a, &unused);
    if (st != RF_OK) return st;

    gemm_call c = {};
    c.y = a->y;
    c.x = a->x;
    c.x2 = a->x2;
    c.w = a->w;
    c.bias = a->bias;
    c.residual = a->residual;
    c.m = a->m;
    c.cols = a->act == RF_ACT_GEGLU ? a->n / 2 : a->n;
    c.k = a->k;
    c.k1 = a->k1 ? a->k1 : a->k;
    c.kw = rounded_up(a->k, PIECE);
    c.rows = packed_rows(a->n, a->act);
    c.act = a->act;
    c.wide = c.cols % PIECE == 0 && rf_aligned_16(c.y) && rf_aligned_16(c.bias) &&
             rf_aligned_16(c.residual);
    const int ragged = c.k % PIECE || c.k1 % PIECE || !rf_aligned_16(c.x) || !rf_aligned_16(c.x2);
    return a->dtype == RF_F16 ? launch_type<f16>(gpu, &c, ragged)
                              : launch_type<bf16>(gpu, &c, ragged);
}

extern "C" rf_status rf_gemm_pack_bytes_sm80(void *stream, const rf_gemm_weight_shape *s,
                                             size_t *bytes)
{
    (void)stream;
    *bytes = 0;
    if (check_sizes(1, s->n, s->k) != RF_OK || (s->act == RF_ACT_GEGLU && s->n % 2))
        return RF_E_SHAPE;
    *bytes = (size_t)packed_rows(s->n, s->act) * (size_t)rounded_up(s->k, PIECE) * 2;
    return check_types(s->dtype, s->wdtype);
}

extern "C" rf_status rf_gemm_pack_sm80(void *stream, const rf_gemm_weight_shape *s, void *dst,
                                       const void *src)
{
    size_t          bytes;
    const rf_status st = rf_gemm_pack_bytes_sm80(stream, s, &bytes);
    if (st != RF_OK) return st;
    pack_call c = {};
    c.dst = (uint16_t *)dst;
    c.src = (const uint16_t *)src;
    c.n = s->n;
    c.k = s->k;
    c.kw = rounded_up(s->k, PIECE);
    c.rows = packed_rows(s->n, s->act);
    c.gated = s->act == RF_ACT_GEGLU;
    return rf_launch(gemm_pack_kernel, dim3((unsigned)c.rows), PACK_THREADS, 0,
                     (const rf_gpu *)stream, c);
}
