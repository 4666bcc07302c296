/* The kernels of kit.h: one warp each, 8 KiB of shared memory. */
#include "tests/emulator/conformance/kit.h"

#include "kernels/device/piece.cuh"

enum { SHARED_BYTES = 8192, FEW = 9 /* counts 0 .. 8 */ };

RF_DEVICE int lane()
{
    return (int)threadIdx.x;
}

/* A permutation of the lanes: what a lane touches is not what lies at its own place. */
RF_DEVICE int other_lane()
{
    return (5 * lane() + 3) % 32;
}

RF_DEVICE float float_at(const uint32_t *in, int i)
{
    float x;
    memcpy(&x, &in[i], 4);
    return x;
}

RF_DEVICE void put_float(uint32_t *out, int i, float x)
{
    memcpy(&out[i], &x, 4);
}

/* ---- ptx.cuh ----------------------------------------------------------------------------------
 */

RF_DEVICE void run_shared_address(const kit_args &a, uint32_t *words_s)
{
    a.out[lane()] = shared_address(words_s + 7 * lane()) - shared_address(words_s);
}

/* Row i of the input lies in the place of lane i's permutation, 16 or 80 bytes apart. */
template <bool TRANS> RF_DEVICE void run_ldmatrix(const kit_args &a, uint32_t *words_s)
{
    const int stride = a.which ? 20 : 4, place = stride * other_lane();
    for (int i = 0; i < 4; i++) words_s[place + i] = a.in[4 * lane() + i];
    __syncthreads();
    uint32_t r[4];
    if (TRANS)
        ldmatrix_x4_trans(r, shared_address(words_s + place));
    else
        ldmatrix_x4(r, shared_address(words_s + place));
    for (int j = 0; j < 4; j++) a.out[32 * j + lane()] = r[j];
}

RF_DEVICE void run_ldmatrix_x4(const kit_args &a, uint32_t *words_s)
{
    run_ldmatrix<false>(a, words_s);
}

RF_DEVICE void run_ldmatrix_x4_trans(const kit_args &a, uint32_t *words_s)
{
    run_ldmatrix<true>(a, words_s);
}

template <class T> RF_DEVICE void run_mma(const kit_args &args)
{
    const int       g = lane() / 4, q = lane() % 4;
    const uint32_t *a = args.in, *b = a + 16 * 8, *c = b + 8 * 8; /* 8 words a row of a, of b */
    const uint32_t  a_r[4] = {a[8 * g + q], a[8 * (g + 8) + q], a[8 * g + q + 4],
                              a[8 * (g + 8) + q + 4]};
    float           d[4];
    for (int i = 0; i < 4; i++) d[i] = float_at(c, 8 * (g + 8 * (i / 2)) + 2 * q + i % 2);
    mma_m16n8k16(T{}, d, a_r, b[8 * g + q], b[8 * g + q + 4]);
    for (int i = 0; i < 4; i++) put_float(args.out, 8 * (g + 8 * (i / 2)) + 2 * q + i % 2, d[i]);
}

RF_DEVICE void run_mma_m16n8k16_f16(const kit_args &a, uint32_t *)
{
    run_mma<f16>(a);
}

RF_DEVICE void run_mma_m16n8k16_bf16(const kit_args &a, uint32_t *)
{
    run_mma<bf16>(a);
}

/* Every number of valid bytes; what lay there before shows if it is not overwritten. */
RF_DEVICE void run_cp_async_16(const kit_args &a, uint32_t *words_s)
{
    uint32_t *mine_s = words_s + 4 * other_lane();
    for (int i = 0; i < 4; i++) mine_s[i] = 0xEEEEEEEEu;
    cp_async_16(shared_address(mine_s), a.in + 4 * lane(), (lane() + 16 * a.which) % 17);
    cp_async_commit();
    cp_async_wait<0>();
    for (int i = 0; i < 4; i++) a.out[4 * lane() + i] = mine_s[i];
}

/* A group may be empty, and counts all the same. */
RF_DEVICE void run_cp_async_commit(const kit_args &a, uint32_t *words_s)
{
    uint32_t *mine_s = words_s + 8 * other_lane();
    for (int i = 0; i < 2; i++) {
        cp_async_16(shared_address(mine_s + 4 * i), a.in + 8 * lane() + 4 * i, 16);
        cp_async_commit();
        cp_async_commit();
    }
    cp_async_wait<3>();
    for (int i = 0; i < 4; i++) a.out[8 * lane() + i] = mine_s[i];
    cp_async_wait<1>();
    for (int i = 4; i < 8; i++) a.out[8 * lane() + i] = mine_s[i];
}

