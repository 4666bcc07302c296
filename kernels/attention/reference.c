/* attention, the specification: one query at a time, everything in double, scores computed twice
 * rather than stored. */
#include "kernels/attention/attention.h"

#include <math.h>

rf_status rf_attention_check(const rf_attention_args *a)
{
    if (a->n < 1 || a->sq < 1 || a->skv < 1 || a->heads < 1) return RF_E_SHAPE;
    if (a->d < 8 || a->d > 512 || a->d % 8) return RF_E_SHAPE;
    const long long width = (long long)a->heads * a->d;
    if (a->q_stride < width || a->kv_stride < width || a->o_stride < width) return RF_E_SHAPE;
    if ((unsigned)a->dtype >= RF_DTYPES || (a->causal & ~1)) return RF_E_SHAPE;
    if (a->causal && (a->table || a->sq != a->skv)) return RF_E_SHAPE;
    return RF_OK;
}

rf_status rf_attention_prepare_ref(void *stream, const rf_attention_args *a,
                                   size_t *workspace_bytes)
{
    (void)stream;
    *workspace_bytes = 0;
    return rf_attention_check(a);
}

static double dot(const rf_attention_args *a, const void *k, size_t q_at, size_t k_at)
{
    double sum = 0;
    for (int i = 0; i < a->d; i++)
        sum += (double)rf_load(a->q, a->dtype, q_at + i) * (double)rf_load(k, a->dtype, k_at + i);
    return sum * (double)a->scale;
}

/* Row `row` of head `h`, against rows 0 .. keys-1 of k and v. */
static void attend(const rf_attention_args *a, int b, int h, int row, const void *k, const void *v,
                   int keys)
{
    const size_t q_at = ((size_t)b * a->sq + row) * a->q_stride + (size_t)h * a->d;
    const size_t o_at = ((size_t)b * a->sq + row) * a->o_stride + (size_t)h * a->d;
    const size_t head = (size_t)h * a->d;
    double       max = -INFINITY, sum = 0, out[512] = {0};
    for (int j = 0; j < keys; j++)
        max = fmax(max, dot(a, k, q_at, (size_t)j * a->kv_stride + head));
    for (int j = 0; j < keys; j++) {
        const size_t at = (size_t)j * a->kv_stride + head;
        const double p = exp(dot(a, k, q_at, at) - max);
        sum += p;
        for (int i = 0; i < a->d; i++) out[i] += p * (double)rf_load(v, a->dtype, at + i);
    }
    for (int i = 0; i < a->d; i++) rf_store(a->o, a->dtype, o_at + i, (float)(out[i] / sum));
}

rf_status rf_attention_ref(void *stream, const rf_attention_args *a)
{
    (void)stream;
    if (rf_attention_check(a) != RF_OK) return RF_E_SHAPE;
    for (int b = 0; a->table && b < a->n; b++)
        if (a->table[b].skv < 1 || a->table[b].skv > a->skv) return RF_E_SHAPE;

    const size_t size = rf_dtype_bytes(a->dtype);
    for (int b = 0; b < a->n; b++) {
        const char *k, *v;
        int         skv = a->skv;
        if (a->table) {
            skv = a->table[b].skv;
            k = (const char *)a->table[b].base + a->kv_off * (size_t)skv * size;
            v = k + (size_t)a->heads * a->d * size;
        } else {
            const size_t at = (size_t)b * a->skv * a->kv_stride * size;
            k = (const char *)a->k + at;
            v = (const char *)a->v + at;
        }
        for (int h = 0; h < a->heads; h++)
            for (int row = 0; row < a->sq; row++)
                attend(a, b, h, row, k, v, a->causal ? row + 1 : skv);
    }
    return RF_OK;
}
