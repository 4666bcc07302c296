/* oneDNN 2.x (Debian 12 has 2.6): descriptors are plain structs that one can read. */
#include "kernels/onednn_api.h"

enum { X, W, BIAS, Y, TENSORS };

static dnnl_status_t matmul_pd(dnnl_primitive_desc_t *out, const dnnl_memory_desc_t md[TENSORS],
                               const_dnnl_primitive_attr_t attr, dnnl_engine_t engine)
{
    dnnl_matmul_desc_t  d;
    const dnnl_status_t status = dnnl_matmul_desc_init(&d, &md[X], &md[W], &md[BIAS], &md[Y]);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, &d, attr, engine, NULL);
}

static dnnl_status_t conv_pd(dnnl_primitive_desc_t *out, const rf_onednn_problem *p,
                             const dnnl_memory_desc_t md[TENSORS], const_dnnl_primitive_attr_t attr,
                             dnnl_engine_t engine)
{
    dnnl_convolution_desc_t d;
    const dnnl_status_t     status = dnnl_convolution_forward_desc_init(
            &d, dnnl_forward_inference, dnnl_convolution_direct, &md[X], &md[W], &md[BIAS], &md[Y],
            p->strides, p->before, p->after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, &d, attr, engine, NULL);
}

dnnl_status_t rf_onednn_pd_create(dnnl_primitive_desc_t *out, const rf_onednn_problem *p,
                                  const_dnnl_primitive_desc_t like,
                                  const_dnnl_primitive_attr_t attr, dnnl_engine_t engine)
{
    const dnnl_format_tag_t plain = p->conv ? dnnl_nhwc : dnnl_ab;
    const dnnl_format_tag_t bias_tag = p->bias_ndims == 1 ? dnnl_a : dnnl_ab;
    dnnl_memory_desc_t      md[TENSORS];
    const dnnl_status_t     st[] = {
            dnnl_memory_desc_init_by_tag(&md[X], p->ndims, p->x, p->x_type, plain),
            dnnl_memory_desc_init_by_tag(&md[W], p->ndims, p->w, p->x_type, dnnl_format_tag_any),
            dnnl_memory_desc_init_by_tag(&md[BIAS], p->bias_ndims, p->bias, dnnl_f32, bias_tag),
            dnnl_memory_desc_init_by_tag(&md[Y], p->ndims, p->y, p->y_type, plain),
    };
    for (size_t i = 0; i < sizeof st / sizeof *st; i++)
        if (st[i] != dnnl_success) return st[i];
    if (like) md[W] = *dnnl_primitive_desc_query_md(like, dnnl_query_weights_md, 0);
    return p->conv ? conv_pd(out, p, md, attr, engine) : matmul_pd(out, md, attr, engine);
}

dnnl_status_t rf_onednn_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

int rf_onednn_weight_blocks(const_dnnl_primitive_desc_t pd, rf_onednn_blocks *out)
{
    const dnnl_memory_desc_t   *md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
    if (md->format_kind != dnnl_blocked || md->offset0 != 0 ||
        md->extra.flags != dnnl_memory_extra_flag_none)
        return 0;

    *out = (rf_onednn_blocks){
        .ndims = md->ndims,
        .inners = b->inner_nblks,
        .dims = md->dims,
        .strides = b->strides,
        .inner_axis = b->inner_idxs,
        .inner_size = b->inner_blks,
        .elems = (int64_t)(dnnl_memory_desc_get_size(md) / dnnl_data_type_size(md->data_type)),
    };
    return 1;
}

dnnl_status_t rf_onednn_memory_create(dnnl_memory_t *out, const_dnnl_primitive_desc_t pd,
                                      dnnl_query_t what, int index, dnnl_engine_t engine)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, index);
    return dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE);
}

size_t rf_onednn_bytes(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, what, 0));
}