RF_DEVICE void run_cp_async_wait(const kit_args &a, uint32_t *words_s)
{
    uint32_t *mine_s = words_s + 12 * other_lane();
    for (int i = 0; i < 3; i++) {
        cp_async_16(shared_address(mine_s + 4 * i), a.in + 12 * lane() + 4 * i, 16);
        cp_async_commit();
    }
    cp_async_wait<2>();
    for (int i = 0; i < 4; i++) a.out[12 * lane() + i] = mine_s[i];
    cp_async_wait<1>();
    for (int i = 4; i < 8; i++) a.out[12 * lane() + i] = mine_s[i];
    cp_async_wait<0>();
    for (int i = 8; i < 12; i++) a.out[12 * lane() + i] = mine_s[i];
}

RF_DEVICE void run_global_load_16(const kit_args &a, uint32_t *)
{
    const chunk16 c = global_load_16(a.in + 4 * other_lane());
    for (int i = 0; i < 4; i++) a.out[4 * lane() + i] = c.word[i];
}

RF_DEVICE void run_global_store_16(const kit_args &a, uint32_t *)
{
    chunk16 c;
    for (int i = 0; i < 4; i++) c.word[i] = a.in[4 * lane() + i];
    global_store_16(a.out + 4 * other_lane(), c);
}

/* Four lanes a word; every other word is nobody's. */
RF_DEVICE void run_global_store_same(const kit_args &a, uint32_t *)
{
    const int word = other_lane() / 4;
    global_store_same((int32_t *)a.out + 2 * word, (int32_t)a.in[word]);
}

RF_DEVICE void run_shuffle_xor(const kit_args &a, uint32_t *)
{
    const float x = float_at(a.in, lane());
    int         at = lane();
    for (int lanes = 1; lanes < 32; lanes *= 2, at += 32)
        put_float(a.out, at, shuffle_xor(x, lanes));
    put_float(a.out, at, shuffle_xor(x, 31));
    put_float(a.out, at + 32, shuffle_xor(x, 0));
    put_float(a.out, at + 64, shuffle_xor(x, 13));
}

/* Word i of the input says in which lanes the predicate holds. */
RF_DEVICE void run_warp_any(const kit_args &a, uint32_t *)
{
    for (int i = 0; i < 8; i++) a.out[32 * i + lane()] = warp_any(a.in[i] >> lane() & 1);
}

RF_DEVICE void run_exp2_approx(const kit_args &a, uint32_t *)
{
    for (int i = lane(); i < 512; i += 32) put_float(a.out, i, exp2_approx(float_at(a.in, i)));
}

/* ---- gpu.cuh ----------------------------------------------------------------------------------
 */

template <class T> RF_DEVICE void run_pack_two(const kit_args &a)
{
    for (int i = lane(); i < 256; i += 32)
        a.out[i] = pack_two(T{}, float_at(a.in, 2 * i), float_at(a.in, 2 * i + 1));
}

RF_DEVICE void run_pack_two_f16(const kit_args &a, uint32_t *)
{
    run_pack_two<f16>(a);
}

RF_DEVICE void run_pack_two_bf16(const kit_args &a, uint32_t *)
{
    run_pack_two<bf16>(a);
}

template <class T> RF_DEVICE void run_widen(const kit_args &a)
{
    for (int i = lane(); i < 1024; i += 32)
        put_float(a.out, i, widen(T{(uint16_t)(a.in[i / 2] >> 16 * (i % 2))}));
}

RF_DEVICE void run_widen_f16(const kit_args &a, uint32_t *)
{
    run_widen<f16>(a);
}

RF_DEVICE void run_widen_bf16(const kit_args &a, uint32_t *)
{
    run_widen<bf16>(a);
}

template <class T> RF_DEVICE void run_unpack_two(const kit_args &a)
{
    for (int i = lane(); i < 128; i += 32) {
        float lo, hi;
        unpack_two<T>(a.in[i], &lo, &hi);
        put_float(a.out, 2 * i, lo);
        put_float(a.out, 2 * i + 1, hi);
    }
}

RF_DEVICE void run_unpack_two_f16(const kit_args &a, uint32_t *)
{
    run_unpack_two<f16>(a);
}

RF_DEVICE void run_unpack_two_bf16(const kit_args &a, uint32_t *)
{
    run_unpack_two<bf16>(a);
}

template <class T> RF_DEVICE void run_narrow(const kit_args &a)
{
    for (int i = lane(); i < 256; i += 32)
        a.out[i] = narrow<T>(float_at(a.in, 2 * i)).bits |
                   (uint32_t)narrow<T>(float_at(a.in, 2 * i + 1)).bits << 16;
}

RF_DEVICE void run_narrow_f16(const kit_args &a, uint32_t *)
{
    run_narrow<f16>(a);
}

RF_DEVICE void run_narrow_bf16(const kit_args &a, uint32_t *)
{
    run_narrow<bf16>(a);
}

