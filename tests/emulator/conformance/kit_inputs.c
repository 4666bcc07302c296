/* What the kit's kernels are given, and how far answers may differ.
 *
 * Only mma and ex2 have a bound: the PTX ISA leaves the order and the rounding of mma's sum open,
 * and gives ex2.approx a relative error.  Everything else is a move or one correct rounding. */
#include <math.h>
#include <string.h>

#include "kernels/half.h"
#include "tests/emulator/conformance/kit.h"

enum { K = 16, A_ROWS = 16, B_ROWS = 8, A_WORDS = A_ROWS * K / 2, B_WORDS = B_ROWS * K / 2 };

/* splitmix64 (Steele, Lea & Flood 2014): place i of stream `salt`. */
static uint64_t bits_of(unsigned salt, unsigned i)
{
    uint64_t z = ((uint64_t)salt << 32 | i) * 0x9E3779B97F4A7C15u + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* From -1 to 1. */
static float unit_of(unsigned salt, unsigned i)
{
    return (float)(int)(bits_of(salt, i) >> 40) * 0x1p-23f - 1;
}

/* ---- mma --------------------------------------------------------------------------------------
 */

/* Cases 0 to 3 are exact whatever the order of the sum, 4 to 6 are not. */
enum { INTEGERS, SUBNORMALS, INFINITE, EXTREMES, NORMAL, CANCELLING, WIDE };

/* Factor i of a (0) or b (1), or addend i (2). */
static float mma_value(int which, int operand, unsigned i, rf_dtype dtype)
{
    const unsigned salt = (unsigned)(3 * which + operand);
    const int      small = (int)(bits_of(salt, i) % 17) - 8;
    const float    least = dtype == RF_F16 ? 0x1p-24f : 0x1p-133f; /* subnormal */
    switch (which) {
    case INTEGERS: return (float)small; /* sums below 2^11: any place has a share of its own */
    case SUBNORMALS: /* of the storage type, in a; products and sums are normal in f32 */
        return operand == 0   ? (float)small * least
               : operand == 1 ? (float)(1 + i % 3) * (dtype == RF_F16 ? 1 : 0x1p60f)
                              : 0;
    case INFINITE: /* row 1 of a has inf, row 2 meets a zero of b with it, row 3 a NaN */
        if (operand == 0 && i == 1 * K + 5) return INFINITY;
        if (operand == 0 && i == 2 * K + 6) return -INFINITY;
        if (operand == 0 && i == 3 * K + 7) return NAN;
        if (operand == 1) return i % K == 6 && i / K % 2 ? 0.f : 1 + (float)(i % 4);
        return operand == 2 && i == 4 * 8 + 3 ? INFINITY : (float)small;
    case EXTREMES: /* one product in each row, up to the largest of the type */
        if (operand == 0) return i % K == (i / K) % K ? (i / K % 2 ? 0x1.ffcp15f : -0x1p-14f) : 0;
        return operand == 1 ? (float)small : 0;
    case NORMAL: return unit_of(salt, i) * 3;
    case CANCELLING: /* products in pairs of opposite sign that leave their tail */
        if (operand == 0) return (i % 2 ? -1.f : 1.f) * (1 + (float)(i / 2 % 8) * 0x1p-3f);
        if (operand == 1) return 1 + (float)(bits_of(salt, i) % 4) * 0x1p-7f;
        return 0x1p-12f * unit_of(salt, i);
    default: /* WIDE: terms of very different size */
        return ldexpf(1 + fabsf(unit_of(salt, i)) / 2, (int)(bits_of(salt + 50, i) % 19) - 9) *
               (small < 0 ? -1.f : 1.f);
    }
}

static void fill_mma(int which, rf_dtype dtype, uint32_t *in)
{
    for (unsigned i = 0; i < A_ROWS * K; i++) rf_store(in, dtype, i, mma_value(which, 0, i, dtype));
    for (unsigned i = 0; i < B_ROWS * K; i++)
        rf_store(in + A_WORDS, dtype, i, mma_value(which, 1, i, dtype));
    for (unsigned i = 0; i < A_ROWS * B_ROWS; i++)
        in[A_WORDS + B_WORDS + i] = rf_bits_from_f32(mma_value(which, 2, i, dtype));
}

/* 17 terms, each of which a tensor core may cut off at 2^-23 of the largest partial sum (Fasi,
 * Higham, Mikaitis & Pranesh 2021, "Numerical behavior of NVIDIA tensor cores"), and which the
 * emulator rounds to 2^-24. */
static double mma_bound(int which, rf_dtype dtype, const uint32_t *in, int word)
{
    const size_t row = (size_t)word / B_ROWS, col = (size_t)word % B_ROWS;
    double       size = fabs((double)rf_f32_from_bits(in[A_WORDS + B_WORDS + word]));
    if (which < NORMAL) return 0;
    for (size_t k = 0; k < K; k++)
        size += fabs((double)rf_load(in, dtype, row * K + k) *
                     (double)rf_load(in + A_WORDS, dtype, col * K + k));
    return (K + 1) * (0x1p-23 + 0x1p-24) * size;
}

/* ---- conversions ------------------------------------------------------------------------------
 */

/* Around what rounding to f16 and bf16 turns on: ties to either side, the largest, the smallest,
 * subnormals, signs, infinities and NaN; then random bits. */
static float rounding_value(unsigned i)
{
    static const float edges[] = {
        0.f,
        -0.f,
        INFINITY,
        -INFINITY,
        NAN,
        1 + 0x1p-11f, /* f16: ties to even, downwards, ... */
        1 + 0x3p-11f, /* ... upwards, ... */
        1 + 0x1.000002p-11f,
        1 + 0x1.fffffep-12f,
        65504.f,
        65519.996f, /* f16: the last that is finite */
        65520.f,
        -65520.f,
        0x1p-24f, /* f16: the least subnormal, its half, and just above it */
        0x1p-25f,
        0x1.000002p-25f,
        0x3p-25f,
        -0x1p-26f,
        0x1.ff8p-15f,
        0x1.ffcp-15f,
        0x1.ffep-15f,
        1 + 0x1p-8f, /* bf16: the same */
        1 + 0x3p-8f,
        1 + 0x1.0002p-8f,
        1 + 0x1.fffcp-9f,
        0x1.fep127f,
        0x1.fefffep127f,
        0x1.ffp127f,
        0x1.fffffep127f,
        0x1p-133f,
        0x1p-134f,
        0x3p-134f,
        0x1p-149f,
        0x1.fcp-127f,
        0x1.fffp-127f,
    };
    enum { EDGES = sizeof edges / sizeof *edges };
    if (i < 2 * EDGES) return i % 2 ? -edges[i / 2] : edges[i / 2];
    if (i % 2) return rf_f32_from_bits((uint32_t)bits_of(70, i));
    return ldexpf(unit_of(71, i), (int)(bits_of(72, i) % 40) - 24); /* the range of f16 */
}

/* Exponents: whole, fractions, beyond both ends, subnormal, special.  None lies where the result
 * is just below 2^-126, which may be flushed or not. */
static float exponent_value(unsigned i)
{
    static const float special[] = {0.f,   -0.f,     INFINITY,  -INFINITY, NAN,
                                    128.f, -126.f,   -127.f,    -149.f,    -150.f,
                                    1e30f, 0x1p-25f, 0x1p-140f, -0x1p-30f, -1e30f};
    enum { SPECIAL = sizeof special / sizeof *special };
    if (i < SPECIAL) return special[i];
    if (i < 256) return (float)((int)i - 128); /* -113 .. 127 */
    if (i < 384) return unit_of(80, i);        /* what softmax asks for, ... */
    return -20 + 20 * unit_of(81, i);          /* ... and its tail */
}

/* ---- all --------------------------------------------------------------------------------------
 */

static void fill_floats(uint32_t *in, int words, float (*value)(unsigned))
{
    for (int i = 0; i < words; i++) in[i] = rf_bits_from_f32(value((unsigned)i));
}

/* Patterns of 16 bits from all parts of their range, and both types' special ones. */
static void fill_patterns(uint32_t *in, int words)
{
    static const uint16_t special[] = {0x7C00, 0xFC00, 0x7F80, 0xFF80,
                                       0x7FFF, 0x8000, 0x0001, 0x03FF};
    const unsigned        count = 2 * (unsigned)words, step = 0x10000 / count;
    for (unsigned i = 0; i < count; i++) {
        const uint32_t pattern = i < 8 ? special[i] : i * step + i * 37 % step;
        in[i / 2] = i % 2 ? in[i / 2] | pattern << 16 : pattern;
    }
}

/* Finite numbers of the piece's type that are all different. */
static void fill_piece(int which, uint32_t *in, int words)
{
    static const rf_dtype dtypes[] = {RF_F16, RF_BF16, RF_F32};
    for (size_t i = 0; i < (size_t)words; i++) in[i] = 0;
    for (size_t i = 0; i < 256; i++)
        rf_store(in, dtypes[which], i, ((float)i + 1) * (i % 2 ? -0.25f : 0.25f));
}

static float finite_value(unsigned i)
{
    return ldexpf(unit_of(73, i), (int)(i % 30) - 20);
}

static float sum_value(unsigned i)
{
    if (i >= 256) return 8 * unit_of(92, i);
    const float x = 1 + (float)(bits_of(90, i / 2) % 4096) * 0x1p-12f + 0x1p-23f;
    return i % 2 ? -(x * x) : x; /* x^2 rounded: fused, x * x + it leaves the rounding error */
}

static float product_value(unsigned i)
{
    return 1 + (float)(bits_of(91, i) % 0x7FFFFF) * 0x1p-23f;
}

void kit_fill(kit_id id, int which, uint32_t *in)
{
    static const uint32_t lanes[8] = {0, ~0u, 1, 1u << 31, 1u << 13, 0xAAAAAAAA, 0, 0xFFFF};
    const kit_entry      *e = &kit_entries[id];
    switch (id) {
    case KIT_mma_m16n8k16_f16: fill_mma(which, RF_F16, in); break;
    case KIT_mma_m16n8k16_bf16: fill_mma(which, RF_BF16, in); break;
    case KIT_warp_any: memcpy(in, lanes, sizeof lanes); break;
    case KIT_exp2_approx: fill_floats(in, e->in_words, exponent_value); break;
    case KIT_pack_two_f16:
    case KIT_pack_two_bf16:
    case KIT_narrow_f16:
    case KIT_narrow_bf16: fill_floats(in, e->in_words, rounding_value); break;
    case KIT_store_piece:
    case KIT_store_few:
    case KIT_store_some: fill_floats(in, e->in_words, finite_value); break;
    case KIT_widen_f16:
    case KIT_widen_bf16:
    case KIT_unpack_two_f16:
    case KIT_unpack_two_bf16: fill_patterns(in, e->in_words); break;
    case KIT_multiply_rounded: fill_floats(in, e->in_words, product_value); break;
    case KIT_add_rounded: fill_floats(in, e->in_words, sum_value); break;
    case KIT_load_piece:
    case KIT_load_few:
    case KIT_load_some: fill_piece(which, in, e->in_words); break;
    case KIT_shuffle_xor:
        for (int i = 0; i < e->in_words; i++) in[i] = rf_bits_from_f32(1 + (float)i * 0.375f);
        break;
    case KIT_chunk_of_halves:
        for (unsigned i = 0; i < (unsigned)e->in_words; i++) in[i] = (i * 61 + 7) & 0xFFFF;
        break;
    default: /* moves: all halves of all words are different */
        for (unsigned i = 0; i < (unsigned)e->in_words; i++)
            in[i] = (2 * i + 1) << 16 | (2 * i + 0x8000);
    }
}

double kit_bound(kit_id id, int which, const uint32_t *in, int word, uint32_t answer)
{
    const double value = fabs((double)rf_f32_from_bits(answer));
    switch (id) {
    case KIT_mma_m16n8k16_f16: return mma_bound(which, RF_F16, in, word);
    case KIT_mma_m16n8k16_bf16: return mma_bound(which, RF_BF16, in, word);
    case KIT_exp2_approx: /* its own error, and the host's rounding */
        return isfinite(value) ? (0x1p-22 + 0x1p-24) * value : 0;
    default: return 0;
    }
}
