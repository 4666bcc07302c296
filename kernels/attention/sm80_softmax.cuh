/* What the attention kernels share: tiles from global memory, and online softmax over blocks of
 * keys (Milakov & Gimelshein 2018; Dao 2023, "FlashAttention-2", algorithm 1).
 *
 * Scores live in mma's accumulators s[M][N][4]: 16 * M queries by 8 * N keys, of which a thread has
 * the rows g and g + 8 of each 16 (g = lane / 4) and two columns of each 8.  What belongs to a row
 * is therefore [M][2].
 *
 * Weights are 2^(s - max), where max follows the highest score only once that exceeds it by more
 * than SLACK: weights of up to 2^SLACK are as exact as weights of up to 1, and o, the sum and max
 * itself rarely change after the first block.  Whether a row's max moves depends on that row's
 * scores alone. */
#ifndef RF_SM80_SOFTMAX_CUH
#define RF_SM80_SOFTMAX_CUH

#include "kernels/attention/attention.h"
#include "kernels/device/piece.cuh"
#include "kernels/device/tile.cuh"

/* Faults that the emulated device plants on request: each must be caught by a test. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,       /* a tile is read before other threads' copies are known to have arrived */
    ONE_WAIT_TOO_FEW, /* ... and before this thread's own have */
    LOAD_TOO_SOON,    /* the next tile overwrites one that other warps still read */
    STALE_STAGE,      /* the values of the block before */
    UNGUARDED_KEYS,   /* rows of k and v beyond the last key are read */
    UNGUARDED_STORE,  /* rows of o beyond the last query are written */
    WRONG_SWIZZLE,    /* the reader of v looks in the wrong place */
    NO_KEY_MASK,      /* keys beyond the last count as zeros */
    CAUSAL_TOO_FAR,   /* a query sees the key after its own */
    NO_RESCALE,       /* o stays as it was when max moves */
    NO_SUM_RESCALE,   /* ... and so does the sum of weights */
    HALF_MAX,         /* the highest score of two lanes of four */
    HALF_SUM,         /* the sum of two lanes of four */
    FIRST_SAMPLE,     /* the table's first entry for every sample */
    NO_MAX_BARRIER,   /* head 512: other warps' highest scores are read too soon */
    WEIGHTS_TOO_SOON, /* ... weights overwrite those that other warps still read */
    WRONG_SLICE,      /* ... a slice takes the values of its neighbour */
};

enum {
    LANES = 32,
    KEYS = 64, /* of a block: a tile's rows */
    SLACK = 8,
    TILE_BYTES = KEYS * TILE_ROW_BYTES,
};

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Keys and values of one head of one sample; rows are kv_stride apart. */
template <class T> struct sample {
    const T *k, *v;
    int      keys;
};

template <class T> RF_DEVICE sample<T> sample_of(const rf_attention_args &a, int b, int h)
{
    static_assert(sizeof(rf_attention_kv) == sizeof(chunk16), "an entry is one access");
    const size_t head = (size_t)h * (size_t)a.d;
    if (!a.table) {
        const size_t at = (size_t)b * (size_t)a.skv * (size_t)a.kv_stride + head;
        return sample<T>{(const T *)a.k + at, (const T *)a.v + at, a.skv};
    }
    const chunk16   c = global_load_16(a.table + (RF_DEFECT(FIRST_SAMPLE) ? 0 : b));
    rf_attention_kv kv;
    memcpy(&kv, &c, sizeof kv);
    const T *k = (const T *)kv.base + a.kv_off * (size_t)kv.skv + head;
    return sample<T>{k, k + (size_t)a.heads * (size_t)a.d, kv.skv};
}

/* Keys that any of the queries before `row_end` sees. */
RF_DEVICE int keys_seen(const rf_attention_args &a, int keys, int row_end)
{
    return a.causal && row_end < keys ? row_end : keys;
}

/* ROWS rows from `row` on and 64 columns from `col` on, of a matrix of rows x cols; zeros beyond.
 * A thread has one column of chunks. */
