/* Heads of up to 512 (the VAE's one): a block has 64 queries and eight warps.  Their output, 64 x
 * 512 sums, is half of a multiprocessor's registers and more than a warp can hold, so it is
 * computed in slices of 128 columns: warp (m, slice) has 32 queries by 128 columns, 128 registers a
 * thread. Scores are needed by all slices and computed once: the same warp computes 32 queries by
 * 16 keys of each block of 64, and the four of a row exchange highest scores and weights in shared
 * memory.
 *
 *   step       what, for each block of 64 keys
 *   1 scores   8 tiles of k, 64 columns each: 4 times 2 ldmatrix of q, 1 of k, 4 mma
 *   2 softmax  see sm80_softmax.cuh; highest scores, then weights, through shared memory
 *   3 values   8 tiles of v, half a slice of 16 keys each: 2 ldmatrix of weights (every second
 *              tile), 4 of v, 16 mma
 *
 * Tiles of 8 KiB, TILES of them a stage, come through one ring of STAGES: the next block's keys are
 * under way while this one's values are used.  In 99 KiB fit 64 KiB of q, 8 of weights, and three
 * stages of one tile; where there is more, four stages of two tiles halve the barriers.
 *
 * Limits, worked out and not measured, for d = 512 and a block of 64 keys: 4096 clocks of mma (1024
 * multiply-adds a clock, A100) against 4352 clocks of ldmatrix (128 bytes a clock), because q, for
 * which there are no registers, is loaded anew for every block of keys.  128 keys a block would
 * save a third of that but not fit into 99 KiB.  Keys and values are read once for 64 queries: 8.6
 * GB for 16384 x 16384, from the L2 cache for the most part.  Computing the scores in each slice's
 * own block instead would need no exchange, and two and a half times the arithmetic. */
#ifndef RF_SM80_WIDE_CUH
#define RF_SM80_WIDE_CUH

#include "kernels/attention/sm80_softmax.cuh"

enum {
    WIDE_SLICES = 4, /* of the output, 128 columns each */
    WIDE_THREADS = 2 * WIDE_SLICES * LANES,
    WIDE_ROWS = 64,
    WIDE_D = 512,
    WIDE_D_TILES = WIDE_D / TILE_K,
    WIDE_M = 2, /* times 16 queries a warp */
    /* Shared memory: q, a tile of weights, a float for each slice and row, the ring. */
    WIDE_P_AT = WIDE_D_TILES * TILE_BYTES,
    WIDE_HIGHEST_AT = WIDE_P_AT + TILE_BYTES,
    WIDE_RING_AT = WIDE_HIGHEST_AT + WIDE_SLICES * WIDE_ROWS * (int)sizeof(float),
};

template <int TILES_, int STAGES_> struct wide_shape {
    static constexpr int TILES = TILES_, STAGES = STAGES_;
    static constexpr int STAGE_BYTES = TILES * TILE_BYTES;
    static constexpr int VALUE_STEPS = WIDE_D_TILES / TILES;
    static constexpr int SHARED_BYTES = WIDE_RING_AT + STAGES * STAGE_BYTES;
    static_assert(STAGES >= 3, "two stages under way while one is used");
};

/* ---- the ring -------------------------------------------------------------------------------- */

/* Which stage is loaded next.  The stages of a block of keys are those of k, then those of v. */
template <class T> struct ring {
    sample<T> kv;
    int       end;         /* of the keys that the queries see */
    int       key_steps;   /* stages of k; of v there are VALUE_STEPS */
    int       first, step; /* block of keys, stage of it */
    int       slot;
};

/* Half a slice for each slice: 16 keys from `key` on, of the columns 128 * slice + 64 * half ..;
 * tile row 16 * slice + i has key i.  A thread has one key and chunk of every second slice. */
