/* The kernels of unit.h.  Their shared memory is 4 KiB. */
#include "tests/emulator/unit.h"

#include "kernels/device/ptx.cuh"

enum { THREADS = 64, SHARED_BYTES = 4096 };

template <bool TRANS, int STRIDE>
RF_DEVICE void load_matrices(const unit_args &a, uint32_t *words_s)
{
    const int lane = (int)threadIdx.x;
    for (int i = 0; i < 4; i++) words_s[STRIDE * lane + i] = a.in[4 * lane + i];
    __syncthreads(); /* every row is read by other lanes */
    uint32_t r[4];
    if (TRANS)
        ldmatrix_x4_trans(r, shared_address(words_s + STRIDE * lane));
    else
        ldmatrix_x4(r, shared_address(words_s + STRIDE * lane));
    for (int j = 0; j < 4; j++) a.out[32 * j + lane] = r[j];
}

template <class T> RF_DEVICE void multiply(const unit_args &a)
{
    const int       lane = (int)threadIdx.x, g = lane / 4, q = lane % 4;
    const uint32_t *b_g = a.in + 16 * 8; /* a has 16 rows of 8 words */
    const uint32_t  a_r[4] = {a.in[8 * g + q], a.in[8 * (g + 8) + q], a.in[8 * g + q + 4],
                              a.in[8 * (g + 8) + q + 4]};
    float           d[4] = {};
    mma_m16n8k16(T{}, d, a_r, b_g[8 * g + q], b_g[8 * g + q + 4]);
    for (int i = 0; i < 4; i++) {
        const int row = g + 8 * (i / 2), col = 2 * q + i % 2;
        memcpy(&a.out[8 * row + col], &d[i], 4);
    }
}

template <bool WAIT, bool BARRIER> RF_DEVICE void copy(const unit_args &a, uint32_t *words_s)
{
    const int t = (int)threadIdx.x, other = (t + (BARRIER ? 0 : 1)) % 32;
    if (t >= 32) return;
    cp_async_16(shared_address(words_s + 4 * t), a.in + 4 * t, WAIT && BARRIER ? t % 17 : 16);
    cp_async_commit();
    if (WAIT) cp_async_wait<0>();
    if (BARRIER) __syncwarp();
    for (int i = 0; i < 4; i++) a.out[4 * t + i] = words_s[4 * other + i];
    if (!WAIT) cp_async_wait<0>();
}

RF_DEVICE void sum_of_warp(const unit_args &a)
{
    float x;
    memcpy(&x, &a.in[threadIdx.x], 4);
    for (int lanes = 16; lanes; lanes /= 2) x += shuffle_xor(x, lanes);
    memcpy(&a.out[threadIdx.x], &x, 4);
}

RF_DEVICE void exp2_of_lane(const unit_args &a)
{
    float x;
    memcpy(&x, &a.in[threadIdx.x], 4);
    x = exp2_approx(x);
    memcpy(&a.out[threadIdx.x], &x, 4);
}

template <bool FIRST, bool SECOND> RF_DEVICE void reverse(const unit_args &a, uint32_t *words_s)
{
    const int t = (int)threadIdx.x, at = (int)blockIdx.x * THREADS;
    for (int pass = 0; pass < 2; pass++) { /* twice: the buffer is used again */
        words_s[t] = a.in[at + t];
        if (FIRST) __syncthreads(); /* written above, read below by another thread */
        a.out[at + t] = words_s[THREADS - 1 - t];
        if (SECOND) __syncthreads(); /* read above, rewritten in the next pass */
    }
}

RF_DEVICE void neighbour_without_warp_barrier(const unit_args &a, uint32_t *words_s)
{
    const int t = (int)threadIdx.x;
    words_s[t] = a.in[t];
    shuffle_xor(0.f, 1); /* orders no memory */
    a.out[t] = words_s[t ^ 1];
}

RF_DEVICE void copy_into_use(const unit_args &a, uint32_t *words_s)
{
    const int t = (int)threadIdx.x;
    words_s[t] = a.in[t];
    __syncthreads();
    a.out[t] = words_s[t ^ 32];
    if (t < 8) cp_async_16(shared_address(words_s + 4 * t), a.in, 16); /* others may still read */
    cp_async_commit();
    cp_async_wait<0>();
}

RF_DEVICE void beyond(const unit_args &a, int which, uint32_t *words_s)
{
    const int t = (int)threadIdx.x;
    if (which == UNIT_READ_BEYOND) a.out[t] = a.in[t == 63 ? a.elems : t];
    if (which == UNIT_WRITE_BEYOND) a.out[t == 63 ? a.elems : t] = 0;
    if (which == UNIT_WIDE_BEYOND) a.out[t] = global_load_16(a.in + 4 * t).word[0];
    if (which == UNIT_COPY_BEYOND) {
        cp_async_16(shared_address(words_s + 4 * t), a.in + 4 * t, 16);
        cp_async_commit();
        cp_async_wait<0>();
    }
    if (which == UNIT_SHARED_BEYOND) words_s[16 * t + 64] = 1;
}

