/* bench: times the rows of the ops' shape tables.
 *
 * One function per op, in bench_<op>.c, walks its table and hands each row over as a bench_case.
 * A case is refused if its result is wrong: its check runs once, before anything is timed.
 * Rates of a plain GEMM and of a copy, measured in the same run, are the 100 % of the table. */
#ifndef RF_BENCH_H
#define RF_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/half.h"
#include "kernels/host.h"
#include "kernels/status.h"

typedef struct bench bench;

typedef struct bench_case {
    const char *op, *row;
    rf_dtype    dtype;
    double      flop;  /* of one call; 0 where arithmetic does not matter */
    double      bytes; /* the least one call must move */
    const void *args;  /* passed to run and check */
    rf_status (*run)(void *stream, const void *args);
    /* Relative L2 error of one call's output (or of a part of it) against the reference. */
    double (*error)(bench *b, const void *args);
} bench_case;

/* True if the user wants this row in this type.  False: skip it, allocate nothing. */
bool bench_wants(const bench *b, const char *op, const char *row);

rf_host *bench_host(bench *b);

/* Memory of the current row, 64-byte aligned, freed by bench_run.  Inputs are normal(0, 1). */
void *bench_input(bench *b, rf_dtype dtype, size_t elems);
void *bench_output(bench *b, size_t bytes);

/* Checks the case, times it at least 20 times (fewer only beyond 10 times the time budget),
 * prints its row, and frees the row's memory. */
void bench_run(bench *b, const bench_case *c);

/* |got - want| / |want| in the 2-norm; infinite if anything is not finite. */
double bench_relative_l2(const void *got, rf_dtype dtype, const float *want, size_t elems);

/* A float copy of `elems` elements, owned as bench_input's. */
float *bench_widened(bench *b, const void *data, rf_dtype dtype, size_t elems);

/* Measures the rates that all others are compared with: comes first. */
void bench_peaks(bench *b);

void bench_gemm(bench *b);
void bench_gemm_pack(bench *b);
void bench_conv(bench *b);
void bench_attention(bench *b);
void bench_groupnorm(bench *b);
void bench_layernorm(bench *b);
void bench_embedding(bench *b);
void bench_timestep(bench *b);
void bench_resize(bench *b);
void bench_lincomb(bench *b);
void bench_pixels(bench *b);
void bench_latent_rgb(bench *b);

#endif
