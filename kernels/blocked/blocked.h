/* Blocked weight layouts: where an element of a weight tensor lies once it is packed.
 *
 * A weight tensor is [out, in, ky, kx] (a GEMM's has one tap).  A layout cuts axes into blocks of
 * blocks, as oneDNN's formats do.  The offset of an element is then a sum of one term per axis,
 *
 *     offset(o, i, ky, kx) = term[0][o] + term[1][i] + term[2][ky] + term[3][kx],
 *
 * so four small tables describe any layout, and packing needs to know none by name.
 *
 * Packed weights keep the storage type of the file: where an op computes in f32 from 16-bit
 * weights they lie narrow in the order of the f32 layout, and are widened per call. */
#ifndef RF_BLOCKED_H
#define RF_BLOCKED_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RF_BLOCKED_AXES = 4, RF_BLOCKED_INNER = 6 };

/* All members are int64_t, so two zero-initialised layouts are equal if memcmp says so. */
typedef struct rf_blocked {
    int64_t dim[RF_BLOCKED_AXES];
    int64_t stride[RF_BLOCKED_AXES]; /* elements between an axis's outermost blocks */
    int64_t inners;
    int64_t inner_axis[RF_BLOCKED_INNER]; /* from the outermost inner block to the innermost */
    int64_t inner_size[RF_BLOCKED_INNER];
    int64_t elems; /* of the packed tensor, padding included */
} rf_blocked;

typedef struct rf_blocked_map {
    rf_blocked layout;
    int64_t   *term[RF_BLOCKED_AXES]; /* one allocation, at term[0] */
} rf_blocked_map;

/* Builds the tables; free them with rf_blocked_map_clear.  Errors: RF_E_NOMEM. */
rf_status rf_blocked_map_init(rf_blocked_map *map, const rf_blocked *layout);
void      rf_blocked_map_clear(rf_blocked_map *map);

/* dst[map] = src; padding becomes zero.  Element (o, i, ky, kx) of `src` is at the sum of index
 * times src_stride (in elements). */
void rf_blocked_pack(void *dst, const rf_blocked_map *map, const void *src,
                     const int64_t src_stride[RF_BLOCKED_AXES], rf_dtype type, int threads);

/* The same packed tensor in another layout or type: dst[to] = src[from], where dst_type is
 * src_type or RF_F32.  Padding becomes zero. */
void rf_blocked_convert(void *dst, const rf_blocked_map *to, rf_dtype dst_type, const void *src,
                        const rf_blocked_map *from, rf_dtype src_type, int threads);

#ifdef __cplusplus
}
#endif
#endif
