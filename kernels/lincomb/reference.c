/* lincomb, the specification: f32, since the roundings are part of it. */
#include "kernels/lincomb/lincomb.h"

#include <math.h>

rf_status rf_lincomb_check(const rf_lincomb_args *a)
{
    if (a->n < 1 || a->e < 1 || a->terms < 1 || a->terms > RF_LINCOMB_TERMS) return RF_E_SHAPE;
    if ((unsigned)a->ydtype >= RF_DTYPES) return RF_E_SHAPE;
    if (a->ystride && a->ystride < (size_t)a->e) return RF_E_SHAPE;
    for (int j = 0; j < a->terms; j++) {
        if ((unsigned)a->xdtype[j] >= RF_DTYPES || a->row_off[j] < 0) return RF_E_SHAPE;
        if (a->xstride[j] && a->xstride[j] < (size_t)a->e) return RF_E_SHAPE;
    }
    return RF_OK;
}

rf_status rf_lincomb_ref(void *stream, const rf_lincomb_args *a)
{
    (void)stream;
    if (rf_lincomb_check(a) != RF_OK) return RF_E_SHAPE;
    for (size_t b = 0; b < (size_t)a->n; b++)
        for (int i = 0; i < a->e; i++) {
            float sum = 0;
            int   terms = 0;
            for (int j = 0; j < a->terms; j++) {
                const ptrdiff_t row = rf_lincomb_x(a, b, j);
                if (row < 0) continue;
                const float x = rf_load(a->x[j], a->xdtype[j], (size_t)row + (size_t)i);
                const float term = a->coef[b * (size_t)a->terms + (size_t)j] * x;
                sum = terms++ ? sum + term : term;
            }
            const size_t at = rf_lincomb_y(a, b) + (size_t)i;
            rf_store(a->y, a->ydtype, at, sum);
            if (a->bad && !isfinite(rf_load(a->y, a->ydtype, at))) a->bad[b] = 1;
        }
    return RF_OK;
}
