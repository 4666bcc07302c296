/* conv by cuDNN: y = conv(x) + bias + residual, channels last, f32 accumulation, one graph.
 *
 * Its weights are the sm80 level's, packed by that level's functions: [cout][3][3][cin], which is
 * cuDNN's own order for channels-last filters where cin is a multiple of 8; where it is not, that
 * level fills up with zeros and this one says RF_E_UNSUPPORTED.  So it does for what cuDNN has no
 * node for: a second source, enlarging, and a time embedding that is looked up per sample.
 *
 * Tensors are [n, c, h, w] to cuDNN, their strides say that channels come last. */
#include "kernels/conv/conv.h"

#include "kernels/choice/choice_keys.h"
#include "kernels/device/cudnn.h"

enum { X = 1, WEIGHTS, BIAS, RESIDUAL, Y, SUMS, BIASED };

static rf_status check(rf_vendor *vendor, const rf_conv_args *a)
{
    const int64_t   most_side = 1 << 15, most = 1 << 30;
    const rf_status ready = rf_cudnn_ready(vendor, "conv");
    if (ready != RF_OK) return ready;
    if (rf_conv_check(a) != RF_OK || a->h > most_side || a->w > most_side || a->cin > most_side ||
        a->cout > most_side || (int64_t)a->n * a->h * a->w > most)
        return RF_E_SHAPE;
    if (a->dtype != a->wdtype || a->dtype == RF_F32) return RF_E_SHAPE;
    const char *lacks = a->cin1                     ? "no second source"
                        : a->temb                   ? "no time embedding per sample"
                        : a->relu                   ? "no ReLU"
                        : a->kind == RF_CONV_UP2    ? "no enlargement"
                        : a->cin % 8 || a->cout % 8 ? "no channels that are not a multiple of 8"
                                                    : NULL;
    if (!lacks) return RF_OK;
    return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                          "conv: cuDNN has %s here, and no other level takes its place", lacks);
}

/* Channels last: c next to each other, then w, h, n. */
static rf_cudnn_tensor map(int64_t id, cudnnDataType_t type, int64_t n, int64_t c, int64_t h,
                           int64_t w)
{
    return (rf_cudnn_tensor){
        .id = id, .type = type, .size = {n, c, h, w}, .stride = {h * w * c, 1, w * c, c}};
}

static cudnnBackendDescriptor_t convolution(rf_cudnn_graph *g, rf_conv_kind kind)
{
    const int64_t         dims = 2, one[2] = {1, 1};
    const int64_t         stride[2] = {kind == RF_CONV_SAME ? 1 : 2, kind == RF_CONV_SAME ? 1 : 2};
    const int64_t         before[2] = {kind != RF_CONV_DOWN_RB, kind != RF_CONV_DOWN_RB};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t   mode = CUDNN_CROSS_CORRELATION;
    const cudnnBackendDescriptor_t d = rf_cudnn_part(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, one);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one);
    rf_cudnn_set(g, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    rf_cudnn_finish(g, d);
    return d;
}

/* Sums stay f32 until the last thing is added. */
static void build(rf_cudnn_graph *g, const void *args)
{
    const rf_conv_args   *a = args;
    const cudnnDataType_t type = rf_cudnn_type(a->dtype), wide = CUDNN_DATA_FLOAT;
    const int             ho = rf_conv_out(a->kind, a->h), wo = rf_conv_out(a->kind, a->w);
    const double          one = 1, zero = 0;
    rf_cudnn_tensor       x = map(X, type, a->n, a->cin, a->h, a->w);
    rf_cudnn_tensor       weights = map(WEIGHTS, type, a->cout, a->cin, 3, 3);
    rf_cudnn_tensor       bias = map(BIAS, wide, 1, a->cout, 1, 1);
    rf_cudnn_tensor       residual = map(RESIDUAL, type, a->n, a->cout, ho, wo);
    rf_cudnn_tensor       y = map(Y, type, a->n, a->cout, ho, wo);
    rf_cudnn_tensor       sums = map(SUMS, wide, a->n, a->cout, ho, wo), biased = sums;
    sums.between = biased.between = 1;
    biased.id = BIASED;

    const cudnnBackendDescriptor_t out = rf_cudnn_add_tensor(g, &y);
    const cudnnBackendDescriptor_t summed =
        a->bias || a->residual ? rf_cudnn_add_tensor(g, &sums) : out;
    const cudnnBackendDescriptor_t how = convolution(g, a->kind);
    const cudnnBackendDescriptor_t op =
        rf_cudnn_part(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      rf_cudnn_add_tensor(g, &x));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      rf_cudnn_add_tensor(g, &weights));
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, summed);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
    rf_cudnn_set(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_DOUBLE, 1, &one);
    rf_cudnn_set(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_DOUBLE, 1, &zero);
    rf_cudnn_operation(g, op);
    const cudnnBackendDescriptor_t added =
        a->bias && a->residual ? rf_cudnn_add_tensor(g, &biased) : out;
    if (a->bias)
        rf_cudnn_pointwise(g, CUDNN_POINTWISE_ADD, added, summed, rf_cudnn_add_tensor(g, &bias));
    if (a->residual)
        rf_cudnn_pointwise(g, CUDNN_POINTWISE_ADD, out, a->bias ? added : summed,
                           rf_cudnn_add_tensor(g, &residual));
}

static rf_cudnn_problem problem_of(const rf_conv_args *a)
{
    return (rf_cudnn_problem){
        .wanted = rf_conv_choice_key(a),
        .key = {RF_CHOICE_CONV, (int)a->dtype, (int)a->kind, a->n, a->h, a->w, a->cin, a->cout,
                a->bias != NULL, a->residual != NULL},
        .build = build,
        .args = a,
    };
}

rf_status rf_conv_list_vendor(void *stream, const rf_conv_args *a, rf_choice *out, int most,
                              int *count)
{
    const rf_gpu          *gpu = stream;
    const rf_cudnn_problem p = problem_of(a);
    *count = 0;
    const rf_status st = check(gpu->vendor, a);
    return st == RF_OK ? rf_cudnn_list(gpu->vendor, &p, out, most, count) : st;
}

rf_status rf_conv_prepare_vendor(void *stream, const rf_conv_args *a, size_t *workspace_bytes)
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

rf_status rf_conv_vendor(void *stream, const rf_conv_args *a)
{
    const rf_gpu          *gpu = stream;
    const rf_cudnn_problem p = problem_of(a);
    int64_t                id[5] = {X, WEIGHTS, Y};
    void                  *data[5] = {(void *)(uintptr_t)a->x, (void *)(uintptr_t)a->wt, a->y};
    int                    count = 3;
    const rf_status        st = check(gpu->vendor, a);
    if (st != RF_OK) return st;
    if (a->bias) {
        id[count] = BIAS;
        data[count++] = (void *)(uintptr_t)a->bias;
    }
    if (a->residual) {
        id[count] = RESIDUAL;
        data[count++] = (void *)(uintptr_t)a->residual;
    }
    return rf_cudnn_run(gpu, &p, count, id, data, a->workspace);
}

rf_status rf_conv_pack_bytes_vendor(void *stream, const rf_conv_weight_shape *s, size_t *bytes)
{
    return rf_conv_pack_bytes_sm80(stream, s, bytes);
}

rf_status rf_conv_pack_vendor(void *stream, const rf_conv_weight_shape *s, void *dst,
                              const void *src)
{
    return rf_conv_pack_sm80(stream, s, dst, src);
}
