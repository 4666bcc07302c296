/* embedding: y[r, :] = word(id[r]) + position[r % seq, :], where word(i) is row i of the table, and
 * beyond it row i - vocab of `extra`: the vectors of textual inversions (Gal et al. 2022).
 *
 *   id        [m]           each in 0 .. vocab+extras-1
 *   table     [vocab, c]    wdtype, row-major
 *   extra     [extras, c]   f32, row-major; extras may be 0
 *   position  [seq, c]      f32, row-major: small, and files mix types
 *   y         [m, c]        dtype
 *
 * Errors: RF_E_SHAPE if a size rule is broken or an id is out of range (y untouched).  A CUDA level
 * has its ids on the GPU and cannot look: there the row of such an id becomes NaN, which the checks
 * of every call of the network find. */
#ifndef RF_EMBEDDING_H
#define RF_EMBEDDING_H

#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_embedding_args {
    void          *y;
    const int32_t *id;
    const void    *table;
    const float   *extra;
    const float   *position;
    int            m, c, vocab, extras, seq;
    rf_dtype       dtype, wdtype;
} rf_embedding_args;

typedef rf_status rf_embedding_fn(void *stream, const rf_embedding_args *a);

/* The size rules, for every level; and whether all ids are in range, where the host has them. */
rf_status rf_embedding_check(const rf_embedding_args *a);
rf_status rf_embedding_check_ids(const rf_embedding_args *a);

rf_embedding_fn rf_embedding_ref, rf_embedding_cpu, rf_embedding_sm80;

/* Used by tests/ and bench/ alike. */
#define RF_EMBEDDING_SHAPES(X)                                                                     \
    /* name           m     c  vocab  extras  seq  why                           */                \
    X(edge_one, 1, 1, 1, 0, 1, "smallest")                                                         \
    X(edge_ragged, 5, 33, 11, 0, 3, "rows not a multiple of seq")                                  \
    X(edge_extra, 7, 33, 5, 2, 3, "two vectors beyond the vocabulary")                             \
    X(edge_pieces, 3, 1032, 7, 0, 2, "sm80: one piece of 8 past a block of 128")                   \
    X(clip_l, 154, 768, 49408, 4, 77, "CLIP-L, two chunks, an inversion of four vectors")          \
    X(clip_g, 77, 1280, 49408, 0, 77, "OpenCLIP bigG")

#ifdef __cplusplus
}
#endif
#endif
