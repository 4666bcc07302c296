/* cuDNN's graphs, as the vendor level's conv and attention use them: a graph of operations, the
 * engines that can run it, and plans with an engine pinned by its index and knobs.
 *
 * A graph is built like a list of sentences whose first fault sticks, so that builders need no
 * branches; listing and planning report it.  Plans are made by prepare and found again by the call:
 * making one may compile kernels.
 *
 * A choice row's numbers: the engine's global index, then a knob's type and its value for each knob
 * that was set. */
#ifndef RF_DEVICE_CUDNN_H
#define RF_DEVICE_CUDNN_H

#include <cudnn.h>

#include "kernels/device/vendor_state.h"

#define RF_CUDNN_CALLS(X)                                                                          \
    X(cudnnCreate)                                                                                 \
    X(cudnnDestroy)                                                                                \
    X(cudnnSetStream)                                                                              \
    X(cudnnGetVersion)                                                                             \
    X(cudnnGetErrorString)                                                                         \
    X(cudnnBackendCreateDescriptor)                                                                \
    X(cudnnBackendDestroyDescriptor)                                                               \
    X(cudnnBackendSetAttribute)                                                                    \
    X(cudnnBackendGetAttribute)                                                                    \
    X(cudnnBackendFinalize)                                                                        \
    X(cudnnBackendExecute)

#define RF_CUDNN_DECLARE(name) __typeof__(name) *name;
typedef struct rf_cudnn {
    void                    *library;
    cudnnHandle_t            handle;
    cudnnBackendDescriptor_t gpu; /* properties of a GPU that need not be here; NULL: of handle's */
    struct rf_cudnn_plan    *plans;
    RF_CUDNN_CALLS(RF_CUDNN_DECLARE)
} rf_cudnn;
#undef RF_CUDNN_DECLARE

/* ---- building ----------------------------------------------------------------------------- */

enum { RF_CUDNN_PARTS = 64, RF_CUDNN_OPERATIONS = 12, RF_CUDNN_KEY = 24 };

typedef struct rf_cudnn_graph {
    rf_cudnn                *dnn;
    cudnnStatus_t            status; /* of the first call that failed ... */
    const char              *what;   /* ... and what it was about; NULL: all is well */
    cudnnBackendDescriptor_t part[RF_CUDNN_PARTS];
    int                      parts;
    cudnnBackendDescriptor_t operation[RF_CUDNN_OPERATIONS];
    int                      operations;
} rf_cudnn_graph;

void rf_cudnn_graph_free(rf_cudnn_graph *g); /* {0} is fine */

/* A part of the graph, which owns it.  NULL after a fault. */
cudnnBackendDescriptor_t rf_cudnn_part(rf_cudnn_graph *g, cudnnBackendDescriptorType_t type);

void rf_cudnn_set(rf_cudnn_graph *g, cudnnBackendDescriptor_t part,
                  cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                  int64_t count, const void *values);
void rf_cudnn_set_part(rf_cudnn_graph *g, cudnnBackendDescriptor_t part,
                       cudnnBackendAttributeName_t attribute, cudnnBackendDescriptor_t value);
void rf_cudnn_finish(rf_cudnn_graph *g, cudnnBackendDescriptor_t part);

/* Finishes an operation and appends it. */
void rf_cudnn_operation(rf_cudnn_graph *g, cudnnBackendDescriptor_t operation);

/* Tensors have four dimensions; between operations of a graph they exist in name only. */
typedef struct rf_cudnn_tensor {
    int64_t         id; /* of rf_cudnn_run */
    cudnnDataType_t type;
    int64_t         size[4], stride[4];
    int             between;  /* operations: it has no memory */
    int             by_value; /* its one number comes with the call, from the host */
} rf_cudnn_tensor;

cudnnBackendDescriptor_t rf_cudnn_add_tensor(rf_cudnn_graph *g, const rf_cudnn_tensor *t);

/* y = x (mode) b, in f32; for modes of one input `b` is NULL. */
void rf_cudnn_pointwise(rf_cudnn_graph *g, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t y,
                        cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b);

cudnnDataType_t rf_cudnn_type(rf_dtype dtype);

/* ---- running ------------------------------------------------------------------------------ */

/* A call of an op: the row of the choice table it asks for, what its plan depends on, and what
 * builds its graph from `args`. */
typedef struct rf_cudnn_problem {
    rf_choice_key wanted;
    int           key[RF_CUDNN_KEY];
    void (*build)(rf_cudnn_graph *g, const void *args);
    const void *args;
} rf_cudnn_problem;

typedef struct rf_cudnn_plan {
    int                      key[RF_CUDNN_KEY];
    int                      count; /* of the row's numbers */
    int32_t                  number[RF_CHOICE_NUMBERS];
    rf_cudnn_graph           graph; /* and everything that the plan was made of */
    cudnnBackendDescriptor_t plan;
    size_t                   workspace_bytes;
    struct rf_cudnn_plan    *next;
} rf_cudnn_plan;

/* RF_E_UNSUPPORTED: cuDNN is not open. */
rf_status rf_cudnn_ready(rf_vendor *vendor, const char *op);

/* The plan with the engine that the choice table pins, made now if it was not before.
 * RF_E_UNSUPPORTED if no row pins one, or the engine cannot run it. */
rf_status rf_cudnn_prepare(const rf_gpu *gpu, const rf_cudnn_problem *p, const rf_cudnn_plan **out);

/* Rows for the engines that cuDNN proposes. */
rf_status rf_cudnn_list(rf_vendor *vendor, const rf_cudnn_problem *p, rf_choice *out, int most,
                        int *count);

/* Queues the plan that was prepared: tensor id[i] lies at data[i]. */
rf_status rf_cudnn_run(const rf_gpu *gpu, const rf_cudnn_problem *p, int count, const int64_t *id,
                       void *const *data, void *workspace);

#endif
