/* Heads of up to 64: a block has 64 * M queries of one head, each of its four warps 16 * M of them
 * with all of their scores and output in registers (Dao 2023, "FlashAttention-2", section 3.3), and
 * walks the keys in blocks of 64 through a ring of STAGES tiles of k and v:
 *
 *   step       what
 *   1 wait     the oldest block of keys has arrived; the one used last is free again
 *   2 load     cp.async of the block STAGES - 1 ahead
 *   3 scores   16 times ldmatrix and 2 M mma; times scale, masked
 *   4 softmax  see sm80_softmax.cuh; the weights stay where mma left them, which is where the
 *              operand a of the next product wants them
 *   5 values   16 times ldmatrix.trans and 2 M mma
 *
 * q passes through the ring's last slot into registers before that slot is needed.
 *
 * Limits, worked out and not measured, for 4096 x 4096 x 64 with M = 2.  A warp's block of 64 keys
 * is 128 mma, 32 ldmatrix, 68 ex2 and 8 shuffles among some 680 instructions (sm_90a, nvcc 13.0;
 * without the masks and the shrinking of o, which most blocks skip).  Each quarter of a
 * multiprocessor holds two such warps; for one block of both it needs
 *
 *   tensor cores   2048 clocks (A100: 256 multiply-adds a clock); some 1650 on an H100, which has
 *                  twice as many but gives mma.sync 62 % of them (Luo et al. 2024, "Benchmarking
 *                  and dissecting the Nvidia Hopper GPU architecture")
 *   issue          1360 clocks, one instruction a clock
 *   ex2            1090 clocks, four lanes a clock
 *   ldmatrix       1024 clocks, 32 bytes a clock; with M = 1 for half of the arithmetic
 *
 * So tensor cores set the pace if the other warp computes weights meanwhile: hence two blocks a
 * multiprocessor, which 48 KiB and up to 255 registers allow on every device.  128 keys a block
 * would halve barriers and shuffles but need 64 registers more. */
#ifndef RF_SM80_NARROW_CUH
#define RF_SM80_NARROW_CUH

#include "kernels/attention/sm80_softmax.cuh"

enum { NARROW_WARPS = 4, NARROW_THREADS = NARROW_WARPS * LANES, NARROW_STAGES = 3 };

template <int M> struct narrow_shape {
    static constexpr int ROWS = 16 * M * NARROW_WARPS;
    static constexpr int STAGE_BYTES = 2 * TILE_BYTES; /* k, v */
    static constexpr int SHARED_BYTES = NARROW_STAGES * STAGE_BYTES;
    static_assert(ROWS * TILE_ROW_BYTES <= STAGE_BYTES, "q and o fit into a slot");
    static_assert(NARROW_STAGES >= 3, "two blocks under way while one is used");
};

/* Keys first .. first+63 and their values. */
template <class T>
RF_DEVICE void load_keys(const rf_attention_args &a, const sample<T> &kv, uint32_t slot_s,
                         int first)
{
    const int keys = RF_DEFECT(UNGUARDED_KEYS) ? kv.keys + KEYS : kv.keys;
    load_tile<T, KEYS, NARROW_THREADS>(slot_s, kv.k, a.kv_stride, first, keys, 0, a.d);
    load_tile<T, KEYS, NARROW_THREADS>(slot_s + TILE_BYTES, kv.v, a.kv_stride, first, keys, 0, a.d);
}

/* Steps 3 to 5 for one block of keys, whose tiles lie at k_s and v_s. */
template <class T, int M>
RF_DEVICE void attend_block(const rf_attention_args &a, row_state<M> &r, float (&o)[M][8][4],
                            const uint32_t (&q)[4][M][4], uint32_t k_s, uint32_t v_s, int first,
                            int row, int keys)
{
    const int lane = (int)threadIdx.x % LANES;
    float     s[M][8][4] = {};
    RF_UNROLL
    for (int k16 = 0; k16 < TILE_K / 16; k16++) multiply_keys<T>(s, q[k16], k_s, 0, k16, lane);
    scale_scores(s, a.scale * 1.44269504f); /* log2 e */
    if (first + KEYS > keys_seen(a, keys, row + 1))
        mask_scores(s, a, first + lane % 4 * 2, row + lane / 4, keys);

    float highest[M][2];
    find_highest(highest, s);
    follow_highest(r, o, highest);
    weigh(r, s);
    RF_UNROLL
    for (int k16 = 0; k16 < KEYS / 16; k16++) {
        uint32_t p[M][4];
        RF_UNROLL
        for (int i = 0; i < M; i++) pack_weights<T>(p[i], s[i][2 * k16], s[i][2 * k16 + 1]);
        multiply_values<T>(o, 0, p, v_s, 16 * k16, lane);
    }
}

