/* Pieces of eight elements: 16 bytes of 16-bit storage, eight f32 in registers.
 *
 * Loops over a piece have a constant length, with a test inside where fewer elements exist: an
 * array that a variable indexes does not stay in registers. */
#ifndef RF_PIECE_CUH
#define RF_PIECE_CUH

#include "kernels/device/ptx.cuh"

enum { PIECE = 8 };

template <class T> RF_DEVICE void load_piece(float (&v)[PIECE], const T *from_g)
{
    const chunk16 c = global_load_16(from_g);
    RF_UNROLL
    for (int i = 0; i < PIECE / 2; i++) unpack_two<T>(c.word[i], &v[2 * i], &v[2 * i + 1]);
}

RF_DEVICE void load_piece(float (&v)[PIECE], const float *from_g)
{
    RF_UNROLL
    for (int h = 0; h < 2; h++) {
        const chunk16 c = global_load_16(from_g + 4 * h);
        memcpy(&v[4 * h], &c, sizeof c);
    }
}

/* The first `count` of a piece one by one, zeros after. */
template <class T> RF_DEVICE void load_few(float (&v)[PIECE], const T *from_g, int count)
{
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) v[i] = i < count ? widen(from_g[i]) : 0.f;
}

template <class T> RF_DEVICE void store_piece(T *to_g, const float (&v)[PIECE])
{
    chunk16 c;
    RF_UNROLL
    for (int i = 0; i < PIECE / 2; i++) c.word[i] = pack_two(T{}, v[2 * i], v[2 * i + 1]);
    global_store_16(to_g, c);
}

RF_DEVICE void store_piece(float *to_g, const float (&v)[PIECE])
{
    RF_UNROLL
    for (int h = 0; h < 2; h++) {
        chunk16 c;
        memcpy(&c, &v[4 * h], sizeof c);
        global_store_16(to_g + 4 * h, c);
    }
}

template <class T> RF_DEVICE void store_few(T *to_g, const float (&v)[PIECE], int count)
{
    RF_UNROLL
    for (int i = 0; i < PIECE; i++)
        if (i < count) to_g[i] = narrow<T>(v[i]);
}

/* A piece of which `count` elements exist: at once where `wide`, which wants all of them and an
 * aligned address. */
template <class T> RF_DEVICE void load_some(float (&v)[PIECE], const T *from_g, int wide, int count)
{
    if (wide)
        load_piece(v, from_g);
    else
        load_few(v, from_g, count);
}

template <class T> RF_DEVICE void store_some(T *to_g, const float (&v)[PIECE], int wide, int count)
{
    if (wide)
        store_piece(to_g, v);
    else
        store_few(to_g, v, count);
}

/* A piece of which each element came in a word of its own. */
RF_DEVICE chunk16 chunk_of_halves(const uint32_t (&half)[PIECE])
{
    chunk16 c;
    RF_UNROLL
    for (int i = 0; i < PIECE / 2; i++) c.word[i] = half[2 * i] | half[2 * i + 1] << 16;
    return c;
}

/* Host: whether pieces can be moved 16 bytes at a time from `p` on. */
static inline int rf_aligned_16(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

#endif
