/* Blocked weight layouts: packing at load time, widening at run time.
 *
 * Packing reads the source in its own order and scatters into a tile of the destination that
 * stays in the first-level cache; two input channels that stay neighbours move as one 32-bit
 * word.  Both sides of the next tile are prefetched, since neither is a stream the hardware
 * recognises: 1.3 to 4.5 GB/s a core for GEMM weights, 2.6 for 3x3 (memcpy 10, Zen 4, 2026-11). */
#include "kernels/blocked/blocked.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu_isa.h"

enum {
    TILE_OUT = 64, /* the widest block of output channels oneDNN makes */
    TILE_IN = 64,  /* 64 x 64 x 2 bytes: 8 KB of destination */
    LINE = 64,
};

/* What index `i` of `axis` adds to the offset. */
static int64_t term(const rf_blocked *b, int axis, int64_t i)
{
    int64_t offset = 0, stride = 1;
    for (int64_t j = b->inners - 1; j >= 0; j--) {
        if (b->inner_axis[j] == axis) {
            offset += i % b->inner_size[j] * stride;
            i /= b->inner_size[j];
        }
        stride *= b->inner_size[j];
    }
    return offset + i * b->stride[axis];
}

rf_status rf_blocked_map_init(rf_blocked_map *map, const rf_blocked *layout)
{
    size_t terms = 0;
    for (int a = 0; a < RF_BLOCKED_AXES; a++) terms += (size_t)layout->dim[a];

    *map = (rf_blocked_map){.layout = *layout};
    int64_t *next = malloc(terms * sizeof *next);
    if (!next) return RF_E_NOMEM;
    for (int a = 0; a < RF_BLOCKED_AXES; a++) {
        map->term[a] = next;
        for (int64_t i = 0; i < layout->dim[a]; i++) *next++ = term(layout, a, i);
    }
    return RF_OK;
}

void rf_blocked_map_clear(rf_blocked_map *map)
{
    free(map->term[0]);
    *map = (rf_blocked_map){0};
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t dense_elems(const rf_blocked *b)
{
    return b->dim[0] * b->dim[1] * b->dim[2] * b->dim[3];
}

/* Input channels 2i and 2i + 1 are neighbours in the packed order, for every i. */
static int inputs_pair(const rf_blocked_map *map)
{
    const int64_t dim = map->layout.dim[1];
    if (dim % 2) return 0;
    for (int64_t i = 0; i < dim; i += 2)
        if (map->term[1][i + 1] != map->term[1][i] + 1) return 0;
    return 1;
}

/* One row of a tile: `count` input channels of one output channel at one tap. */
typedef void row_fn(void *dst, const void *src, const int64_t *to, int64_t stride, int64_t count);

static void row_16(void *dst, const void *src, const int64_t *to, int64_t stride, int64_t count)
{
    uint16_t       *d = dst;
    const uint16_t *s = src;
    for (int64_t i = 0; i < count; i++) d[to[i]] = s[i * stride];
}

static void row_16_pairs(void *dst, const void *src, const int64_t *to, int64_t stride,
                         int64_t count)
{
    uint16_t       *d = dst;
    const uint16_t *s = src;
    if (stride == 1) {
        for (int64_t i = 0; i < count; i += 2) memcpy(d + to[i], s + i, 4);
        return;
    }
    for (int64_t i = 0; i < count; i += 2) {
        const uint32_t pair = s[i * stride] | (uint32_t)s[(i + 1) * stride] << 16;
        memcpy(d + to[i], &pair, sizeof pair);
    }
}

static void row_32(void *dst, const void *src, const int64_t *to, int64_t stride, int64_t count)
{
    uint32_t       *d = dst;
    const uint32_t *s = src;
    for (int64_t i = 0; i < count; i++) d[to[i]] = s[i * stride];
}

/* The share of output channel o0 + `row` in fetching the tile after o0.., i0..: its source, and as
 * many bytes of the destination's first tap as one row of a tile fills.  Inlined by force: gcc
 * takes a function that only prefetches for one without effect, and drops the call. */
RF_INLINE void prefetch_next(const char *dst, const char *src, const rf_blocked_map *map,
                             const int64_t src_stride[RF_BLOCKED_AXES], size_t bytes, int64_t o0,
                             int64_t row, int64_t i0)
{
    const int64_t next = i0 + TILE_IN;
    if (next >= map->layout.dim[1]) return;
    const size_t count = (size_t)least(TILE_IN, map->layout.dim[1] - next) * bytes;
    const size_t from = (size_t)((o0 + row) * src_stride[0] + next * src_stride[1]) * bytes;
    const size_t to = (size_t)(map->term[0][o0] + map->term[1][next]) * bytes + (size_t)row * count;
    for (size_t at = 0; at < count * (size_t)src_stride[1]; at += LINE)
        __builtin_prefetch(src + from + at, 0);
    for (size_t at = 0; at < count; at += LINE) __builtin_prefetch(dst + to + at, 1);
}

void rf_blocked_pack(void *dst, const rf_blocked_map *map, const void *src,
                     const int64_t src_stride[RF_BLOCKED_AXES], rf_dtype type, int threads)
{
    const rf_blocked *b = &map->layout;
    const size_t      bytes = rf_dtype_bytes(type);
    const int64_t     tiles_out = (b->dim[0] + TILE_OUT - 1) / TILE_OUT;
    const int64_t     tiles_in = (b->dim[1] + TILE_IN - 1) / TILE_IN;
    row_fn *const     row = bytes == 4 ? row_32 : inputs_pair(map) ? row_16_pairs : row_16;

    if (b->elems != dense_elems(b)) memset(dst, 0, (size_t)b->elems * bytes);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t tile = 0; tile < tiles_out * tiles_in; tile++) {
        const int64_t o0 = tile / tiles_in * TILE_OUT, o1 = least(o0 + TILE_OUT, b->dim[0]);
        const int64_t i0 = tile % tiles_in * TILE_IN, i1 = least(i0 + TILE_IN, b->dim[1]);
        for (int64_t o = o0; o < o1; o++) {
            prefetch_next(dst, src, map, src_stride, bytes, o0, o - o0, i0);
            for (int64_t ky = 0; ky < b->dim[2]; ky++)
                for (int64_t kx = 0; kx < b->dim[3]; kx++) {
                    const int64_t to = map->term[0][o] + map->term[2][ky] + map->term[3][kx];
                    const int64_t from = o * src_stride[0] + i0 * src_stride[1] +
                                         ky * src_stride[2] + kx * src_stride[3];
                    row((char *)dst + (size_t)to * bytes, (const char *)src + (size_t)from * bytes,
                        map->term[1] + i0, src_stride[1], i1 - i0);
                }
        }
    }
}