template <class T, int M>
RF_KERNEL(NARROW_THREADS)
attention_narrow_kernel(const __grid_constant__ rf_attention_args a)
{
    typedef narrow_shape<M> S;
    RF_SHARED(raw_s);
    const uint32_t  ring_s = shared_address(raw_s);
    const int       lane = (int)threadIdx.x % LANES, warp_row = (int)threadIdx.x / LANES * 16 * M;
    const int       row0 = (int)blockIdx.x * S::ROWS, h = (int)blockIdx.y, b = (int)blockIdx.z;
    const sample<T> kv = sample_of<T>(a, b, h);
    const int       end = keys_seen(a, kv.keys, row0 + S::ROWS);
    const size_t    q_at = (size_t)b * (size_t)a.sq * (size_t)a.q_stride + (size_t)h * (size_t)a.d;
    const size_t    o_at = (size_t)b * (size_t)a.sq * (size_t)a.o_stride + (size_t)h * (size_t)a.d;

    const uint32_t q_s = ring_s + (NARROW_STAGES - 1) * S::STAGE_BYTES;
    load_tile<T, S::ROWS, NARROW_THREADS>(q_s, (const T *)a.q + q_at, a.q_stride, row0, a.sq, 0,
                                          a.d);
    cp_async_commit();
    /* Block t lies in slot t % STAGES.  A group is committed for every block, there or not, so that
     * the count of groups under way says which block has arrived. */
    for (int t = 0; t < NARROW_STAGES - 1; t++) {
        if (t * KEYS < end) load_keys<T>(a, kv, ring_s + (uint32_t)(t * S::STAGE_BYTES), t * KEYS);
        cp_async_commit();
    }
    cp_async_wait<NARROW_STAGES - 1>();
    __syncthreads(); /* q of all threads has arrived */
    uint32_t q[4][M][4];
    RF_UNROLL
    for (int k16 = 0; k16 < 4; k16++) RF_UNROLL
    for (int i = 0; i < M; i++) tile_load_a(q[k16][i], q_s, warp_row + 16 * i, k16, lane);

    row_state<M> r;
    float        o[M][8][4] = {};
    int          slot = 0, ahead = NARROW_STAGES - 1; /* of this block, of the one to load */
    begin_rows(r);
    for (int first = 0; first < end; first += KEYS) {
        if (RF_DEFECT(ONE_WAIT_TOO_FEW))
            cp_async_wait<NARROW_STAGES - 1>();
        else
            cp_async_wait<NARROW_STAGES - 2>();
        /* This block has arrived for all threads; all are done with the one before, whose slot (or
         * q's) is next. */
        if (!RF_DEFECT(NO_BARRIER)) __syncthreads();
        const int next = first + (NARROW_STAGES - 1) * KEYS;
        const int to = RF_DEFECT(LOAD_TOO_SOON) ? slot : ahead;
        if (next < end) load_keys<T>(a, kv, ring_s + (uint32_t)(to * S::STAGE_BYTES), next);
        cp_async_commit();
        const uint32_t k_s = ring_s + (uint32_t)(slot * S::STAGE_BYTES);
        const uint32_t v_s =
            RF_DEFECT(STALE_STAGE) && first ? ring_s + (uint32_t)(ahead * S::STAGE_BYTES) : k_s;
        attend_block<T>(a, r, o, q, k_s, v_s + TILE_BYTES, first, row0 + warp_row, kv.keys);
        slot = slot + 1 < NARROW_STAGES ? slot + 1 : 0;
        ahead = ahead + 1 < NARROW_STAGES ? ahead + 1 : 0;
    }
    cp_async_wait<0>();

    float inverse[M][2];
    RF_UNROLL
    for (int i = 0; i < 2 * M; i++) inverse[i / 2][i % 2] = 1.f / sum_of_row(r.sum[i / 2][i % 2]);
    multiply_rows(o, inverse);
    /* The slot after the last block's was free at the last barrier; a warp uses its own rows. */
    unsigned char *o_s = raw_s + slot * S::STAGE_BYTES;
    stage_rows<T>(o_s, S::ROWS, warp_row, 0, o, lane);
    __syncwarp();
    store_rows<T, 16 * M>((T *)a.o + o_at, a.o_stride, row0 + warp_row, a.sq, 0, a.d, o_s, warp_row,
                          lane);
}

#endif