template <class T, int ROWS, int THREADS>
RF_DEVICE void load_tile(uint32_t tile_s, const T *from, int stride, int row, int rows, int col,
                         int cols)
{
    constexpr int AT_ONCE = THREADS / TILE_CHUNKS;
    static_assert(AT_ONCE % 8 == 0, "the swizzle is the same for all rows of a thread");
    const int      r = (int)threadIdx.x / TILE_CHUNKS, chunk = (int)threadIdx.x % TILE_CHUNKS;
    const T       *at = from + (size_t)(row + r) * (size_t)stride + col + chunk * PIECE;
    const size_t   step = (size_t)AT_ONCE * (size_t)stride;
    const uint32_t to_s = tile_chunk(tile_s, r, chunk);
    const int      left = col + chunk * PIECE < cols ? rows - row - r : 0;
    RF_UNROLL
    for (int i = 0; i < ROWS; i += AT_ONCE, at += step)
        cp_async_16(to_s + (uint32_t)(i * TILE_ROW_BYTES), i < left ? at : from, i < left ? 16 : 0);
}

/* s += q kT over the 64 columns of a tile; q [16 * M rows][64] as operands a. */
template <class T, int M, int N>
RF_DEVICE void multiply_keys(float (&s)[M][N][4], const uint32_t (&q)[M][4], uint32_t k_s, int row,
                             int k16, int lane)
{
    RF_UNROLL
    for (int j = 0; j < N / 2; j++) {
        uint32_t k[4];
        tile_load_b(k, k_s, row + 16 * j, k16, lane);
        RF_UNROLL
        for (int i = 0; i < M; i++) {
            mma_m16n8k16(T{}, s[i][2 * j], q[i], k[0], k[1]);
            mma_m16n8k16(T{}, s[i][2 * j + 1], q[i], k[2], k[3]);
        }
    }
}

/* o[..][first ..] += p v for the 16 keys from row `row` of a tile on, and its 64 columns. */
template <class T, int M, int N>
RF_DEVICE void multiply_values(float (&o)[M][N][4], int first, const uint32_t (&p)[M][4],
                               uint32_t v_s, int row, int lane)
{
    const int shift = RF_DEFECT(WRONG_SWIZZLE) ? 1 : 0;
    RF_UNROLL
    for (int j = 0; j < TILE_CHUNKS / 2; j++) {
        uint32_t v[4];
        tile_load_b_trans(v, v_s, row, 2 * j ^ shift, lane);
        RF_UNROLL
        for (int i = 0; i < M; i++) {
            mma_m16n8k16(T{}, o[i][first + 2 * j], p[i], v[0], v[1]);
            mma_m16n8k16(T{}, o[i][first + 2 * j + 1], p[i], v[2], v[3]);
        }
    }
}

/* ---- softmax --------------------------------------------------------------------------------- */

template <int M> struct row_state {
    float max[M][2]; /* what weights are relative to, in powers of two; the same in a row's lanes */
    float sum[M][2]; /* of the weights that this thread has seen */
};

template <int M> RF_DEVICE void begin_rows(row_state<M> &r)
{
    RF_UNROLL
    for (int i = 0; i < 2 * M; i++) {
        r.max[i / 2][i % 2] = -3.402823466e38f; /* not -infinity, whose difference is NaN */
        r.sum[i / 2][i % 2] = 0.f;
    }
}

/* Scores in powers of two.  Never fused with the subtraction of max: the highest weight is then 1,
 * however large the score. */
template <int M, int N> RF_DEVICE void scale_scores(float (&s)[M][N][4], float factor)
{
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int j = 0; j < N; j++) RF_UNROLL
    for (int e = 0; e < 4; e++) s[i][j][e] = multiply_rounded(s[i][j][e], factor);
}

/* What this thread's rows, from `row` on, do not see of the keys from `key` on is -infinity. */
template <int M, int N>
RF_DEVICE void mask_scores(float (&s)[M][N][4], const rf_attention_args &a, int key, int row,
                           int keys)
{
    const int ahead = RF_DEFECT(CAUSAL_TOO_FAR) ? 2 : 1;
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int e = 0; e < 4; e++) {
        const int end = keys_seen(a, keys, row + 16 * i + e / 2 * 8 + ahead);
        RF_UNROLL
        for (int j = 0; j < N; j++)
            if (key + 8 * j + e % 2 >= end && !RF_DEFECT(NO_KEY_MASK)) s[i][j][e] = -INFINITY;
    }
}

/* Joins the four lanes of a row. */
RF_DEVICE float highest_of_row(float x)
{
    x = fmaxf(x, shuffle_xor(x, 1));
    return RF_DEFECT(HALF_MAX) ? x : fmaxf(x, shuffle_xor(x, 2));
}

RF_DEVICE float sum_of_row(float x)
{
    x += shuffle_xor(x, 1);
    return RF_DEFECT(HALF_SUM) ? x : x + shuffle_xor(x, 2);
}

