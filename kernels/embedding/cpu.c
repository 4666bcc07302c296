/* embedding on the CPU: one thread and plain f32 sums, for it reads a few hundred rows per prompt.
 */
#include "kernels/embedding/embedding.h"

rf_status rf_embedding_cpu(void *stream, const rf_embedding_args *a)
{
    (void)stream;
    if (rf_embedding_check(a) != RF_OK || rf_embedding_check_ids(a) != RF_OK) return RF_E_SHAPE;
    for (int r = 0; r < a->m; r++) {
        const int    extra = a->id[r] - a->vocab;
        const void  *table = extra < 0 ? a->table : a->extra;
        const size_t y = (size_t)r * a->c, word = (size_t)(extra < 0 ? a->id[r] : extra) * a->c;
        const size_t place = (size_t)(r % a->seq) * a->c;
        for (int c = 0; c < a->c; c++)
            rf_store(a->y, a->dtype, y + c,
                     rf_load(table, extra < 0 ? a->wdtype : RF_F32, word + c) +
                         a->position[place + c]);
    }
    return RF_OK;
}
