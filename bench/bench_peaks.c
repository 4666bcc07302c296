/* The two rates that everything else is a percentage of: a square GEMM and a copy. */
#include "bench/bench.h"

#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"

enum { GEMM_SIZE = 2048, CHECKED_ROWS = 4, COPY_MIB = 256 };

typedef struct gemm_case {
    rf_gemm_args args;
    const void  *w; /* before packing */
} gemm_case;

static rf_status run_gemm(void *stream, const void *args)
{
    return rf_gemm_cpu(stream, &((const gemm_case *)args)->args);
}

static double gemm_error(bench *b, const void *args)
{
    const gemm_case *c = args;
    rf_gemm_args     a = c->args;
    a.m = CHECKED_ROWS;
    a.x = bench_widened(b, a.x, a.dtype, (size_t)a.m * a.k);
    a.w = bench_widened(b, c->w, a.wdtype, (size_t)a.n * a.k);
    a.y = bench_output(b, (size_t)a.m * a.n * sizeof(float));
    a.dtype = a.wdtype = RF_F32;
    if (rf_gemm_ref(NULL, &a) != RF_OK) return INFINITY;
    return bench_relative_l2(c->args.y, c->args.dtype, a.y, (size_t)a.m * a.n);
}

static void peak_gemm(bench *b, rf_dtype dtype)
{
    const size_t               elems = (size_t)GEMM_SIZE * GEMM_SIZE;
    const rf_gemm_weight_shape shape = {GEMM_SIZE, GEMM_SIZE, dtype, dtype, RF_ACT_NONE};
    size_t                     packed_bytes, workspace_bytes;
    void                      *w = bench_input(b, dtype, elems);
    rf_gemm_args               a = {.m = GEMM_SIZE, .n = GEMM_SIZE, .k = GEMM_SIZE};
    a.dtype = a.wdtype = dtype;
    if (rf_gemm_pack_bytes_cpu(bench_host(b), &shape, &packed_bytes) != RF_OK) return;
    if (rf_gemm_prepare_cpu(bench_host(b), &a, &workspace_bytes) != RF_OK) return;
    void *packed = bench_output(b, packed_bytes);
    if (rf_gemm_pack_cpu(bench_host(b), &shape, packed, w) != RF_OK) return;
    a.x = bench_input(b, dtype, elems);
    a.y = bench_output(b, elems * rf_dtype_bytes(dtype));
    a.w = packed;
    a.workspace = workspace_bytes ? bench_output(b, workspace_bytes) : NULL;
    const gemm_case c = {a, w};
    bench_run(b, &(bench_case){.op = "peak",
                               .row = "gemm_2048",
                               .dtype = dtype,
                               .flop = 2.0 * GEMM_SIZE * GEMM_SIZE * GEMM_SIZE,
                               .bytes = 3.0 * (double)elems * (double)rf_dtype_bytes(dtype),
                               .args = &c,
                               .run = run_gemm,
                               .error = gemm_error});
}

typedef struct copy_args {
    char  *to, *from;
    size_t bytes;
    int    threads;
} copy_args;

static rf_status run_copy(void *stream, const void *args)
{
    (void)stream;
    const copy_args *a = args;
    const size_t     part = a->bytes / (size_t)a->threads;
#pragma omp parallel for num_threads(a->threads)
    for (int i = 0; i < a->threads; i++)
        memcpy(a->to + (size_t)i * part, a->from + (size_t)i * part, part);
    return RF_OK;
}

static double copy_error(bench *b, const void *args)
{
    (void)b;
    const copy_args *a = args;
    const size_t     copied = a->bytes / (size_t)a->threads * (size_t)a->threads;
    return memcmp(a->to, a->from, copied) ? INFINITY : 0;
}

void bench_peaks(bench *b)
{
    peak_gemm(b, RF_F32);
    peak_gemm(b, RF_BF16);
    const size_t    bytes = (size_t)COPY_MIB << 20;
    const copy_args a = {bench_output(b, bytes), bench_output(b, bytes), bytes,
                         rf_host_threads(bench_host(b))};
    memset(a.from, 1, bytes);
    bench_run(b, &(bench_case){.op = "peak",
                               .row = "copy_256_mib",
                               .dtype = RF_F32,
                               .bytes = 2.0 * (double)bytes,
                               .args = &a,
                               .run = run_copy,
                               .error = copy_error});
}