template <class T>
RF_DEVICE void load_values(uint32_t tile_s, const T *v, int stride, int key, int keys, int half,
                           int d)
{
    constexpr int ROWS = WIDE_THREADS / TILE_CHUNKS;
    static_assert(ROWS == 32, "two slices at once");
    const int      row = (int)threadIdx.x / TILE_CHUNKS, chunk = (int)threadIdx.x % TILE_CHUNKS;
    const int      at_key = key + row % 16, col = (row / 16 * 2 + half) * TILE_K + chunk * PIECE;
    const T       *at = v + (size_t)at_key * (size_t)stride + col;
    const int      left = at_key < keys ? d - col : 0;
    const uint32_t to_s = tile_chunk(tile_s, row, chunk);
    RF_UNROLL
    for (int i = 0; i < WIDE_SLICES / 2; i++) {
        const bool there = i * 4 * TILE_K < left;
        cp_async_16(to_s + (uint32_t)(i * ROWS * TILE_ROW_BYTES), there ? at + i * 4 * TILE_K : v,
                    there ? 16 : 0);
    }
}

/* Loads the stage whose turn it is; nothing beyond the last block of keys. */
template <class T, class S>
RF_DEVICE void load_stage(const rf_attention_args &a, ring<T> &r, uint32_t ring_s)
{
    const int      keys = RF_DEFECT(UNGUARDED_KEYS) ? r.kv.keys + KEYS : r.kv.keys;
    const uint32_t slot_s = ring_s + (uint32_t)(r.slot * S::STAGE_BYTES);
    const bool     values = r.step >= r.key_steps;
    RF_ROLLED /* unrolled, two tiles take more registers than there are */
        for (int i = 0; i < S::TILES && r.first < r.end && !values; i++)
            load_tile<T, KEYS, WIDE_THREADS>(slot_s + (uint32_t)(i * TILE_BYTES), r.kv.k,
                                             a.kv_stride, r.first, keys,
                                             (r.step * S::TILES + i) * TILE_K, a.d);
    RF_ROLLED
    for (int i = 0; i < S::TILES && r.first < r.end && values; i++) {
        const int tile = (r.step - r.key_steps) * S::TILES + i;
        load_values(slot_s + (uint32_t)(i * TILE_BYTES), r.kv.v, a.kv_stride,
                    r.first + tile / 2 * 16, keys, tile % 2, a.d);
    }
    cp_async_commit(); /* there or not: the count of groups says what has arrived */
    r.slot = r.slot + 1 < S::STAGES ? r.slot + 1 : 0;
    r.step++;
    if (r.step < r.key_steps + S::VALUE_STEPS) return;
    r.step = 0;
    r.first += KEYS;
}

/* Waits for the oldest stage, loads the one STAGES - 1 ahead, and says where the oldest lies. */
template <class T, class S>
RF_DEVICE uint32_t next_stage(const rf_attention_args &a, ring<T> &r, uint32_t ring_s, bool barrier)
{
    if (RF_DEFECT(ONE_WAIT_TOO_FEW))
        cp_async_wait<S::STAGES - 1>();
    else
        cp_async_wait<S::STAGES - 2>();
    /* The oldest stage of all threads has arrived; all are done with the one before, whose slot is
     * loaded next. */
    if (barrier) __syncthreads();
    load_stage<T, S>(a, r, ring_s);
    const int stale = (r.slot + S::STAGES - 1) % S::STAGES;
    return ring_s + (uint32_t)((RF_DEFECT(STALE_STAGE) ? stale : r.slot) * S::STAGE_BYTES);
}

/* ---- a block of keys ------------------------------------------------------------------------- */

/* Which part of the block's work a warp has. */
typedef struct part {
    int lane, row, slice; /* row: its first, of the block's queries */
} part;

/* Where row 16 * i + 8 * h of this thread lies in an exchange of one float a row. */
RF_DEVICE int place_of(const part &w, int slice, int i, int h)
{
    return slice * WIDE_ROWS + w.row + 16 * i + 8 * h + w.lane / 4;
}