template <int M, int N>
RF_DEVICE void find_highest(float (&highest)[M][2], const float (&s)[M][N][4])
{
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        float x = -INFINITY;
        RF_UNROLL
        for (int j = 0; j < N; j++) x = fmaxf(x, fmaxf(s[i][j][2 * h], s[i][j][2 * h + 1]));
        highest[i][h] = highest_of_row(x);
    }
}

template <int M, int N>
RF_DEVICE void multiply_rows(float (&o)[M][N][4], const float (&factor)[M][2])
{
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int j = 0; j < N; j++) RF_UNROLL
    for (int e = 0; e < 4; e++) o[i][j][e] *= factor[i][e / 2];
}

/* Moves max where `highest` has left it behind, and shrinks what was summed so far. */
template <int M, int N>
RF_DEVICE void follow_highest(row_state<M> &r, float (&o)[M][N][4], const float (&highest)[M][2])
{
    float shrink[M][2];
    bool  moved = false;
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        const bool  moves = highest[i][h] > r.max[i][h] + (float)SLACK;
        const float max = moves ? highest[i][h] : r.max[i][h];
        shrink[i][h] = exp2_approx(r.max[i][h] - max);
        r.max[i][h] = max;
        moved = moved || moves;
    }
    if (!warp_any(moved)) return; /* shrinking by 1 */
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++)
        if (!RF_DEFECT(NO_SUM_RESCALE)) r.sum[i][h] = multiply_rounded(r.sum[i][h], shrink[i][h]);
    if (!RF_DEFECT(NO_RESCALE)) multiply_rows(o, shrink);
}

/* From scores to weights. */
template <int M, int N> RF_DEVICE void weigh(row_state<M> &r, float (&s)[M][N][4])
{
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int j = 0; j < N; j++) RF_UNROLL
    for (int e = 0; e < 4; e++) {
        s[i][j][e] = exp2_approx(s[i][j][e] - r.max[i][e / 2]);
        r.sum[i][e / 2] += s[i][j][e];
    }
}

/* Weights of 16 keys as operand a: accumulators have the same lanes, row by row. */
template <class T>
RF_DEVICE void pack_weights(uint32_t (&p)[4], const float (&lo)[4], const float (&hi)[4])
{
    p[0] = pack_two(T{}, lo[0], lo[1]);
    p[1] = pack_two(T{}, lo[2], lo[3]);
    p[2] = pack_two(T{}, hi[0], hi[1]);
    p[3] = pack_two(T{}, hi[2], hi[3]);
}

/* ---- output ---------------------------------------------------------------------------------- */

/* Accumulators in 16 bits: rows `row` .. and chunks `chunk` .. of tiles of [tile_rows][64] that lie
 * one after the other. */
template <class T, int M, int N>
RF_DEVICE void stage_rows(unsigned char *tiles, int tile_rows, int row, int chunk,
                          const float (&x)[M][N][4], int lane)
{
    RF_UNROLL
    for (int i = 0; i < M; i++) RF_UNROLL
    for (int j = 0; j < N; j++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        const int      r = row + 16 * i + 8 * h + lane / 4, c = chunk + j;
        unsigned char *tile = tiles + c / TILE_CHUNKS * tile_rows * TILE_ROW_BYTES;
        *(uint32_t *)(tile + tile_chunk(0, r, c % TILE_CHUNKS) + lane % 4 * 4) =
            pack_two(T{}, x[i][j][2 * h], x[i][j][2 * h + 1]);
    }
}

/* Rows row .. row+ROWS-1 of a tile to rows first .. of o (those below `rows` exist) and its columns
 * col .. col+63 (those below d exist), by one warp. */
template <class T, int ROWS>
RF_DEVICE void store_rows(T *o, int stride, int first, int rows, int col, int d,
                          const unsigned char *tile, int row, int lane)
{
    const int chunk = lane % TILE_CHUNKS;
    if (col + chunk * PIECE >= d) return;
    for (int r = lane / TILE_CHUNKS; r < ROWS; r += LANES / TILE_CHUNKS) {
        if (first + r >= rows && !RF_DEFECT(UNGUARDED_STORE)) return;
        global_store_16(o + (size_t)(first + r) * (size_t)stride + col + chunk * PIECE,
                        *(const chunk16 *)(tile + tile_chunk(0, row + r, chunk)));
    }
}

#endif
