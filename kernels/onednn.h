/* oneDNN behind one file: matrix products and convolutions compiled once per shape.
 *
 * Nothing outside onednn.c and its two dialects (onednn_api.h) sees a oneDNN header.  A primitive
 * is found by its shape in a table of the host: preparing compiles and enters it, running only
 * looks it up.
 *
 * Weights have one packed layout per weight shape, the one oneDNN chooses for a canonical number
 * of rows, image size and threads: on one machine, packed bytes are the same whatever the host.
 * A primitive that wants another (small images, other machines) says so: its caller converts into
 * workspace first. */
#ifndef RF_ONEDNN_H
#define RF_ONEDNN_H

#include <stddef.h>

#include "kernels/blocked/blocked.h"
#include "kernels/half.h"
#include "kernels/host.h"
#include "kernels/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rf_dnn    rf_dnn;    /* engine, stream and the table of primitives */
typedef struct rf_dnn_op rf_dnn_op; /* one compiled primitive */

/* All members are int: a spec is its own key. */
typedef struct rf_dnn_spec {
    int conv;      /* 0: y [m, n] = x [m, k] · wᵀ + bias;  1: a 3x3 convolution of one image */
    int m, n, k;   /* of a product */
    int h, w;      /* of a convolution's input [h, w, k]; its output has n channels */
    int ho, wo;    /* output size */
    int stride;    /* 1 or 2 */
    int top, left; /* padding; what is missing at the bottom and the right follows from ho, wo */
    int x_type;    /* rf_dtype of x and of the weights the primitive reads */
    int y_type;
    int accumulate; /* 1: y += instead of y = */
} rf_dnn_spec;

/* Activation and weight types the cpu level can combine: products in bf16 need bf16 weights, f32
 * takes any.  Where the CPU has AVX-512 without bf16, oneDNN emulates it: correct, and slow.  With
 * less than AVX-512 it refuses bf16 (RF_E_DEVICE). */
static inline int rf_dnn_types_ok(rf_dtype dtype, rf_dtype wdtype)
{
    return dtype == RF_BF16 ? wdtype == RF_BF16 : dtype == RF_F32 && (unsigned)wdtype < RF_DTYPES;
}

typedef struct rf_dnn_io {
    void        *y;
    const void  *x, *w;
    const float *bias;    /* [n], never NULL */
    void        *scratch; /* rf_dnn_scratch_bytes */
    int          lane;    /* 0, or of a product that is rf_dnn_alone, 0 .. threads-1 */
} rf_dnn_io;

/* 0 in builds without oneDNN (no_onednn.c): everything but creating is RF_E_UNSUPPORTED. */
int rf_dnn_present(void);

rf_status rf_dnn_create(rf_dnn **out, int threads, rf_error *err);
void      rf_dnn_destroy(rf_dnn *dnn); /* NULL is fine */
size_t    rf_dnn_count(const rf_dnn *dnn);

/* The host's own; host.c defines it. */
rf_dnn *rf_host_dnn(rf_host *host);

/* Compiles the primitive of `spec` unless it is there.  Errors: RF_E_NOMEM, RF_E_DEVICE. */
rf_status rf_dnn_prepare(rf_dnn *dnn, const rf_dnn_spec *spec, const rf_dnn_op **out);

/* NULL if it was not prepared. */
const rf_dnn_op *rf_dnn_find(const rf_dnn *dnn, const rf_dnn_spec *spec);

/* The packed layout for this weight shape; of `spec` only conv, n, k, stride and x_type count. */
rf_status rf_dnn_weight_layout(rf_dnn *dnn, const rf_dnn_spec *spec, rf_blocked *out);

/* The weights as `op` reads them.  Where they are not packed just so (another storage type or
 * layout), rf_dnn_weights converts them into `space`, rf_dnn_weight_bytes long; else it returns
 * `packed` and needs no space. */
size_t      rf_dnn_weight_bytes(const rf_dnn_op *op, rf_dtype wdtype);
const void *rf_dnn_weights(const rf_dnn *dnn, const rf_dnn_op *op, rf_dtype wdtype,
                           const void *packed, void *space);

size_t rf_dnn_scratch_bytes(const rf_dnn_op *op);

/* 1 if oneDNN might compute other bits with another number of threads: then one thread runs it.
 * Of a product this depends on n, k and x_type only; its bits may depend on m, and on nothing else
 * of the call. */
int rf_dnn_alone(const rf_dnn_op *op);

/* Products that are rf_dnn_alone may run side by side, each in a lane of its own. */
rf_status rf_dnn_run(rf_dnn *dnn, const rf_dnn_op *op, const rf_dnn_io *io);

/* Workspace of one call, cut into parts: `bytes` more, on a cache line; returns where they begin.
 */
static inline size_t rf_dnn_take(size_t *used, size_t bytes)
{
    const size_t at = *used;
    *used += (bytes + 63) / 64 * 64;
    return at;
}

/* Prepares `spec` without accumulation and, if `accumulates`, with it too: a call may want either.
 * Takes the workspace of its weights, and raises the scratch that all parts of a call share. */
rf_status rf_dnn_prepare_call(rf_dnn *dnn, rf_dnn_spec spec, int accumulates, rf_dtype wdtype,
                              size_t *used, size_t *scratch_bytes);

/* The name of the implementation oneDNN chose, for tests and logs. */
const char *rf_dnn_name(const rf_dnn_op *op);

/* 1 if oneDNN computes bf16 products in hardware here. */
int rf_dnn_has_bf16(void);

#ifdef __cplusplus
}
#endif
#endif
