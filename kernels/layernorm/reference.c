/* layernorm, the specification: mean, then squared deviations, in double. */
#include "kernels/layernorm/layernorm.h"

#include <math.h>

rf_status rf_layernorm_check(const rf_layernorm_args *a)
{
    if (a->m < 1 || a->c < 1) return RF_E_SHAPE;
    return (unsigned)a->dtype < RF_DTYPES ? RF_OK : RF_E_SHAPE;
}

rf_status rf_layernorm_ref(void *stream, const rf_layernorm_args *a)
{
    (void)stream;
    if (rf_layernorm_check(a) != RF_OK) return RF_E_SHAPE;
    for (int row = 0; row < a->m; row++) {
        const size_t at = (size_t)row * a->c;
        double       sum = 0, squares = 0;
        for (int c = 0; c < a->c; c++) sum += (double)rf_load(a->x, a->dtype, at + c);
        const double mean = sum / a->c;
        for (int c = 0; c < a->c; c++) {
            const double d = (double)rf_load(a->x, a->dtype, at + c) - mean;
            squares += d * d;
        }
        const double rstd = 1 / sqrt(squares / a->c + (double)a->eps);
        for (int c = 0; c < a->c; c++) {
            const double d = (double)rf_load(a->x, a->dtype, at + c) - mean;
            rf_store(a->y, a->dtype, at + c,
                     (float)(d * rstd * (double)a->gamma[c] + (double)a->beta[c]));
        }
    }
    return RF_OK;
}