RF_DEVICE void publish(float *rows_s, const float (&x)[WIDE_M][2], const part &w)
{
    if (w.lane % 4) return; /* the four lanes of a row have the same */
    RF_UNROLL
    for (int i = 0; i < WIDE_M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++) rows_s[place_of(w, w.slice, i, h)] = x[i][h];
}

/* From scores of 16 keys, which begin at `first` + 16 * slice, to their weights in the tile at `p`;
 * `row0` is the block's first query. */
template <class T>
RF_DEVICE void weigh_block(const rf_attention_args &a, row_state<WIDE_M> &r,
                           float (&o)[WIDE_M][16][4], float (&s)[WIDE_M][2][4], const part &w,
                           unsigned char *p, float *rows_s, int first, int row0, int keys)
{
    const int key = first + 16 * w.slice, row = row0 + w.row;
    scale_scores(s, a.scale * 1.44269504f); /* log2 e */
    if (key + 16 > keys_seen(a, keys, row + 1))
        mask_scores(s, a, key + w.lane % 4 * 2, row + w.lane / 4, keys);

    float highest[WIDE_M][2];
    find_highest(highest, s);
    publish(rows_s, highest, w);
    if (!RF_DEFECT(NO_MAX_BARRIER)) __syncthreads(); /* the other slices' are there */
    RF_UNROLL
    for (int i = 0; i < WIDE_M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++) RF_UNROLL
    for (int slice = 0; slice < WIDE_SLICES; slice++)
        highest[i][h] = fmaxf(highest[i][h], rows_s[place_of(w, slice, i, h)]);
    follow_highest(r, o, highest);
    weigh(r, s);
    stage_rows<T>(p, WIDE_ROWS, w.row, 2 * w.slice, s, w.lane);
}

