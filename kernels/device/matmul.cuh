/* The product that gemm and conv share: sum = x · wᵀ of one block, 16-bit in, f32 out.
 *
 * A block computes BM x BN elements.  Its warps hold WM x WN each in registers and walk k in steps
 * of 64 through a ring of STAGES tiles in shared memory:
 *
 *   step        who          what
 *   1 wait      all          the oldest tile has arrived; the one used last is free again
 *   2 load      all          cp.async of the tile STAGES - 1 ahead, 16 bytes a thread at a time
 *   3 multiply  each warp    4 times: ldmatrix of (WM + WN) x 16, mma of WM x WN x 16
 *   4 stage     all          sums through shared memory, so that what is added to them and y are
 *                            read and written 16 bytes at a time
 *
 * Every element's sum runs over k in order, 16 at a time, whatever the tile: its bits depend
 * neither on how many rows x has nor on which tile was chosen.
 *
 * Where a tile of x comes from is the op's: it defines load_x(source, slot, slot_s), called once
 * for every tile of k in order, which fills BM rows of the slot.  `source` is what it wants to
 * keep. */
#ifndef RF_MATMUL_CUH
#define RF_MATMUL_CUH

#include "kernels/device/piece.cuh"
#include "kernels/device/tile.cuh"

/* Faults of the loop that the emulated device plants on request: each must be caught by a test.  An
 * op's own faults follow from LOOP_DEFECTS on. */
enum loop_defect {
    NO_DEFECT,
    NO_BARRIER,        /* a tile is read before other threads' copies are known to have arrived */
    ONE_WAIT_TOO_FEW,  /* ... and before this thread's own have */
    NO_BARRIER_AT_END, /* the sums overwrite tiles that other warps still read */
    WRONG_SWIZZLE,     /* the reader of w looks in the wrong place */
    STALE_STAGE,       /* the tile used is the one of the step before */
    NO_TAIL,           /* the last, partial step of k is left out */
    LOOP_DEFECTS,
};

enum { LANES = 32 };

template <int BM_, int BN_, int WARPS_M_, int WARPS_N_, int STAGES_> struct tile_shape {
    static constexpr int BM = BM_, BN = BN_, STAGES = STAGES_;
    static constexpr int WARPS_M = WARPS_M_, WARPS_N = WARPS_N_;
    static constexpr int THREADS = LANES * WARPS_M * WARPS_N;
    static constexpr int WM = BM / WARPS_M, WN = BN / WARPS_N;
    static constexpr int STAGE_BYTES = (BM + BN) * TILE_ROW_BYTES;
    static constexpr int RING_BYTES = STAGES * STAGE_BYTES;
    /* Sums are staged with 8 floats of padding: the rows that a warp writes at once, each with
     * pairs of columns, then fall into different banks. */
    static constexpr int SUM_STRIDE = BN + 8;
    static_assert(WM % 16 == 0 && WN % 16 == 0, "a warp loads 16 rows of x and of w at once");
    static_assert(BM * SUM_STRIDE * 4 <= RING_BYTES, "sums take the tiles' place");
    static_assert(STAGES >= 3, "two tiles under way while one is used");
};

/* A warp's share of the sums: see mma_m16n8k16 for the last axis. */
template <class S> struct warp_sums {
    float at[S::WM / 16][S::WN / 8][4];
};

/* Packed weights: `rows` rows of `length` elements, a multiple of 8. */
typedef struct packed_weights {
    const void *w;
    int         rows, length;
} packed_weights;

template <class T, class S>
RF_DEVICE void load_w(const packed_weights &p, uint32_t tile_s, int row0, int col0)
{
    for (int i = (int)threadIdx.x; i < S::BN * TILE_CHUNKS; i += S::THREADS) {
        const int  r = i / TILE_CHUNKS, chunk = i % TILE_CHUNKS;
        const int  row = row0 + r, col = col0 + chunk * PIECE;
        const bool there = row < p.rows && col < p.length;
        const T   *from = (const T *)p.w + (there ? (size_t)row * p.length + col : 0);
        cp_async_16(tile_chunk(tile_s, r, chunk), from, there ? 16 : 0);
    }
}

template <class T, class S>
RF_DEVICE void multiply_tile(warp_sums<S> &sum, uint32_t x_s, uint32_t w_s)
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
                mma_m16n8k16(T{}, sum.at[i][2 * j], x_r[i], w_r[0], w_r[1]);
                mma_m16n8k16(T{}, sum.at[i][2 * j + 1], x_r[i], w_r[2], w_r[3]);
            }
        }
    }
}

template <class T, class S, class Source>
RF_DEVICE void load_stage(Source &source, const packed_weights &p, unsigned char *ring, int tile,
                          int col0)
{
    unsigned char *slot = ring + tile % S::STAGES * S::STAGE_BYTES;
    const uint32_t slot_s = shared_address(slot);
    load_x(source, slot, slot_s);
    load_w<T, S>(p, slot_s + S::BM * TILE_ROW_BYTES, col0, tile * TILE_K);
}

/* Sums over the first k columns of x with rows col0 .. of w.  Ends with the ring free for all. */
template <class T, class S, class Source>
RF_DEVICE void multiply(warp_sums<S> &sum, Source &source, const packed_weights &p, int k,
                        unsigned char *ring, int col0)
{
    const uint32_t ring_s = shared_address(ring);
    const int      tiles = (k + (RF_DEFECT(NO_TAIL) ? 0 : TILE_K - 1)) / TILE_K;
    const int      late = RF_DEFECT(STALE_STAGE) ? S::STAGES - 1 : 0;

    /* Tile t lies in slot t % STAGES.  A group is committed for every tile, there or not, so that
     * the count of groups under way says which tile has arrived. */
    for (int t = 0; t < S::STAGES - 1; t++) {
        if (t < tiles) load_stage<T, S>(source, p, ring, t, col0);
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
        if (next < tiles) load_stage<T, S>(source, p, ring, next, col0);
        cp_async_commit();
        const uint32_t slot_s = ring_s + (uint32_t)((t + late) % S::STAGES * S::STAGE_BYTES);
        multiply_tile<T, S>(sum, slot_s, slot_s + S::BM * TILE_ROW_BYTES);
    }
    cp_async_wait<0>();
    /* All tiles have been read; what follows takes their place. */
    if (!RF_DEFECT(NO_BARRIER_AT_END)) __syncthreads();
}

/* The block's sums as [BM][SUM_STRIDE], for all threads to read. */
template <class S> RF_DEVICE void stage_sums(float *sums_s, const warp_sums<S> &sum)
{
    const int lane = (int)threadIdx.x % LANES, warp = (int)threadIdx.x / LANES;
    const int row0 = warp / S::WARPS_N * S::WM + lane / 4;
    const int col0 = warp % S::WARPS_N * S::WN + lane % 4 * 2;
    RF_UNROLL
    for (int i = 0; i < S::WM / 16; i++) RF_UNROLL
    for (int j = 0; j < S::WN / 8; j++) RF_UNROLL
    for (int h = 0; h < 2; h++) {
        float *to = sums_s + (row0 + 16 * i + 8 * h) * S::SUM_STRIDE + col0 + 8 * j;
        to[0] = sum.at[i][j][2 * h];
        to[1] = sum.at[i][j][2 * h + 1];
    }
    __syncthreads(); /* sums are written by the warps above, read by rows from here on */
}

#endif
