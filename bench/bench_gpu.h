/* refinery-bench-gpu: what its rows (bench_gpu_products.c, bench_gpu_others.c) take from the frame
 * (bench_gpu.c).  Its ops are those of the CUDA device's table, called as the engine calls them. */
#ifndef RF_BENCH_GPU_H
#define RF_BENCH_GPU_H

#include <stdint.h>
#include <stdio.h>

#include "engine/core/program.h"

enum { BENCH_GPU_BUFFERS = 16 };

typedef struct bench_gpu_buffer {
    void  *device, *staging; /* staging: NULL, or what was uploaded */
    size_t bytes;
} bench_gpu_buffer;

typedef struct bench_gpu {
    rf_device        device;
    rf_event        *from, *to;
    const char      *op, *row;
    rf_dtype         dtype;
    double           seconds; /* per row */
    uint64_t         state;
    FILE            *csv;
    bench_gpu_buffer buffers[BENCH_GPU_BUFFERS];
    int              buffers_used;
    float           *floats[BENCH_GPU_BUFFERS];
    int              floats_used;
    int              wrong;
} bench_gpu;

typedef struct bench_gpu_case {
    const char       *row;
    const rf_op_call *call;
    rf_dtype          dtype;
    double            flop, bytes; /* of one call; bytes: the least that it must move */
    const void       *y;
    const float      *want; /* [checked] what y begins with, by the reference */
    size_t            checked;
} bench_gpu_case;

int bench_gpu_wants(const bench_gpu *b, const char *op, const char *row);

/* Memory of the current row, freed by bench_gpu_run.  Inputs are normal(0, 1); *host, unless NULL,
 * gets the same numbers on the host. */
void       *bench_gpu_take(bench_gpu *b, size_t bytes);
const void *bench_gpu_input(bench_gpu *b, rf_dtype dtype, size_t elems, const void **host);
float      *bench_gpu_floats(bench_gpu *b, size_t elems);
float      *bench_gpu_widened(bench_gpu *b, const void *host, rf_dtype dtype, size_t elems);

/* Prepares the call and gives it its workspace. */
void bench_gpu_workspace(bench_gpu *b, rf_op_call *call);

/* Checks, times and prints the case, and frees the row's memory. */
void bench_gpu_run(bench_gpu *b, const bench_gpu_case *c);

void bench_gpu_products(bench_gpu *b); /* gemm, conv, attention */
void bench_gpu_others(bench_gpu *b);   /* groupnorm, layernorm, pixels */

#endif
