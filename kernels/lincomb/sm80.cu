/* lincomb: a thread per eight elements of a sample.
 *
 * Bandwidth bound, and small: a latent is 256 KiB.  Rows and coefficients are read from tables on
 * the GPU, so that a graph serves every step.  Types of the terms are told apart at run time,
 * the same way by every thread.  Products and sums are rounded one by one, as the contract says:
 * the bits are the reference's. */
#include "kernels/lincomb/lincomb.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    NEIGHBOUR_COEF, /* the coefficients of the next sample, wrapping */
    OFFSET_LOST,    /* row_off is ignored */
    LEFT_OUT_READ,  /* a term that the table leaves out is taken from row 0 */
    STRIDE_LOST,    /* rows lie without a gap */
    TAIL_WRITTEN,   /* elements beyond the sample */
    BAD_UNROUNDED,  /* sums are judged before they are rounded to y's type */
    BAD_NEIGHBOUR,  /* told of the next sample, wrapping */
};

enum { THREADS = 128 };

typedef struct lincomb_call {
    rf_lincomb_args a;
    int             wide; /* pieces are 16 bytes everywhere */
} lincomb_call;

/* Elements from the start of x[j] or y to row `row`. */
RF_DEVICE size_t row_start(int row, size_t stride, int e)
{
    return (size_t)row * (stride && !RF_DEFECT(STRIDE_LOST) ? stride : (size_t)e);
}

/* Stores `count` sums as T; whether one of them, as stored, is infinite or NaN. */
template <class T>
RF_DEVICE bool store_sums(T *to_g, const float (&sum)[PIECE], int wide, int count)
{
    bool bad = false;
    RF_UNROLL
    for (int i = 0; i < PIECE; i++) {
        const float stored = RF_DEFECT(BAD_UNROUNDED) ? sum[i] : widen(narrow<T>(sum[i]));
        bad = bad || (i < count && !(fabsf(stored) < INFINITY));
    }
    store_some(to_g, sum, wide, count);
    return bad;
}

RF_KERNEL(THREADS) lincomb_kernel(const __grid_constant__ lincomb_call c)
{
    const int b = (int)blockIdx.y, first = ((int)blockIdx.x * THREADS + (int)threadIdx.x) * PIECE;
    if (first >= c.a.e) return;
    const int left = c.a.e - first, count = left < PIECE && !RF_DEFECT(TAIL_WRITTEN) ? left : PIECE;
    const int of = RF_DEFECT(NEIGHBOUR_COEF) ? (b + 1) % c.a.n : b;
    float     sum[PIECE] = {};
    int       terms = 0; /* that take part */
    RF_UNROLL
    for (int j = 0; j < RF_LINCOMB_TERMS; j++) { /* unrolled: c.a stays in constant memory */
        if (j >= c.a.terms) break;
        int row = RF_DEFECT(OFFSET_LOST) ? b : b + c.a.row_off[j];
        if (c.a.xrow) row = c.a.xrow[b * c.a.terms + j];
        if (row < 0 && RF_DEFECT(LEFT_OUT_READ)) row = 0;
        if (row < 0) continue;
        const size_t at = row_start(row, c.a.xstride[j], c.a.e) + (size_t)first;
        const float  coef = c.a.coef[of * c.a.terms + j];
        float        v[PIECE];
        switch (c.a.xdtype[j]) {
        case RF_F16: load_some(v, (const f16 *)c.a.x[j] + at, c.wide, left); break;
        case RF_BF16: load_some(v, (const bf16 *)c.a.x[j] + at, c.wide, left); break;
        default: load_some(v, (const float *)c.a.x[j] + at, c.wide, left); break;
        }
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) {
            const float term = multiply_rounded(coef, v[i]);
            sum[i] = terms ? add_rounded(sum[i], term) : term;
        }
        terms++;
    }
    const size_t at = row_start(c.a.yrow ? c.a.yrow[b] : b, c.a.ystride, c.a.e) + (size_t)first;
    bool         bad = false;
    switch (c.a.ydtype) {
    case RF_F16: bad = store_sums((f16 *)c.a.y + at, sum, c.wide, count); break;
    case RF_BF16: bad = store_sums((bf16 *)c.a.y + at, sum, c.wide, count); break;
    default: bad = store_sums((float *)c.a.y + at, sum, c.wide, count); break;
    }
    if (bad && c.a.bad)
        global_store_same(c.a.bad + (RF_DEFECT(BAD_NEIGHBOUR) ? (b + 1) % c.a.n : b), 1);
}

extern "C" rf_status rf_lincomb_sm80(void *stream, const rf_lincomb_args *a)
{
    enum { MOST_SAMPLES = 65535 }; /* of a grid's second axis */
    if (rf_lincomb_check(a) != RF_OK || a->n > MOST_SAMPLES) return RF_E_SHAPE;
    lincomb_call c = {};
    c.a = *a;
    c.wide = a->e % PIECE == 0 && a->ystride % PIECE == 0 && rf_aligned_16(a->y);
    for (int j = 0; j < a->terms; j++)
        c.wide = c.wide && a->xstride[j] % PIECE == 0 && rf_aligned_16(a->x[j]);
    const unsigned pieces = ((unsigned)a->e + PIECE - 1) / PIECE;
    const dim3     grid((pieces + THREADS - 1) / THREADS, (unsigned)a->n);
    return rf_launch(lincomb_kernel, grid, THREADS, 0, (const rf_gpu *)stream, c);
}