RF_TARGET_AVX2 static void widen_f16_f16c(float *dst, const uint16_t *src, int64_t count)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
    for (; i < count; i++) dst[i] = rf_f32_from_f16(src[i]);
}

static void widen(float *dst, const void *src, rf_dtype type, int64_t count)
{
    if (type == RF_F16 && rf_cpu_isa() >= RF_ISA_AVX2) {
        widen_f16_f16c(dst, src, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) dst[i] = rf_load(src, type, (size_t)i);
}

static void copy_or_widen(void *dst, rf_dtype dst_type, const void *src, rf_dtype src_type,
                          int64_t count)
{
    if (dst_type == src_type)
        memcpy(dst, src, (size_t)count * rf_dtype_bytes(src_type));
    else
        widen(dst, src, src_type, count);
}

void rf_blocked_convert(void *dst, const rf_blocked_map *to, rf_dtype dst_type, const void *src,
                        const rf_blocked_map *from, rf_dtype src_type, int threads)
{
    const rf_blocked *b = &to->layout;
    const size_t      dst_bytes = rf_dtype_bytes(dst_type), src_bytes = rf_dtype_bytes(src_type);

    if (memcmp(b, &from->layout, sizeof *b) == 0) {
        const int64_t chunk = 1 << 16;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t i = 0; i < b->elems; i += chunk)
            copy_or_widen((char *)dst + (size_t)i * dst_bytes, dst_type,
                          (const char *)src + (size_t)i * src_bytes, src_type,
                          least(chunk, b->elems - i));
        return;
    }
    if (b->elems != dense_elems(b)) memset(dst, 0, (size_t)b->elems * dst_bytes);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t o = 0; o < b->dim[0]; o++)
        for (int64_t t = 0; t < b->dim[2] * b->dim[3]; t++) {
            const int64_t ky = t / b->dim[3], kx = t % b->dim[3];
            const int64_t d = to->term[0][o] + to->term[2][ky] + to->term[3][kx];
            const int64_t s = from->term[0][o] + from->term[2][ky] + from->term[3][kx];
            for (int64_t i = 0; i < b->dim[1]; i++)
                copy_or_widen((char *)dst + (size_t)(d + to->term[1][i]) * dst_bytes, dst_type,
                              (const char *)src + (size_t)(s + from->term[1][i]) * src_bytes,
                              src_type, 1);
        }
}
