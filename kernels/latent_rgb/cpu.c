/* latent_rgb on the CPU: chunks of a picture, shared among the threads.
 *
 * A vector lane multiplies and adds exactly as the reference does; the file must be compiled
 * without contraction to FMA.  Bound by memory. */
#include "kernels/latent_rgb/latent_rgb.h"

#include <string.h>

#include "kernels/cpu_isa.h"
#include "kernels/host.h"

enum { CHUNK = 1024 }; /* pixels */

/* Between 0 and 255 adding 2^23 leaves no bits behind the point: it rounds as rintf does. */
RF_INLINE int32_t byte_of(float sum)
{
    const float v = 255 * sum, bounded = v > 255 ? 255 : v > 0 ? v : 0; /* NaN compares false: 0 */
    return (int32_t)(bounded + 0x1p23f - 0x1p23f);
}

RF_INLINE void chunk_body(const rf_latent_rgb_args *a, size_t b, const float *x, size_t from,
                          size_t count)
{
    float       m[5 * 3]; /* y is of bytes, and might be the map for all a compiler knows */
    const float scale = a->scale[b];
    int32_t     byte[CHUNK * 3];
    memcpy(m, a->map, sizeof m);
    for (size_t i = 0; i < count; i++) {
        const float *p = x + 4 * i;
        const float  v0 = p[0] * scale, v1 = p[1] * scale, v2 = p[2] * scale, v3 = p[3] * scale;
        for (size_t k = 0; k < 3; k++)
            byte[3 * i + k] =
                byte_of(m[12 + k] + m[k] * v0 + m[3 + k] * v1 + m[6 + k] * v2 + m[9 + k] * v3);
    }
    uint8_t *y = a->y + (b * (size_t)a->hw + from) * 3;
    for (size_t i = 0; i < count * 3; i++) y[i] = (uint8_t)byte[i];
}

RF_MULTIVERSION(chunk,
                (const rf_latent_rgb_args *a, size_t b, const float *x, size_t from, size_t count),
                (a, b, x, from, count))

rf_status rf_latent_rgb_cpu(void *stream, const rf_latent_rgb_args *a)
{
    if (rf_latent_rgb_check(a) != RF_OK) return RF_E_SHAPE;
    const int    threads = rf_host_threads(stream);
    const size_t hw = (size_t)a->hw, stride = a->xstride ? a->xstride : hw * 4;
    const long   chunks = (long)((hw + CHUNK - 1) / CHUNK);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long i = 0; i < a->n * chunks; i++) {
        const size_t    b = (size_t)(i / chunks), from = (size_t)(i % chunks) * CHUNK;
        const size_t    left = hw - from;
        const ptrdiff_t row = a->xrow ? a->xrow[b] : (ptrdiff_t)b;
        if (row < 0) continue;
        chunk(a, b, a->x + (size_t)row * stride + from * 4, from, left < CHUNK ? left : CHUNK);
    }
    return RF_OK;
}
