/* Opening cuDNN, and building its graphs; cudnn_plan.c lists engines and runs plans. */
#include "kernels/device/cudnn.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOL(name) {#name, offsetof(rf_cudnn, name)},
static const rf_symbol symbols[] = {RF_CUDNN_CALLS(SYMBOL)};
#undef SYMBOL

static void close_dnn(void *library)
{
    rf_cudnn *d = library;
    while (d->plans) {
        rf_cudnn_plan *plan = d->plans;
        d->plans = plan->next;
        rf_cudnn_graph_free(&plan->graph);
        free(plan);
    }
    if (d->gpu) d->cudnnBackendDestroyDescriptor(d->gpu);
    if (d->handle) d->cudnnDestroy(d->handle);
    rf_library_close(d->library);
    free(d);
}

static rf_status start_here(rf_cudnn *d, rf_error *err)
{
    const cudnnStatus_t code = d->cudnnCreate(&d->handle);
    if (code == CUDNN_STATUS_SUCCESS) return RF_OK;
    d->handle = NULL;
    return rf_fail(err, RF_E_DEVICE, "cuDNN does not start on this GPU: %s",
                   d->cudnnGetErrorString(code));
}

/* For a GPU that is described and not used: plans can be made and not run. */
static rf_status start_described(rf_cudnn *d, const char *gpu_json, rf_error *err)
{
    cudnnStatus_t code =
        d->cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d->gpu);
    if (code == CUDNN_STATUS_SUCCESS)
        code =
            d->cudnnBackendSetAttribute(d->gpu, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                        CUDNN_TYPE_CHAR, (int64_t)strlen(gpu_json) + 1, gpu_json);
    if (code == CUDNN_STATUS_SUCCESS) code = d->cudnnBackendFinalize(d->gpu);
    if (code == CUDNN_STATUS_SUCCESS) return RF_OK;
    return rf_fail(err, RF_E_UNSUPPORTED, "cuDNN does not plan for this description of a GPU: %s",
                   d->cudnnGetErrorString(code));
}

rf_status rf_vendor_open_cudnn_for(rf_vendor *vendor, const char *file, const char *gpu_json,
                                   rf_error *err)
{
    static const char *const usual[] = {"libcudnn.so.9", NULL};
    rf_cudnn                *d = calloc(1, sizeof *d);
    rf_status                st = RF_OK;
    if (!d) return rf_fail(err, RF_E_NOMEM, "vendor: out of memory");
    RF_TRY(rf_library_open(&d->library, file, usual, symbols, sizeof symbols / sizeof *symbols, d,
                           err));
    RF_TRY(gpu_json ? start_described(d, gpu_json, err) : start_here(d, err));
    if (vendor->cudnn) vendor->close_cudnn(vendor->cudnn);
    vendor->cudnn = d;
    vendor->cudnn_version = d->cudnnGetVersion();
    vendor->close_cudnn = close_dnn;
    d = NULL;
done:
    if (d) close_dnn(d);
    return st;
}

rf_status rf_vendor_open_cudnn(rf_vendor *vendor, const char *file, rf_error *err)
{
    return rf_vendor_open_cudnn_for(vendor, file, NULL, err);
}

rf_status rf_cudnn_ready(rf_vendor *vendor, const char *op)
{
    if (vendor && vendor->cudnn) return RF_OK;
    return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "%s: cuDNN is not open", op);
}

/* ---- building ----------------------------------------------------------------------------- */

static int well(const rf_cudnn_graph *g)
{
    return !g->what;
}

static void note(rf_cudnn_graph *g, cudnnStatus_t status, const char *what)
{
    if (!well(g) || status == CUDNN_STATUS_SUCCESS) return;
    g->status = status;
    g->what = what;
}

void rf_cudnn_graph_free(rf_cudnn_graph *g)
{
    while (g->parts) g->dnn->cudnnBackendDestroyDescriptor(g->part[--g->parts]);
    *g = (rf_cudnn_graph){.dnn = g->dnn};
}

cudnnBackendDescriptor_t rf_cudnn_part(rf_cudnn_graph *g, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t part = NULL;
    if (g->parts == RF_CUDNN_PARTS)
        note(g, CUDNN_STATUS_INTERNAL_ERROR, "a graph of so many parts");
    if (!well(g)) return NULL;
    note(g, g->dnn->cudnnBackendCreateDescriptor(type, &part), "making a descriptor");
    if (well(g)) g->part[g->parts++] = part;
    return well(g) ? part : NULL;
}

void rf_cudnn_set(rf_cudnn_graph *g, cudnnBackendDescriptor_t part,
                  cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                  int64_t count, const void *values)
{
    if (!well(g)) return;
    note(g, g->dnn->cudnnBackendSetAttribute(part, attribute, type, count, values),
         "setting an attribute");
}

void rf_cudnn_set_part(rf_cudnn_graph *g, cudnnBackendDescriptor_t part,
                       cudnnBackendAttributeName_t attribute, cudnnBackendDescriptor_t value)
{
    rf_cudnn_set(g, part, attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void rf_cudnn_finish(rf_cudnn_graph *g, cudnnBackendDescriptor_t part)
{
    if (well(g)) note(g, g->dnn->cudnnBackendFinalize(part), "finishing a descriptor");
}

void rf_cudnn_operation(rf_cudnn_graph *g, cudnnBackendDescriptor_t operation)
{
    rf_cudnn_finish(g, operation);
    if (g->operations == RF_CUDNN_OPERATIONS)
        note(g, CUDNN_STATUS_INTERNAL_ERROR, "a graph of so many operations");
    if (well(g)) g->operation[g->operations++] = operation;
}

cudnnBackendDescriptor_t rf_cudnn_add_tensor(rf_cudnn_graph *g, const rf_cudnn_tensor *t)
{
    const int64_t                  alignment = 16;
    const bool                     yes = true;
    const cudnnBackendDescriptor_t d = rf_cudnn_part(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &t->type);
    rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, t->size);
    rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, t->stride);
    rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->id);
    rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (t->between) rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    if (t->by_value) rf_cudnn_set(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
    rf_cudnn_finish(g, d);
    return d;
}

void rf_cudnn_pointwise(rf_cudnn_graph *g, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t y,
                        cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b)
{
    const cudnnDataType_t          precision = CUDNN_DATA_FLOAT;
    const cudnnBackendDescriptor_t how = rf_cudnn_part(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    rf_cudnn_set(g, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    rf_cudnn_set(g, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
    rf_cudnn_finish(g, how);
    const cudnnBackendDescriptor_t op =
        rf_cudnn_part(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    rf_cudnn_set_part(g, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    rf_cudnn_operation(g, op);
}

cudnnDataType_t rf_cudnn_type(rf_dtype dtype)
{
    return dtype == RF_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}
