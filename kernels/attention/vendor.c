/* attention by cuDNN: its one operation for scaled dot products (cuDNN 9.13 and newer).
 *
 * Keys of a table (cross attention over a pool of prompts) lie where cuDNN cannot be told to look,
 * so they are RF_E_UNSUPPORTED, and so is the causal mask, which only the text encoders use.
 * Between the two products cuDNN rounds the weights to the storage type, as all flash attention
 * does.
 *
 * Tensors are [n, heads, rows, d] to cuDNN; their strides are those of the fused projection. */
#include "kernels/attention/attention.h"

#include "kernels/choice/choice_keys.h"
#include "kernels/device/cudnn.h"

enum { Q = 1, K, V, O, SCALE };

static rf_status check(rf_vendor *vendor, const rf_attention_args *a)
{
    const int       most = 1 << 30;
    const rf_status ready = rf_cudnn_ready(vendor, "attention");
    if (ready != RF_OK) return ready;
    if (rf_attention_check(a) != RF_OK || a->dtype == RF_F32 || a->sq > most || a->skv > most ||
        a->q_stride % 8 || a->kv_stride % 8 || a->o_stride % 8)
        return RF_E_SHAPE;
    const char *lacks = a->table ? "no table of prompts" : a->causal ? "no causal mask" : NULL;
    if (!lacks) return RF_OK;
    return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                          "attention: cuDNN has %s here, and no other level takes its place",
                          lacks);
}

/* Rows of all heads, `stride` elements apart. */
static cudnnBackendDescriptor_t rows(rf_cudnn_graph *g, int64_t id, const rf_attention_args *a,
                                     int64_t seq, int64_t stride)
{
    const rf_cudnn_tensor t = {.id = id,
                               .type = rf_cudnn_type(a->dtype),
                               .size = {a->n, a->heads, seq, a->d},
                               .stride = {seq * stride, a->d, stride, 1}};
    return rf_cudnn_add_tensor(g, &t);
}

static void build(rf_cudnn_graph *g, const void *args)
{
    const rf_attention_args *a = args;
    const rf_cudnn_tensor    scale = {.id = SCALE,
                                      .type = CUDNN_DATA_FLOAT,
                                      .size = {1, 1, 1, 1},
                                      .stride = {1, 1, 1, 1},
                                      .by_value = 1};

    const cudnnBackendDescriptor_t op =
        rf_cudnn_part(g, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC,
                      rows(g, Q, a, a->sq, a->q_stride));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC,
                      rows(g, K, a, a->skv, a->kv_stride));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC,
                      rows(g, V, a, a->skv, a->kv_stride));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC,
                      rows(g, O, a, a->sq, a->o_stride));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC,
                      rf_cudnn_add_tensor(g, &scale));
    rf_cudnn_operation(g, op);
}

static rf_cudnn_problem problem_of(const rf_attention_args *a)
{
    return (rf_cudnn_problem){
        .wanted = rf_attention_choice_key(a),
        .key = {RF_CHOICE_ATTENTION, (int)a->dtype, a->n, a->sq, a->skv, a->heads, a->d,
                a->q_stride, a->kv_stride, a->o_stride},
        .build = build,
        .args = a,
    };
}

rf_status rf_attention_list_vendor(void *stream, const rf_attention_args *a, rf_choice *out,
                                   int most, int *count)
{
    const rf_gpu          *gpu = stream;
    const rf_cudnn_problem p = problem_of(a);
    *count = 0;
    const rf_status st = check(gpu->vendor, a);
    return st == RF_OK ? rf_cudnn_list(gpu->vendor, &p, out, most, count) : st;
}

rf_status rf_attention_prepare_vendor(void *stream, const rf_attention_args *a,
                                      size_t *workspace_bytes)
{
    const rf_gpu          *gpu = stream;
    const rf_cudnn_problem p = problem_of(a);
    const rf_cudnn_plan   *plan = NULL;
    *workspace_bytes = 0;
    rf_status st = check(gpu->vendor, a);
    if (st == RF_OK) st = rf_cudnn_prepare(gpu, &p, &plan);
    if (st == RF_OK) *workspace_bytes = plan->workspace_bytes;
    return st;
}

rf_status rf_attention_vendor(void *stream, const rf_attention_args *a)
{
    static const int64_t   id[] = {Q, K, V, O, SCALE};
    const rf_gpu          *gpu = stream;
    const rf_cudnn_problem p = problem_of(a);
    float                  scale = a->scale;
    void *const data[] = {(void *)(uintptr_t)a->q, (void *)(uintptr_t)a->k, (void *)(uintptr_t)a->v,
                          a->o, &scale};
    const rf_status st = check(gpu->vendor, a);
    return st == RF_OK ? rf_cudnn_run(gpu, &p, 5, id, data, a->workspace) : st;
}
