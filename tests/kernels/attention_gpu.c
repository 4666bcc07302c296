/* attention_gpu: uploads, runs, downloads. */
#include "tests/kernels/attention_gpu.h"

#include <stdlib.h>

const int attention_limits[ATTENTION_LIMITS] = {GPU_SHARED_SMALL, GPU_SHARED_A100, GPU_SHARED_H100};

/* Each sample's block of the pool up to this layer's last value, and the table of their places. */
static const rf_attention_kv *upload_table(const rf_attention_args *a)
{
    const size_t     width = (size_t)a->heads * (size_t)a->d;
    rf_attention_kv *host = calloc((size_t)a->n, sizeof *host);
    cr_assert_not_null(host);
    for (int b = 0; b < a->n; b++) {
        const size_t keys = (size_t)a->table[b].skv;
        const size_t elems = a->kv_off * keys + (keys - 1) * (size_t)a->kv_stride + 2 * width;
        host[b].base = gpu_upload(a->table[b].base, elems * 2);
        host[b].skv = a->table[b].skv;
    }
    const rf_attention_kv *device = gpu_upload(host, (size_t)a->n * sizeof *host);
    free(host);
    return device;
}

void attention_run_sm80(const rf_gpu *gpu, rf_attention_args a)
{
    const size_t width = (size_t)a.heads * (size_t)a.d, rows = (size_t)a.n * (size_t)a.sq;
    const size_t keys = (size_t)a.n * (size_t)a.skv;
    const size_t o_bytes = ((rows - 1) * (size_t)a.o_stride + width) * 2;
    void        *o = a.o;
    size_t       workspace_bytes;
    cr_assert_eq(rf_attention_prepare_sm80((void *)gpu, &a, &workspace_bytes), RF_OK);
    cr_assert_eq(workspace_bytes, 0);
    a.q = gpu_upload(a.q, ((rows - 1) * (size_t)a.q_stride + width) * 2);
    if (a.table) {
        a.table = upload_table(&a);
        a.k = a.v = NULL;
    } else {
        const size_t v_at = (size_t)((const char *)a.v - (const char *)a.k);
        const char  *k = gpu_upload(a.k, ((keys - 1) * (size_t)a.kv_stride + width) * 2 + v_at);
        a.k = k, a.v = k + v_at;
    }
    a.o = gpu_upload(o, o_bytes);       /* padding and all: what must not be written comes back */
    rf_attention_sm80((void *)gpu, &a); /* a fault is in gpu_faults, and may be wanted */
    gpu_download(o, a.o, o_bytes);
    gpu_free_all();
}

uint16_t *attention_random(size_t elems, rf_dtype dtype, unsigned seed)
{
    uint16_t *p = malloc(elems * sizeof *p);
    cr_assert_not_null(p);
    for (size_t i = 0; i < elems; i++) {
        seed = seed * 1664525u + 1013904223u;
        rf_store(p, dtype, i, (float)(int)(seed >> 8) * 0x1p-23f - 1);
    }
    return p;
}
