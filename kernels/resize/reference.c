/* resize, the specification. */
#include "kernels/resize/resize.h"

rf_status rf_resize_check(const rf_resize_args *a)
{
    if (a->n < 1 || a->h < 1 || a->w < 1 || a->c < 1 || a->ho < 1 || a->wo < 1) return RF_E_SHAPE;
    return (unsigned)a->dtype < RF_DTYPES ? RF_OK : RF_E_SHAPE;
}

rf_status rf_resize_ref(void *stream, const rf_resize_args *a)
{
    (void)stream;
    if (rf_resize_check(a) != RF_OK) return RF_E_SHAPE;
    for (int b = 0; b < a->n; b++)
        for (int i = 0; i < a->ho; i++)
            for (int j = 0; j < a->wo; j++)
                for (int c = 0; c < a->c; c++) {
                    const size_t row = (size_t)i * a->h / a->ho, column = (size_t)j * a->w / a->wo;
                    const size_t from = (((size_t)b * a->h + row) * a->w + column) * a->c + c;
                    const size_t to = (((size_t)b * a->ho + i) * a->wo + j) * a->c + c;
                    rf_store(a->y, a->dtype, to, rf_load(a->x, a->dtype, from));
                }
    return RF_OK;
}
