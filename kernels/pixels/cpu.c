/* pixels on the CPU: one pass in chunks that are shared among the threads.
 *
 * Statistics are counts and extremes of integers, so no order of the chunks can change
 * them.  Bound by memory. */
#include "kernels/pixels/pixels.h"

#include "kernels/cpu_rows.h"
#include "kernels/host.h"

enum { CHUNK = 1024 };

RF_INLINE void chunk_body(const rf_pixels_args *a, rf_pixels_stats *stats, size_t from,
                          size_t count)
{
    float   x[CHUNK];
    int32_t byte[CHUNK], non_finite = 0, least = 255, greatest = 0;
    rf_widen_row(x, rf_at(a->x, a->dtype, from), a->dtype, count);
    for (size_t i = 0; i < count; i++) {
        const float unit = (x[i] + 1) / 2;
        const float bounded = unit > 1 ? 1 : unit > 0 ? unit : 0; /* NaN compares false: 0 */
        byte[i] = (int32_t)(255 * bounded);
        non_finite += (rf_bits_from_f32(x[i]) & 0x7F800000u) == 0x7F800000u;
        least = byte[i] < least ? byte[i] : least;
        greatest = byte[i] > greatest ? byte[i] : greatest;
    }
    for (size_t i = 0; i < count; i++) a->y[from + i] = (uint8_t)byte[i];
    stats->non_finite += non_finite;
    stats->least = least < stats->least ? least : stats->least;
    stats->greatest = greatest > stats->greatest ? greatest : stats->greatest;
}

RF_MULTIVERSION(chunk, (const rf_pixels_args *a, rf_pixels_stats *stats, size_t from, size_t count),
                (a, stats, from, count))

rf_status rf_pixels_cpu(void *stream, const rf_pixels_args *a)
{
    if (rf_pixels_check(a) != RF_OK) return RF_E_SHAPE;
    const int    threads = rf_host_threads(stream);
    const size_t elems = (size_t)a->hw * 3;
    const long   chunks = (long)((elems + CHUNK - 1) / CHUNK);
    for (int b = 0; b < a->n; b++) {
        int non_finite = 0, least = 255, greatest = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : non_finite)           \
    reduction(min : least) reduction(max : greatest)
        for (long i = 0; i < chunks; i++) {
            const size_t    from = (size_t)i * CHUNK, left = elems - from;
            rf_pixels_stats s = {.non_finite = 0, .least = 255, .greatest = 0};
            chunk(a, &s, (size_t)b * elems + from, left < CHUNK ? left : CHUNK);
            non_finite += s.non_finite;
            least = s.least < least ? s.least : least;
            greatest = s.greatest > greatest ? s.greatest : greatest;
        }
        a->stats[b] = (rf_pixels_stats){non_finite, least, greatest};
    }
    return RF_OK;
}
