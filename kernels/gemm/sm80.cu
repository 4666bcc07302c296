/* gemm with mma.sync: y = act(x · wᵀ + bias + residual), 16-bit storage, f32 accumulation.
 *
 * The product is that of kernels/device/matmul.cuh, whose steps 1 to 3 it walks; this file fills
 * the tiles of x and makes y of the sums, with the activation in between.  The bytes of y depend
 * neither on m nor on which tile was chosen.
 *
 * Weights are packed as [rows][k rounded up to 8], zero filled; for GEGLU 8 rows of value and 8 of
 * gate take turns, so that one thread finds both of an output.  If k, k1 or a pointer rules out
 * 16-byte pieces of x, its tiles are filled element by element instead (RAGGED): the rest is the
 * same. */
#include "kernels/gemm/gemm.h"

#include "kernels/choice/choice_keys.h"
#include "kernels/device/matmul.cuh"
#include "kernels/gemm/sm80_gemm_plan.h"
#include "kernels/gemm/sm80_tiles.h"

static_assert((int)PIECE == (int)RF_GEMM_PIECE_SM80, "packed weights are read in pieces");

/* Faults that the emulated device plants on request, after those of the loop. */
enum defect {
    UNGUARDED_ROWS = LOOP_DEFECTS, /* rows of x beyond m are read */
    UNGUARDED_STORE,               /* columns of y beyond n are written */
    SWAPPED_GATE,                  /* GEGLU takes the gate for the value */
    SECOND_SOURCE_LATE,            /* x2 begins 8 columns late */
};

/* What a launch knows; all pointers are the device's. */
typedef struct gemm_call {
    void          *y;
    const void    *x, *x2;
    const float   *bias;
    const void    *residual;
    int            m, cols; /* of y */
    int            k, k1;
    int            act;
    int            wide; /* bias, residual and y can be moved 16 bytes at a time */
    packed_weights w;
} gemm_call;

/* ---- tiles of x ------------------------------------------------------------------------------ */

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
    return chunk_of_halves(half);
}

template <class T, class S, bool RAGGED> struct rows_of_x {
    const gemm_call &c;
    int              row0, col0; /* of the next tile */
};

