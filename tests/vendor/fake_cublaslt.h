/* A cuBLASLt for tests, as a library of its own that the vendor level opens by name: it computes
 * the plain product on memory that the host can read, in the order of k and in f32, and remembers
 * how it was asked.  Its algorithms:
 *
 *   66  computes as said
 *   67  likewise, and wants 512 bytes of workspace
 *   71  from the end of k if there are more than 150 rows: depends on the batch */
#ifndef RF_FAKE_CUBLASLT_H
#define RF_FAKE_CUBLASLT_H

#include <stddef.h>
#include <stdint.h>

enum { FAKE_LT_VERSION = 130002, FAKE_LT_WORKSPACE = 512 };

typedef struct fake_lt_matrix {
    int      type; /* a cudaDataType */
    uint64_t rows, cols;
    int64_t  ld;
} fake_lt_matrix;

typedef struct fake_lt_record {
    int            calls;      /* of anything, from 1 */
    int            fail_at;    /* this one fails; 0: none */
    int            products;   /* cublasLtMatmul that succeeded */
    int            handles;    /* open */
    fake_lt_matrix a, b, c, d; /* of the last product, and so below */
    int            transposed_a, transposed_b, epilogue;
    float          alpha, beta;
    uint32_t       algorithm[9]; /* id and configuration, in the order of a choice row */
    size_t         workspace_bytes;
    void          *stream;
    uint32_t       alignment[4]; /* of the last search's wish */
    uint32_t       reductions;
} fake_lt_record;

/* Symbol "fake_lt" of the library: the one record. */

#endif
