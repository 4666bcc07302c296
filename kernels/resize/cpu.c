/* resize on the CPU: whole pixels are copied, output rows shared among the threads.  Bound by
 * memory. */
#include "kernels/resize/resize.h"

#include <string.h>

#include "kernels/host.h"

rf_status rf_resize_cpu(void *stream, const rf_resize_args *a)
{
    if (rf_resize_check(a) != RF_OK) return RF_E_SHAPE;
    const int    threads = rf_host_threads(stream);
    const size_t pixel = (size_t)a->c * rf_dtype_bytes(a->dtype);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long r = 0; r < (long)a->n * a->ho; r++) {
        const size_t b = (size_t)(r / a->ho), row = (size_t)(r % a->ho) * a->h / a->ho;
        const char  *from = (const char *)a->x + (b * a->h + row) * a->w * pixel;
        char        *to = (char *)a->y + (size_t)r * a->wo * pixel;
        for (int j = 0; j < a->wo; j++, to += pixel)
            memcpy(to, from + (size_t)j * a->w / a->wo * pixel, pixel);
    }
    return RF_OK;
}
