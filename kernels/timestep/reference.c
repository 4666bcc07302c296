/* timestep, the specification. */
#include "kernels/timestep/timestep.h"

#include <math.h>

rf_status rf_timestep_check(const rf_timestep_args *a)
{
    if (a->m < 1 || a->dim < 2 || a->dim % 2 || a->y_stride < a->dim) return RF_E_SHAPE;
    return (unsigned)a->dtype < RF_DTYPES ? RF_OK : RF_E_SHAPE;
}

rf_status rf_timestep_ref(void *stream, const rf_timestep_args *a)
{
    (void)stream;
    if (rf_timestep_check(a) != RF_OK) return RF_E_SHAPE;
    const int half = a->dim / 2;
    for (int r = 0; r < a->m; r++)
        for (int i = 0; i < half; i++) {
            const double angle = (double)a->value[r] * exp(-log(10000.0) * i / half);
            const size_t at = (size_t)r * a->y_stride + i;
            rf_store(a->y, a->dtype, at, (float)cos(angle));
            rf_store(a->y, a->dtype, at + half, (float)sin(angle));
        }
    return RF_OK;
}