/* A product and a sum that a compiler would fuse if it might: one rounding would show. */
RF_DEVICE void run_multiply_rounded(const kit_args &a, uint32_t *)
{
    for (int i = lane(); i < 256; i += 32) {
        const float x = float_at(a.in, 2 * i), y = float_at(a.in, 2 * i + 1);
        put_float(a.out, i, multiply_rounded(x, y) - x);
    }
}

RF_DEVICE void run_add_rounded(const kit_args &a, uint32_t *)
{
    for (int i = lane(); i < 256; i += 32) {
        const float x = float_at(a.in, 2 * i), y = float_at(a.in, 2 * i + 1);
        put_float(a.out, i, add_rounded(multiply_rounded(x, x), y));
    }
}

/* ---- piece.cuh: case 0 is f16, 1 bf16, 2 f32 ----------------------------------------------------
 */

enum class Piece { WHOLE, FEW, SOME };

template <class T, Piece KIND> RF_DEVICE void run_load(const kit_args &a)
{
    const T  *from_g = (const T *)a.in + PIECE * other_lane();
    const int wide = lane() % 2, count = wide ? PIECE : lane() % PIECE;
    float     v[PIECE];
    if (KIND == Piece::WHOLE) load_piece(v, from_g);
    if (KIND == Piece::FEW) load_few(v, from_g, lane() % FEW);
    if (KIND == Piece::SOME) load_some(v, from_g, wide, count);
    for (int i = 0; i < PIECE; i++) put_float(a.out, PIECE * lane() + i, v[i]);
}

template <class T, Piece KIND> RF_DEVICE void run_store(const kit_args &a)
{
    T        *to_g = (T *)a.out + PIECE * other_lane();
    const int wide = lane() % 2, count = wide ? PIECE : lane() % PIECE;
    float     v[PIECE];
    for (int i = 0; i < PIECE; i++) v[i] = float_at(a.in, PIECE * lane() + i);
    if (KIND == Piece::WHOLE) store_piece(to_g, v);
    if (KIND == Piece::FEW) store_few(to_g, v, lane() % FEW);
    if (KIND == Piece::SOME) store_some(to_g, v, wide, count);
}

template <Piece KIND> RF_DEVICE void run_loads(const kit_args &a)
{
    if (a.which == 0) run_load<f16, KIND>(a);
    if (a.which == 1) run_load<bf16, KIND>(a);
    if (a.which == 2) run_load<float, KIND>(a);
}

template <Piece KIND> RF_DEVICE void run_stores(const kit_args &a)
{
    if (a.which == 0) run_store<f16, KIND>(a);
    if (a.which == 1) run_store<bf16, KIND>(a);
    if (a.which == 2) run_store<float, KIND>(a);
}

RF_DEVICE void run_load_piece(const kit_args &a, uint32_t *)
{
    run_loads<Piece::WHOLE>(a);
}

RF_DEVICE void run_load_few(const kit_args &a, uint32_t *)
{
    run_loads<Piece::FEW>(a);
}

RF_DEVICE void run_load_some(const kit_args &a, uint32_t *)
{
    run_loads<Piece::SOME>(a);
}

RF_DEVICE void run_store_piece(const kit_args &a, uint32_t *)
{
    run_stores<Piece::WHOLE>(a);
}

RF_DEVICE void run_store_few(const kit_args &a, uint32_t *)
{
    run_stores<Piece::FEW>(a);
}

RF_DEVICE void run_store_some(const kit_args &a, uint32_t *)
{
    run_stores<Piece::SOME>(a);
}

RF_DEVICE void run_chunk_of_halves(const kit_args &a, uint32_t *)
{
    uint32_t half[PIECE];
    for (int i = 0; i < PIECE; i++) half[i] = a.in[PIECE * lane() + i];
    const chunk16 c = chunk_of_halves(half);
    for (int i = 0; i < 4; i++) a.out[4 * lane() + i] = c.word[i];
}

/* ---- launching --------------------------------------------------------------------------------
 */

template <int ID> RF_KERNEL(32) kit_kernel(const __grid_constant__ kit_args a)
{
    RF_SHARED(raw_s);
    uint32_t *words_s = (uint32_t *)raw_s;
    switch (ID) {
#define KIT_CASE(name, wrapper, cases, in, out, words)                                             \
    case KIT_##name: run_##name(a, words_s); break;
        KIT_ENTRIES(KIT_CASE)
#undef KIT_CASE
    }
}

extern "C" rf_status kit_launch(kit_id id, const rf_gpu *gpu, const kit_args *a)
{
    switch (id) {
#define KIT_LAUNCH(name, wrapper, cases, in, out, words)                                           \
    case KIT_##name: return rf_launch(kit_kernel<KIT_##name>, dim3(1), 32, SHARED_BYTES, gpu, *a);
        KIT_ENTRIES(KIT_LAUNCH)
#undef KIT_LAUNCH
    default: return RF_E_ARG;
    }
}
