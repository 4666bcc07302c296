/* One function per instruction: inline PTX on a GPU, a call into the emulated device on a host.
 *
 * The only file with `asm`.  Names follow the instruction; the section numbers are those of the
 * PTX ISA 9.0.  Both halves must say the same thing, and only a GPU can tell whether they do:
 * docs/gpu-checks.md lists which functions were confirmed.
 *
 * A name that ends in _s is a 32-bit address in shared memory. */
#ifndef RF_PTX_CUH
#define RF_PTX_CUH

#include "kernels/device/gpu.cuh"

/* Address of a pointer into shared memory (5.1.7 ".shared", generic address conversion). */
RF_DEVICE uint32_t shared_address(const void *p)
{
#if RF_EMULATED
    return emu::shared_address(p);
#else
    return (uint32_t)__cvta_generic_to_shared(p);
#endif
}

/* ldmatrix (9.7.15.5.15): four 8x8 matrices of 16-bit elements.  Lane i gives the 16-byte aligned
 * address of row i % 8 of matrix i / 8, and gets of matrix j in r[j] the elements 2 * (i % 4) and
 * the next of row i / 4. */
RF_DEVICE void ldmatrix_x4(uint32_t (&r)[4], uint32_t row_s)
{
#if RF_EMULATED
    emu::ldmatrix(r, 4, false, row_s);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row_s)
                 : "memory");
#endif
}

/* The same, each matrix transposed: r[j] holds rows 2 * (i % 4) and the next of column i / 4. */
RF_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t row_s)
{
#if RF_EMULATED
    emu::ldmatrix(r, 4, true, row_s);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row_s)
                 : "memory");
#endif
}

/* mma.m16n8k16 (9.7.15.5.8): d += a * b with a [16, 16] by rows, b [16, 8] by columns, both 16-bit,
 * d [16, 8] f32.  With g = lane / 4 and q = lane % 4:
 *
 *   a[r]     row g + 8 * (r % 2), columns 2q + 8 * (r / 2) and the next
 *   b0, b1   rows 2q and 2q + 8, and the next; column g
 *   d[i]     row g + 8 * (i / 2), column 2q + i % 2 */
RF_DEVICE void mma_m16n8k16(f16, float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
#if RF_EMULATED
    const uint32_t b[2] = {b0, b1};
    emu::mma_m16n8k16(d, a, b, emu::Operand::F16);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

RF_DEVICE void mma_m16n8k16(bf16, float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
#if RF_EMULATED
    const uint32_t b[2] = {b0, b1};
    emu::mma_m16n8k16(d, a, b, emu::Operand::BF16);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

/* cp.async (9.7.9.25.3.1): copies 16 bytes from global to shared memory, both 16-byte aligned, past
 * the L1 cache; what lies beyond the first `valid_bytes` is written as zeros and not read. */
RF_DEVICE void cp_async_16(uint32_t dst_s, const void *src_g, int valid_bytes)
{
#if RF_EMULATED
    emu::cp_async(dst_s, src_g, 16, valid_bytes);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst_s), "l"(src_g),
                 "r"(valid_bytes)
                 : "memory");
#endif
}

/* cp.async.commit_group (9.7.9.25.3.2): this thread's copies since the last commit are a group. */
RF_DEVICE void cp_async_commit()
{
#if RF_EMULATED
    emu::cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* cp.async.wait_group (9.7.9.25.3.3): at most N of this thread's latest groups are still under way
 * afterwards.  What other threads copied is known only after a barrier. */
template <int N> RF_DEVICE void cp_async_wait()
{
#if RF_EMULATED
    emu::cp_async_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

/* ld.global.v4 and st.global.v4 (9.7.9.8, 9.7.9.12), 16-byte aligned: written as functions so that
 * the emulated device can count them. */
RF_DEVICE chunk16 global_load_16(const void *src_g)
{
    chunk16 c;
#if RF_EMULATED
    emu::global_load_16(&c, src_g);
#else
    const uint4 v = *(const uint4 *)src_g;
    c = chunk16{{v.x, v.y, v.z, v.w}};
#endif
    return c;
}

RF_DEVICE void global_store_16(void *dst_g, const chunk16 &c)
{
#if RF_EMULATED
    emu::global_store_16(dst_g, &c);
#else
    *(uint4 *)dst_g = make_uint4(c.word[0], c.word[1], c.word[2], c.word[3]);
#endif
}

/* st.relaxed (9.7.9.12): for a word that several threads store, all the same value. */
RF_DEVICE void global_store_same(int32_t *dst_g, int32_t value)
{
#if RF_EMULATED
    emu::global_store_same(dst_g, value);
#else
    asm volatile("st.relaxed.gpu.global.s32 [%0], %1;" ::"l"(dst_g), "r"(value) : "memory");
#endif
}

/* shfl.sync.bfly (9.7.9.6) over the whole warp: the value of lane `lane ^ lanes`. */
RF_DEVICE float shuffle_xor(float x, int lanes)
{
#if RF_EMULATED
    return rf_f32_from_bits(emu::shuffle(0xFFFFFFFFu, rf_bits_from_f32(x), emu::lane() ^ lanes));
#else
    return __shfl_xor_sync(0xFFFFFFFFu, x, lanes);
#endif
}

/* vote.sync.any (9.7.13.9): whether the predicate holds in any lane of the warp. */
RF_DEVICE bool warp_any(bool predicate)
{
#if RF_EMULATED
    return emu::ballot(0xFFFFFFFFu, predicate) != 0;
#else
    return __any_sync(0xFFFFFFFFu, predicate) != 0;
#endif
}

/* ex2.approx.ftz (9.7.3.21): 2^x with a relative error of 2^-22; results below 2^-126 are zero. */
RF_DEVICE float exp2_approx(float x)
{
    float y;
#if RF_EMULATED
    y = exp2f(x);
    if (y < 0x1p-126f) y = 0.f;
#else
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
#endif
    return y;
}

#endif