RF_DEVICE void divergent(const unit_args &a, int which)
{
    const int t = (int)threadIdx.x;
    if (which == UNIT_DIVERGENT_BARRIER) {
        if (t < 32)
            __syncthreads();
        else
            shuffle_xor(0.f, t == 40 ? (__syncthreads(), 1) : 1); /* lane 8 goes elsewhere first */
    }
    if (which == UNIT_DIVERGENT_SHUFFLE) {
        if (t % 2)
            a.out[t] = (uint32_t)shuffle_xor(1.f, 1);
        else
            a.out[t] = (uint32_t)shuffle_xor(2.f, 1);
    }
    if (which == UNIT_LANES_ENDED) {
        if (t % 2) return;
        shuffle_xor(0.f, 2);
    }
}

RF_DEVICE void other_fault(const unit_args &a, int which, uint32_t *words_s)
{
    const int t = (int)threadIdx.x;
    uint32_t  few_r[4] = {1, 2, 3, 4};
    switch (which) {
    case UNIT_COPY_ABANDONED:
        cp_async_16(shared_address(words_s + 4 * t), a.in, 16);
        cp_async_commit();
        break;
    case UNIT_UNINITIALISED_SHARED: a.out[t] = words_s[t]; break;
    case UNIT_FREED:
    case UNIT_UNINITIALISED_GLOBAL:
    case UNIT_HOST_MEMORY: a.out[t] = a.in[t]; break;
    case UNIT_MISALIGNED: a.out[t] = global_load_16(a.in + 1).word[0]; break;
    case UNIT_LDMATRIX_MISALIGNED: ldmatrix_x4(few_r, shared_address(words_s + t)); break;
    case UNIT_BLOCKS_COLLIDE: a.out[t] = blockIdx.x; break;
    case UNIT_ENDLESS:
        while (*(volatile const uint32_t *)a.in != 77) {}
        break;
    case UNIT_ARRAY_INDEX:
        for (int i = 0; i < a.elems; i++) few_r[i] += (uint32_t)t;
        a.out[t] = few_r[0] + few_r[3];
        break;
    default: break;
    }
}

template <int CASE> RF_KERNEL(THREADS) unit_kernel(const __grid_constant__ unit_args a)
{
    RF_SHARED(raw_s);
    uint32_t *words_s = (uint32_t *)raw_s;
    switch (CASE) {
    case UNIT_LDMATRIX: load_matrices<false, 4>(a, words_s); break;
    case UNIT_LDMATRIX_CROWDED: load_matrices<false, 32>(a, words_s); break;
    case UNIT_LDMATRIX_TRANS: load_matrices<true, 4>(a, words_s); break;
    case UNIT_MMA_F16: multiply<f16>(a); break;
    case UNIT_MMA_BF16: multiply<bf16>(a); break;
    case UNIT_COPY: copy<true, true>(a, words_s); break;
    case UNIT_SHUFFLE: sum_of_warp(a); break;
    case UNIT_ANY: a.out[threadIdx.x] = warp_any(a.in[threadIdx.x] == 0); break;
    case UNIT_EXP2: exp2_of_lane(a); break;
    case UNIT_REVERSE: reverse<true, true>(a, words_s); break;
    case UNIT_NO_BARRIER: reverse<false, true>(a, words_s); break;
    case UNIT_NO_BARRIER_BEFORE_REUSE: reverse<true, false>(a, words_s); break;
    case UNIT_NO_WARP_BARRIER: neighbour_without_warp_barrier(a, words_s); break;
    case UNIT_COPY_NOT_WAITED: copy<false, true>(a, words_s); break;
    case UNIT_COPY_NO_BARRIER: copy<true, false>(a, words_s); break;
    case UNIT_COPY_INTO_USE: copy_into_use(a, words_s); break;
    case UNIT_READ_BEYOND:
    case UNIT_WRITE_BEYOND:
    case UNIT_WIDE_BEYOND:
    case UNIT_COPY_BEYOND:
    case UNIT_SHARED_BEYOND: beyond(a, CASE, words_s); break;
    case UNIT_DIVERGENT_BARRIER:
    case UNIT_DIVERGENT_SHUFFLE:
    case UNIT_LANES_ENDED: divergent(a, CASE); break;
    default: other_fault(a, CASE, words_s); break;
    }
}

/* A case is a constant of its kernel, and the table goes from the last to the first. */
template <int CASE>
static rf_status launch_case(int c, int blocks, const rf_gpu *gpu, const unit_args *a)
{
    if (c != CASE) {
        if constexpr (CASE > 0) return launch_case<CASE - 1>(c, blocks, gpu, a);
        return RF_E_ARG;
    }
    return rf_launch(unit_kernel<CASE>, dim3((unsigned)blocks), CASE < UNIT_REVERSE ? 32 : THREADS,
                     SHARED_BYTES, gpu, *a);
}

extern "C" rf_status unit_launch(unit_case c, int blocks, const rf_gpu *gpu, const unit_args *a)
{
    return launch_case<UNIT_CASES - 1>(c, blocks, gpu, a);
}