template <class T, class S, bool RAGGED>
RF_DEVICE void load_x(rows_of_x<T, S, RAGGED> &source, unsigned char *tile, uint32_t tile_s)
{
    const gemm_call &c = source.c;
    for (int i = (int)threadIdx.x; i < S::BM * TILE_CHUNKS; i += S::THREADS) {
        const int r = i / TILE_CHUNKS, chunk = i % TILE_CHUNKS;
        const int row = source.row0 + r, col = source.col0 + chunk * PIECE;
        if (RAGGED) {
            *(chunk16 *)(tile + tile_chunk(0, r, chunk)) = gather_piece<T>(c, row, col);
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
    source.col0 += TILE_K;
}

/* ---- from sums to y -------------------------------------------------------------------------- */

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

/* Eight columns of y; a thread works on the same ones in every row it finishes. */
typedef struct piece {
    int   col, count;                    /* count: columns that exist */
    float bias[PIECE], gate_bias[PIECE]; /* gate_bias: GEGLU only */
} piece;

/* Row `row` of a piece; `sums_s` has its sums, for GEGLU 8 values and then 8 gates. */
template <class T>
RF_DEVICE void finish_piece(const gemm_call &c, const piece &p, const float *sums_s, int row)
{
    const bool   gated = c.act == RF_ACT_GEGLU;
    const size_t at = (size_t)row * c.cols + p.col;
    float        v[PIECE], added[PIECE] = {};
    if (c.residual) load_some(added, (const T *)c.residual + at, c.wide, p.count);
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
    store_some((T *)c.y + at, v, c.wide, RF_DEFECT(UNGUARDED_STORE) ? PIECE : p.count);
}

template <class T, class S>
RF_DEVICE void finish(const gemm_call &c, const float *sums_s, int row0, int col0)
{
    const int span = c.act == RF_ACT_GEGLU ? 2 * PIECE : PIECE;  /* sums that make one piece */
    const int pieces = S::BN / span, rows = S::THREADS / pieces; /* rows: finished at once */
    const int t = (int)threadIdx.x, at = t % pieces;
    piece     p = {};
    p.col = col0 / span * PIECE + at * PIECE;
    if (t / pieces >= rows || p.col >= c.cols) return; /* 160 columns leave threads over */
    p.count = c.cols - p.col < PIECE ? c.cols - p.col : PIECE;
    if (c.bias) load_some(p.bias, c.bias + p.col, c.wide, p.count);
    if (c.bias && c.act == RF_ACT_GEGLU)
        load_some(p.gate_bias, c.bias + c.cols + p.col, c.wide, p.count);
    for (int r = t / pieces; r < S::BM && row0 + r < c.m; r += rows)
        finish_piece<T>(c, p, sums_s + r * S::SUM_STRIDE + at * span, row0 + r);
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <class T, class S, bool RAGGED>
RF_KERNEL(S::THREADS)
gemm_kernel(const __grid_constant__ gemm_call c)
{
    RF_SHARED(raw_s);
    const int               row0 = (int)blockIdx.x * S::BM, col0 = (int)blockIdx.y * S::BN;
    rows_of_x<T, S, RAGGED> source = {c, row0, 0};
    warp_sums<S>            sum = {};
    multiply<T>(sum, source, c.w, c.k, raw_s, col0);
    stage_sums((float *)raw_s, sum);
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
                    (unsigned)((c->w.rows + S::BN - 1) / S::BN));
    return rf_launch(gemm_kernel<T, S, RAGGED>, grid, S::THREADS, S::RING_BYTES, gpu, *c);
}

/* The table's tile where it names one that fits, or the rule's: the bytes are the same. */
static int tile_of(const rf_gpu *gpu, const rf_gemm_args *a, int rows)
{
    const rf_choice_key key = rf_gemm_choice_key(a);
    const int           rule = rf_gemm_tile_sm80(rows, a->k, gpu->shared_bytes_max);
    const int           tile = rf_choose_tile(gpu->choices, &key, RF_GEMM_TILES, rule);
    return rf_gemm_tile_bytes(tile) <= gpu->shared_bytes_max ? tile : rule;
}

template <class T>
static rf_status launch_type(const rf_gpu *gpu, const gemm_call *c, int tile, int ragged)
{
    if (ragged) return launch_tile<T, small_tile, true>(gpu, c);
    switch (tile) {
    case RF_GEMM_TALL: return launch_tile<T, tall_tile, false>(gpu, c);
    case RF_GEMM_WIDE: return launch_tile<T, wide_tile, false>(gpu, c);
    case RF_GEMM_SQUARE: return launch_tile<T, square_tile, false>(gpu, c);
    default: return launch_tile<T, small_tile, false>(gpu, c);
    }
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
    c.w = packed_weights{a->w, rf_gemm_packed_rows_sm80(a->n, a->act),
                         rf_gemm_whole_pieces_sm80(a->k)};
    c.bias = a->bias;
    c.residual = a->residual;
    c.m = a->m;
    c.cols = a->act == RF_ACT_GEGLU ? a->n / 2 : a->n;
    c.k = a->k;
    c.k1 = a->k1 ? a->k1 : a->k;
    c.act = a->act;
    c.wide = c.cols % PIECE == 0 && rf_aligned_16(c.y) && rf_aligned_16(c.bias) &&
             rf_aligned_16(c.residual);
    const int ragged = c.k % PIECE || c.k1 % PIECE || !rf_aligned_16(c.x) || !rf_aligned_16(c.x2);
    const int tile = tile_of(gpu, a, c.w.rows);
    return a->dtype == RF_F16 ? launch_type<f16>(gpu, &c, tile, ragged)
                              : launch_type<bf16>(gpu, &c, tile, ragged);
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
    c.kw = rf_gemm_whole_pieces_sm80(s->k);
    c.rows = rf_gemm_packed_rows_sm80(s->n, s->act);
    c.gated = s->act == RF_ACT_GEGLU;
    return rf_launch(gemm_pack_kernel, dim3((unsigned)c.rows), PACK_THREADS, 0,
                     (const rf_gpu *)stream, c);
}
