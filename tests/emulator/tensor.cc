/* ldmatrix and mma: fragments to matrices and back.
 *
 * Products are exact in f32; sums are taken in order of k with one rounding each, which no tensor
 * core promises: results are compared within a bound, never bit by bit with a GPU. */
#include <cstring>

#include "kernels/half.h"
#include "tests/emulator/machine.hh"

namespace emu
{
/* ---- ldmatrix (9.7.15.5.15) ------------------------------------------------------------------ */
namespace
{
struct Load {
    uint32_t *r;
    int       matrices;
    bool      transposed;
    uint32_t  row_s;
    void     *pc;
};

/* Eight rows at once: each bank group of 16 bytes serves one row a pass. */
uint64_t conflicts_of(void *const *args, int matrix)
{
    uint64_t rows[8] = {}, most = 0;
    for (int i = 0; i < 8; i++) {
        const auto *l = static_cast<const Load *>(args[8 * matrix + i]);
        uint64_t   &n = rows[l->row_s / 16 % 8];
        if (++n > most) most = n;
    }
    return most - 1;
}

void execute_load(void *const *args, uint32_t)
{
    const Load     *first = static_cast<const Load *>(args[0]);
    const Warp     &w = machine.warps[static_cast<size_t>(current->warp)];
    const int       matrices = first->matrices;
    const bool      transposed = first->transposed;
    const uint16_t *rows[32];
    for (int i = 0; i < 8 * matrices; i++) {
        const auto *l = static_cast<const Load *>(args[i]);
        if (l->row_s % 16) {
            report("alignment", l->pc,
                   "ldmatrix: the row address of lane %d is not 16-byte aligned", i);
            abandon_block();
        }
        rows[i] = reinterpret_cast<const uint16_t *>(shared_at(l->row_s, 16, l->pc));
        shared_read(w.lanes[i], l->row_s, 16, l->pc);
    }
    machine.counters.ldmatrix++;
    for (int j = 0; j < matrices; j++) {
        machine.counters.ldmatrix_conflicts += conflicts_of(args, j);
        for (int lane = 0; lane < WARP; lane++) {
            const int major = lane / 4, minor = lane % 4 * 2;
            uint16_t  lo, hi;
            if (transposed) {
                lo = rows[8 * j + minor][major];
                hi = rows[8 * j + minor + 1][major];
            } else {
                lo = rows[8 * j + major][minor];
                hi = rows[8 * j + major][minor + 1];
            }
            static_cast<Load *>(args[lane])->r[j] = lo | static_cast<uint32_t>(hi) << 16;
        }
    }
}
} // namespace

void ldmatrix(uint32_t *r, int matrices, bool transposed, uint32_t row_s)
{
    Load l{r, matrices, transposed, row_s, EMU_CALLER};
    collect(execute_load, transposed ? "ldmatrix.trans" : "ldmatrix", 0xFFFFFFFFu, &l, l.pc);
}

/* ---- mma.m16n8k16 (9.7.15.5.8) --------------------------------------------------------------- */
namespace
{
struct Mma {
    float          *d;
    const uint32_t *a, *b;
};

struct Widen {
    float f16[65536];
    Widen()
    {
        for (uint32_t i = 0; i < 65536; i++) f16[i] = rf_f32_from_f16(static_cast<uint16_t>(i));
    }
};

template <Operand TYPE> float widen(uint32_t bits)
{
    static const Widen table;
    return TYPE == Operand::BF16 ? rf_f32_from_bf16(static_cast<uint16_t>(bits))
                                 : table.f16[bits & 0xFFFF];
}

template <Operand TYPE> void put_pair(float *to, int stride, uint32_t pair)
{
    to[0] = widen<TYPE>(pair);
    to[stride] = widen<TYPE>(pair >> 16);
}

#if defined(__x86_64__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void multiply(float (*d)[8], const float (*a)[16], const float (*b)[8])
{
    for (int row = 0; row < 16; row++) {
        float sum[8] = {};
        for (int k = 0; k < 16; k++)
            for (int col = 0; col < 8; col++) sum[col] += a[row][k] * b[k][col];
        for (int col = 0; col < 8; col++) d[row][col] += sum[col];
    }
}

template <Operand TYPE> void execute_mma(void *const *args, uint32_t)
{
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        const auto *m = static_cast<const Mma *>(args[lane]);
        const int   g = lane / 4, q = lane % 4;
        for (int r = 0; r < 4; r++)
            put_pair<TYPE>(&a[g + 8 * (r % 2)][2 * q + 8 * (r / 2)], 1, m->a[r]);
        for (int r = 0; r < 2; r++) put_pair<TYPE>(&b[2 * q + 8 * r][g], 8, m->b[r]);
        for (int i = 0; i < 4; i++) d[g + 8 * (i / 2)][2 * q + i % 2] = m->d[i];
    }
    multiply(d, a, b);
    for (int lane = 0; lane < WARP; lane++) {
        float *to = static_cast<Mma *>(args[lane])->d;
        for (int i = 0; i < 4; i++) to[i] = d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
    }
    emu_counters  &count = machine.counters;
    const uint64_t groups = static_cast<uint64_t>(copy_groups_under_way(current));
    count.mma++;
    count.mma_covered += groups >= 2;
    if (groups > count.copy_groups_max) count.copy_groups_max = groups;
}
} // namespace

void mma_m16n8k16(float *d, const uint32_t *a, const uint32_t *b, Operand type)
{
    Mma m{d, a, b};
    collect(type == Operand::BF16 ? execute_mma<Operand::BF16> : execute_mma<Operand::F16>, "mma",
            0xFFFFFFFFu, &m, EMU_CALLER);
}
} // namespace emu
