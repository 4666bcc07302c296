/* pixels, the specification: f32, since truncation makes its roundings visible. */
#include "kernels/pixels/pixels.h"

#include <math.h>

rf_status rf_pixels_check(const rf_pixels_args *a)
{
    if (a->n < 1 || a->hw < 1) return RF_E_SHAPE;
    return (unsigned)a->dtype < RF_DTYPES ? RF_OK : RF_E_SHAPE;
}

rf_status rf_pixels_ref(void *stream, const rf_pixels_args *a)
{
    (void)stream;
    if (rf_pixels_check(a) != RF_OK) return RF_E_SHAPE;
    const size_t elems = (size_t)a->hw * 3;
    for (int b = 0; b < a->n; b++) {
        rf_pixels_stats s = {.non_finite = 0, .least = 255, .greatest = 0};
        for (size_t i = b * elems; i < (b + 1) * elems; i++) {
            const float x = rf_load(a->x, a->dtype, i), unit = (x + 1) / 2;
            const float bounded = unit > 1 ? 1 : unit > 0 ? unit : 0; /* NaN compares false: 0 */
            a->y[i] = (uint8_t)(255 * bounded);
            s.non_finite += !isfinite(x);
            if (a->y[i] < s.least) s.least = a->y[i];
            if (a->y[i] > s.greatest) s.greatest = a->y[i];
        }
        a->stats[b] = s;
    }
    return RF_OK;
}
