/* What oneDNN 2.x and 3.x spell differently, said once: onednn_v2.c and onednn_v3.c both implement
 * this header, and the build compiles the one that fits the library it found.
 *
 * Nobody but onednn.c and these two includes it: no other file sees oneDNN's headers.  No function
 * here names a memory descriptor, since 3.x hides what 2.x shows.  Descriptors (`pd`) stay the
 * caller's; every dnnl_status_t is oneDNN's own. */
#ifndef RF_ONEDNN_API_H
#define RF_ONEDNN_API_H

#include <stddef.h>
#include <stdint.h>

#include <dnnl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One primitive in oneDNN's words: a product [m, k] x [k, n] with plain rows, or a 3x3 convolution
 * of plain channels-last maps.  Bias is f32; the weights have x's type and any layout. */
typedef struct rf_onednn_problem {
    int              conv; /* 0: a matmul, 1: a convolution for inference */
    int              ndims, bias_ndims;
    dnnl_dims_t      x, w, y, bias;
    dnnl_data_type_t x_type, y_type;
    dnnl_dims_t      strides, before, after; /* of a convolution; before, after: zero padding */
} rf_onednn_problem;

/* *out: the descriptor oneDNN likes best; with `like`, the best that reads its weights laid out as
 * like's.  On failure *out is not written. */
dnnl_status_t rf_onednn_pd_create(dnnl_primitive_desc_t *out, const rf_onednn_problem *problem,
                                  const_dnnl_primitive_desc_t like,
                                  const_dnnl_primitive_attr_t attr, dnnl_engine_t engine);

/* y += instead of y =. */
dnnl_status_t rf_onednn_append_sum(dnnl_post_ops_t ops);

/* A blocked layout; the arrays belong to the descriptor. */
typedef struct rf_onednn_blocks {
    int               ndims, inners;
    const dnnl_dim_t *dims, *strides;          /* [ndims], in elements */
    const dnnl_dim_t *inner_axis, *inner_size; /* [inners], outermost first */
    int64_t           elems;                   /* padding included */
} rf_onednn_blocks;

/* The weights' layout; 0 if strides and blocks do not say all of it. */
int rf_onednn_weight_blocks(const_dnnl_primitive_desc_t pd, rf_onednn_blocks *out);

/* A memory object for the descriptor's tensor `what`, number `index`, without data; and its size.
 */
dnnl_status_t rf_onednn_memory_create(dnnl_memory_t *out, const_dnnl_primitive_desc_t pd,
                                      dnnl_query_t what, int index, dnnl_engine_t engine);
size_t        rf_onednn_bytes(const_dnnl_primitive_desc_t pd, dnnl_query_t what);

#ifdef __cplusplus
}
#endif
#endif
