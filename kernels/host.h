/* The `stream` of the host levels: how many threads, and everything oneDNN must keep alive
 * (engine, stream, compiled primitives).  A CUDA level takes an rf_gpu instead
 * (kernels/device/gpu.h); every op takes it as `void *stream`.
 *
 * The ref level ignores its stream, NULL included.  The cpu level needs one.  A host is for one
 * thread of use at a time; two hosts may work at once. */
#ifndef RF_HOST_H
#define RF_HOST_H

#include <stddef.h>

#include "kernels/half.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_host rf_host;

/* threads: 1..1024, or 0 for one per available core.  *out is NULL on failure. */
rf_status rf_host_create(rf_host **out, int threads, rf_error *err);
void      rf_host_destroy(rf_host *host); /* NULL is fine */

int rf_host_threads(const rf_host *host);

/* Primitives compiled so far.  Constant once every op of a plan was prepared: tests prove it. */
size_t rf_host_primitives(const rf_host *host);

/* What this machine computes fastest in: RF_BF16 with AVX512_BF16 or AMX, else RF_F32. */
rf_dtype rf_host_native_dtype(void);

/* 0: this build has no oneDNN, and the cpu level no gemm and no conv. */
int rf_host_has_products(void);

/* "AMD EPYC ... (AVX-512, BF16)" for logs; never NULL, lives as long as the host. */
const char *rf_host_cpu_name(const rf_host *host);

#ifdef __cplusplus
}
#endif
#endif
