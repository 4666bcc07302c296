/* latent_rgb, the specification: f32, since rounding to a byte makes its roundings visible. */
#include "kernels/latent_rgb/latent_rgb.h"

#include <math.h>

rf_status rf_latent_rgb_check(const rf_latent_rgb_args *a)
{
    if (a->n < 1 || a->n > RF_LATENT_RGB_SAMPLES || a->hw < 1) return RF_E_SHAPE;
    return a->xstride && a->xstride < (size_t)a->hw * 4 ? RF_E_SHAPE : RF_OK;
}

static uint8_t byte_of(const float *map, const float *x, float scale, int k)
{
    float sum = map[4 * 3 + k];
    for (int c = 0; c < 4; c++) {
        const float scaled = x[c] * scale, term = map[c * 3 + k] * scaled;
        sum = sum + term;
    }
    const float v = 255 * sum;
    return (uint8_t)rintf(v > 255 ? 255 : v > 0 ? v : 0); /* NaN compares false: 0 */
}

rf_status rf_latent_rgb_ref(void *stream, const rf_latent_rgb_args *a)
{
    (void)stream;
    if (rf_latent_rgb_check(a) != RF_OK) return RF_E_SHAPE;
    const size_t hw = (size_t)a->hw, stride = a->xstride ? a->xstride : hw * 4;
    for (size_t b = 0; b < (size_t)a->n; b++) {
        const ptrdiff_t row = a->xrow ? a->xrow[b] : (ptrdiff_t)b;
        for (size_t p = 0; row >= 0 && p < hw; p++)
            for (int k = 0; k < 3; k++)
                a->y[(b * hw + p) * 3 + (size_t)k] =
                    byte_of(a->map, a->x + (size_t)row * stride + p * 4, a->scale[b], k);
    }
    return RF_OK;
}
