/* oneDNN 3.x: descriptors are opaque objects, made, asked and destroyed. */
#include "kernels/onednn_api.h"

enum { X, W, BIAS, Y, TENSORS };

static dnnl_status_t pd_of(dnnl_primitive_desc_t *out, const rf_onednn_problem *p,
                           const_dnnl_memory_desc_t const md[TENSORS],
                           const_dnnl_primitive_attr_t attr, dnnl_engine_t engine)
{
    static const dnnl_dims_t undilated = {0, 0};
    if (!p->conv)
        return dnnl_matmul_primitive_desc_create(out, engine, md[X], md[W], md[BIAS], md[Y], attr);
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_inference, dnnl_convolution_direct, md[X], md[W], md[BIAS], md[Y],
        p->strides, undilated, p->before, p->after, attr);
}

dnnl_status_t rf_onednn_pd_create(dnnl_primitive_desc_t *out, const rf_onednn_problem *p,
                                  const_dnnl_primitive_desc_t like,
                                  const_dnnl_primitive_attr_t attr, dnnl_engine_t engine)
{
    const dnnl_format_tag_t plain = p->conv ? dnnl_nhwc : dnnl_ab;
    const dnnl_format_tag_t bias_tag = p->bias_ndims == 1 ? dnnl_a : dnnl_ab;
    const dnnl_format_tag_t any = dnnl_format_tag_any;
    dnnl_memory_desc_t      md[TENSORS] = {NULL};
    const dnnl_status_t     st[TENSORS] = {
            dnnl_memory_desc_create_with_tag(&md[X], p->ndims, p->x, p->x_type, plain),
            dnnl_memory_desc_create_with_tag(&md[W], p->ndims, p->w, p->x_type, any),
            dnnl_memory_desc_create_with_tag(&md[BIAS], p->bias_ndims, p->bias, dnnl_f32, bias_tag),
            dnnl_memory_desc_create_with_tag(&md[Y], p->ndims, p->y, p->y_type, plain),
    };
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < TENSORS && status == dnnl_success; i++) status = st[i];

    if (status == dnnl_success) {
        const_dnnl_memory_desc_t use[TENSORS] = {md[X], md[W], md[BIAS], md[Y]};
        if (like) use[W] = dnnl_primitive_desc_query_md(like, dnnl_query_weights_md, 0);
        status = pd_of(out, p, use, attr, engine);
    }
    for (int i = 0; i < TENSORS; i++)
        if (md[i]) dnnl_memory_desc_destroy(md[i]);
    return status;
}

dnnl_status_t rf_onednn_append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static int asked(const_dnnl_memory_desc_t md, dnnl_query_t what, void *result)
{
    return dnnl_memory_desc_query(md, what, result) == dnnl_success;
}

int rf_onednn_weight_blocks(const_dnnl_primitive_desc_t pd, rf_onednn_blocks *out)
{
    const_dnnl_memory_desc_t md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_format_kind_t       kind = dnnl_format_kind_undef;
    dnnl_data_type_t         type = dnnl_data_type_undef;
    dnnl_dim_t               offset = 0;
    const dnnl_dims_t       *dims, *padded, *strides, *inner_axis, *inner_size;
    if (!asked(md, dnnl_query_format_kind, &kind) || kind != dnnl_blocked) return 0;
    if (!asked(md, dnnl_query_submemory_offset_s64, &offset) || offset != 0) return 0;

    *out = (rf_onednn_blocks){0};
    if (!asked(md, dnnl_query_ndims_s32, &out->ndims) ||
        !asked(md, dnnl_query_inner_nblks_s32, &out->inners) ||
        !asked(md, dnnl_query_data_type, &type) || !asked(md, dnnl_query_dims, &dims) ||
        !asked(md, dnnl_query_padded_dims, &padded) || !asked(md, dnnl_query_strides, &strides) ||
        !asked(md, dnnl_query_inner_idxs, &inner_axis) ||
        !asked(md, dnnl_query_inner_blks, &inner_size))
        return 0;
    out->dims = *dims;
    out->strides = *strides;
    out->inner_axis = *inner_axis;
    out->inner_size = *inner_size;

    /* 3.x hides whether sums of the weights follow them: then they are longer than their blocks. */
    out->elems = 1;
    for (int a = 0; a < out->ndims; a++) out->elems *= (*padded)[a];
    return (size_t)out->elems * dnnl_data_type_size(type) == dnnl_memory_desc_get_size(md);
}

dnnl_status_t rf_onednn_memory_create(dnnl_memory_t *out, const_dnnl_primitive_desc_t pd,
                                      dnnl_query_t what, int index, dnnl_engine_t engine)
{
    const_dnnl_memory_desc_t md = dnnl_primitive_desc_query_md(pd, what, index);
    return dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE);
}

size_t rf_onednn_bytes(const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, what, 0));
}
