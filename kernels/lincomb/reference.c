/* lincomb, the specification: f32, since the roundings are part of it. */
#include "kernels/lincomb/lincomb.h"

rf_status rf_lincomb_check(const rf_lincomb_args *a)
{
    if (a->n < 1 || a->e < 1 || a->terms < 1 || a->terms > RF_LINCOMB_TERMS) return RF_E_SHAPE;
    if ((unsigned)a->ydtype >= RF_DTYPES) return RF_E_SHAPE;
    for (int j = 0; j < a->terms; j++)
        if ((unsigned)a->xdtype[j] >= RF_DTYPES || a->row_off[j] < 0) return RF_E_SHAPE;
    return RF_OK;
}

rf_status rf_lincomb_ref(void *stream, const rf_lincomb_args *a)
{
    (void)stream;
    if (rf_lincomb_check(a) != RF_OK) return RF_E_SHAPE;
    for (int b = 0; b < a->n; b++)
        for (int i = 0; i < a->e; i++) {
            float sum = 0;
            for (int j = 0; j < a->terms; j++) {
                const size_t at = (size_t)(b + a->row_off[j]) * a->e + i;
                const float  term = a->coef[b * a->terms + j] * rf_load(a->x[j], a->xdtype[j], at);
                sum = j ? sum + term : term;
            }
            rf_store(a->y, a->ydtype, (size_t)b * a->e + i, sum);
        }
    return RF_OK;
}
