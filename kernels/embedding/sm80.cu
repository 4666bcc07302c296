/* embedding: a thread per eight elements of a row.
 *
 * Some hundred rows a prompt, outside the loop.  Types are told apart at run time, the same way by
 * every thread. */
#include "kernels/embedding/embedding.h"

#include "kernels/device/piece.cuh"

/* Faults that the emulated device plants on request. */
enum defect {
    NO_DEFECT,
    NO_WRAP,      /* the position goes on counting beyond seq */
    UNCHECKED_ID, /* ids out of range are read */
    TAIL_WRITTEN, /* elements beyond the row */
    EXTRA_MISSED, /* the extra row after the right one */
};

enum { THREADS = 128 };

typedef struct embedding_call {
    rf_embedding_args a;
    int               wide; /* pieces are 16 bytes everywhere */
} embedding_call;

RF_KERNEL(THREADS) embedding_kernel(const __grid_constant__ embedding_call c)
{
    const int r = (int)blockIdx.x, first = ((int)blockIdx.y * THREADS + (int)threadIdx.x) * PIECE;
    if (first >= c.a.c) return;
    const int left = c.a.c - first, count = left < PIECE && !RF_DEFECT(TAIL_WRITTEN) ? left : PIECE;
    const int id = c.a.id[r];
    float     v[PIECE], place[PIECE];
    const int extra = id < 0 ? 0 : id - c.a.vocab; /* below 0: a row of the table */
    if ((id >= 0 && extra < c.a.extras) || RF_DEFECT(UNCHECKED_ID)) {
        const int    row = extra < 0 ? id : extra + (RF_DEFECT(EXTRA_MISSED) ? 1 : 0);
        const size_t word = (size_t)row * (size_t)c.a.c + (size_t)first;
        const size_t at = (size_t)(RF_DEFECT(NO_WRAP) ? r : r % c.a.seq) * (size_t)c.a.c;
        switch (extra < 0 ? c.a.wdtype : RF_DTYPES) {
        case RF_DTYPES: load_some(v, c.a.extra + word, c.wide, left); break;
        case RF_F16: load_some(v, (const f16 *)c.a.table + word, c.wide, left); break;
        case RF_BF16: load_some(v, (const bf16 *)c.a.table + word, c.wide, left); break;
        default: load_some(v, (const float *)c.a.table + word, c.wide, left); break;
        }
        load_some(place, c.a.position + at + (size_t)first, c.wide, left);
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) v[i] += place[i];
    } else { /* nobody can be told from here: the contract's NaN */
        RF_UNROLL
        for (int i = 0; i < PIECE; i++) v[i] = NAN;
    }
    const size_t at = (size_t)r * (size_t)c.a.c + (size_t)first;
    switch (c.a.dtype) {
    case RF_F16: store_some((f16 *)c.a.y + at, v, c.wide, count); break;
    case RF_BF16: store_some((bf16 *)c.a.y + at, v, c.wide, count); break;
    default: store_some((float *)c.a.y + at, v, c.wide, count); break;
    }
}

extern "C" rf_status rf_embedding_sm80(void *stream, const rf_embedding_args *a)
{
    enum { C_MOST = 65535 * THREADS * PIECE }; /* of a grid's second axis */
    if (rf_embedding_check(a) != RF_OK || a->c > C_MOST) return RF_E_SHAPE;
    embedding_call c = {};
    c.a = *a;
    c.wide = a->c % PIECE == 0 && rf_aligned_16(a->y) && rf_aligned_16(a->table) &&
             rf_aligned_16(a->extra) && rf_aligned_16(a->position);
    const unsigned pieces = ((unsigned)a->c + PIECE - 1) / PIECE;
    const dim3     grid((unsigned)a->m, (pieces + THREADS - 1) / THREADS);
    return rf_launch(embedding_kernel, grid, THREADS, 0, (const rf_gpu *)stream, c);
}
