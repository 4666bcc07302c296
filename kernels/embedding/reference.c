/* embedding, the specification. */
#include "kernels/embedding/embedding.h"

rf_status rf_embedding_check(const rf_embedding_args *a)
{
    if (a->m < 1 || a->c < 1 || a->vocab < 1 || a->extras < 0 || a->seq < 1) return RF_E_SHAPE;
    if ((unsigned)a->dtype >= RF_DTYPES || (unsigned)a->wdtype >= RF_DTYPES) return RF_E_SHAPE;
    return RF_OK;
}

rf_status rf_embedding_check_ids(const rf_embedding_args *a)
{
    for (int r = 0; r < a->m; r++)
        if (a->id[r] < 0 || (int64_t)a->id[r] - a->vocab >= a->extras) return RF_E_SHAPE;
    return RF_OK;
}

rf_status rf_embedding_ref(void *stream, const rf_embedding_args *a)
{
    (void)stream;
    if (rf_embedding_check(a) != RF_OK || rf_embedding_check_ids(a) != RF_OK) return RF_E_SHAPE;
    for (int r = 0; r < a->m; r++)
        for (int c = 0; c < a->c; c++) {
            const int    extra = a->id[r] - a->vocab;
            const double word =
                extra < 0 ? (double)rf_load(a->table, a->wdtype, (size_t)a->id[r] * a->c + c)
                          : (double)a->extra[(size_t)extra * a->c + c];
            const double place = (double)a->position[(size_t)(r % a->seq) * a->c + c];
            rf_store(a->y, a->dtype, (size_t)r * a->c + c, (float)(word + place));
        }
    return RF_OK;
}
