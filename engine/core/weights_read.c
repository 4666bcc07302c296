/* Chunks on all threads; see weights_read.h. */
#include "engine/core/weights_read.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/core/widen.h"

enum { CHUNK_BYTES = 1 << 20 }; /* read and converted while it is in the L2 cache */

rf_status rf_part_read(const rf_weights *w, rf_stretch s, void *dst, rf_dtype dtype, int threads,
                       rf_error *err)
{
    const rf_tensor *t = s.tensor;
    const rf_dtype   source = rf_slot_source_dtype(t->type);
    const size_t     step = CHUNK_BYTES / rf_dtype_bytes(source);
    const int64_t    chunks = (int64_t)((s.count + step - 1) / step);
    rf_status        st = RF_OK;
    rf_error         first = {0};
    atomic_flag      failed = ATOMIC_FLAG_INIT; /* the first error is the one reported */
#pragma omp parallel num_threads(threads)
    {
        char *scratch = source == dtype ? NULL : malloc(CHUNK_BYTES);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < chunks; i++) {
            const size_t from = (size_t)i * step;
            const size_t n = s.count - from < step ? s.count - from : step;
            char        *to = (char *)dst + from * rf_dtype_bytes(dtype);
            rf_error     mine = {0};
            rf_status    result;
            if (source != dtype && !scratch) {
                result = rf_fail(&mine, RF_E_NOMEM, "%s: no memory to convert %s", w->file->path,
                                 t->name);
            } else {
                result = w->file->read(w->file, t, (s.first + from) * rf_dtype_bytes(source),
                                       scratch ? scratch : to, n * rf_dtype_bytes(source), &mine);
                if (result == RF_OK && scratch) rf_convert(to, dtype, scratch, source, n);
            }
            if (result != RF_OK && !atomic_flag_test_and_set(&failed)) {
                st = result;
                first = mine;
            }
        }
        free(scratch);
    }
    if (st != RF_OK && err) *err = first;
    return st;
}

/* dst [n, k] = src [k, n], 2- or 4-byte elements. */
static void transpose(void *dst, const void *src, int n, int k, rf_dtype dtype)
{
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < (size_t)k; j++) {
            if (dtype == RF_F32)
                ((float *)dst)[i * (size_t)k + j] = ((const float *)src)[j * (size_t)n + i];
            else
                ((uint16_t *)dst)[i * (size_t)k + j] = ((const uint16_t *)src)[j * (size_t)n + i];
        }
}

rf_status rf_part_read_patched(const rf_weights *w, const rf_tensor *t, float *whole, int threads,
                               rf_error *err)
{
    const rf_status st = rf_part_read(w, (rf_stretch){t, 0, t->elems}, whole, RF_F32, threads, err);
    return st == RF_OK ? w->patch->apply(w->patch->user, t, whole, threads, err) : st;
}

void rf_convert_all(void *dst, rf_dtype to, const float *src, size_t count, int threads)
{
    const size_t  step = CHUNK_BYTES / sizeof(float);
    const int64_t chunks = (int64_t)((count + step - 1) / step);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < chunks; i++) {
        const size_t from = (size_t)i * step, n = count - from < step ? count - from : step;
        rf_convert((char *)dst + from * rf_dtype_bytes(to), to, src + from, RF_F32, n);
    }
}

rf_status rf_slot_read(const rf_weights *w, const rf_slot *s, char *plain, float *whole,
                       int threads, rf_error *err)
{
    rf_status st = RF_OK;
    size_t    at = 0;
    for (int i = 0; i < s->parts; i++) {
        const rf_tensor *t = s->part[i];
        const rf_stretch all = {t, 0, t->elems};
        if (s->patched >> i & 1) {
            RF_TRY(rf_part_read_patched(w, t, whole, threads, err));
            rf_convert_all(plain + at, s->wdtype, whole, t->elems, threads);
        } else {
            RF_TRY(rf_part_read(w, all, plain + at, s->wdtype, threads, err));
        }
        at += t->elems * rf_dtype_bytes(s->wdtype);
    }
    if (s->transpose) transpose(plain + at, plain, s->n, s->k, s->wdtype);
done:
    return st;
}