template <class T, class S>
RF_DEVICE void attend_wide(const rf_attention_args &a, ring<T> &r, row_state<WIDE_M> &rows,
                           float (&o)[WIDE_M][16][4], unsigned char *raw_s, const part &w,
                           int first, int row0)
{
    const uint32_t q_s = shared_address(raw_s), p_s = q_s + WIDE_P_AT, ring_s = q_s + WIDE_RING_AT;
    float          s[WIDE_M][2][4] = {};
    for (int step = 0; step < r.key_steps; step++) {
        const uint32_t k_s = next_stage<T, S>(a, r, ring_s, !RF_DEFECT(NO_BARRIER));
        RF_UNROLL
        for (int k16 = 0; k16 < 4 * S::TILES; k16++) {
            const uint32_t tile = (uint32_t)(k16 / 4 * TILE_BYTES);
            const uint32_t q_tile = q_s + (uint32_t)(step * S::STAGE_BYTES) + tile;
            uint32_t       q[WIDE_M][4];
            RF_UNROLL
            for (int i = 0; i < WIDE_M; i++)
                tile_load_a(q[i], q_tile, w.row + 16 * i, k16 % 4, w.lane);
            multiply_keys<T>(s, q, k_s + tile, 16 * w.slice, k16 % 4, w.lane);
        }
    }
    weigh_block<T>(a, rows, o, s, w, raw_s + WIDE_P_AT, (float *)(raw_s + WIDE_HIGHEST_AT), first,
                   row0, r.kv.keys);
    const int slice = RF_DEFECT(WRONG_SLICE) ? w.slice ^ 1 : w.slice;
    for (int k16 = 0; k16 < KEYS / 16; k16++) {
        uint32_t p[WIDE_M][4], v_s = 0;
        RF_UNROLL
        for (int half = 0; half < 2; half++) {
            /* The first stage's barrier also says that all weights are there. */
            const bool barrier = !RF_DEFECT(NO_BARRIER) && (k16 || !RF_DEFECT(WEIGHTS_TOO_SOON));
            if (half == 0 || S::TILES == 1)
                v_s = next_stage<T, S>(a, r, ring_s, barrier);
            else
                v_s += TILE_BYTES;
            RF_UNROLL
            for (int i = 0; i < WIDE_M && half == 0; i++)
                tile_load_a(p[i], p_s, w.row + 16 * i, k16, w.lane);
            multiply_values<T>(o, 8 * half, p, v_s, 16 * slice, w.lane);
        }
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

/* 1 / the sum of all weights of each row. */
RF_DEVICE void invert_sums(float (&inverse)[WIDE_M][2], const row_state<WIDE_M> &r, float *rows_s,
                           const part &w)
{
    RF_UNROLL
    for (int i = 0; i < 2 * WIDE_M; i++) inverse[i / 2][i % 2] = sum_of_row(r.sum[i / 2][i % 2]);
    publish(rows_s, inverse, w);
    __syncthreads(); /* the other slices' are there */
    RF_UNROLL
    for (int i = 0; i < WIDE_M; i++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        float sum = 0.f;
        RF_UNROLL
        for (int slice = 0; slice < WIDE_SLICES; slice++) sum += rows_s[place_of(w, slice, i, h)];
        inverse[i][h] = 1.f / sum;
    }
}

template <class T, class S>
RF_KERNEL(WIDE_THREADS)
attention_wide_kernel(const __grid_constant__ rf_attention_args a)
{
    RF_SHARED(raw_s);
    const uint32_t q_s = shared_address(raw_s), ring_s = q_s + WIDE_RING_AT;
    const int      row0 = (int)blockIdx.x * WIDE_ROWS, h = (int)blockIdx.y, b = (int)blockIdx.z;
    const int      warp = (int)threadIdx.x / LANES;
    const part w = {(int)threadIdx.x % LANES, warp / WIDE_SLICES * 16 * WIDE_M, warp % WIDE_SLICES};
    const size_t sample_row = (size_t)b * (size_t)a.sq, head = (size_t)h * (size_t)a.d;

    ring<T> r = {};
    r.kv = sample_of<T>(a, b, h);
    r.end = keys_seen(a, r.kv.keys, row0 + WIDE_ROWS);
    r.key_steps = (a.d + S::TILES * TILE_K - 1) / (S::TILES * TILE_K);
    const T *q = (const T *)a.q + sample_row * (size_t)a.q_stride + head;
    for (int i = 0; i < r.key_steps * S::TILES; i++) /* part of the first group */
        load_tile<T, WIDE_ROWS, WIDE_THREADS>(q_s + (uint32_t)(i * TILE_BYTES), q, a.q_stride, row0,
                                              a.sq, i * TILE_K, a.d);
    for (int i = 0; i < S::STAGES - 1; i++) load_stage<T, S>(a, r, ring_s);

    row_state<WIDE_M> rows;
    float             o[WIDE_M][16][4] = {};
    begin_rows(rows);
    for (int first = 0; first < r.end; first += KEYS)
        attend_wide<T, S>(a, r, rows, o, raw_s, w, first, row0);
    cp_async_wait<0>();

    float inverse[WIDE_M][2];
    invert_sums(inverse, rows, (float *)(raw_s + WIDE_HIGHEST_AT), w);
    multiply_rows(o, inverse);
    /* q was read before the last values' barriers: o takes its place, and a warp uses its own. */
    unsigned char *o_s = raw_s + 2 * w.slice * TILE_BYTES;
    stage_rows<T>(o_s, WIDE_ROWS, w.row, 0, o, w.lane);
    __syncwarp();
    T *to = (T *)a.o + sample_row * (size_t)a.o_stride + head;
    for (int half = 0; half < 2; half++)
        store_rows<T, 16 * WIDE_M>(to, a.o_stride, row0 + w.row, a.sq,
                                   (2 * w.slice + half) * TILE_K, a.d, o_s + half * TILE_BYTES,
                                   w.row, w.lane);
}

#endif
