/* See fake_cudnn.h. */
#include "tests/vendor/fake_cudnn.h"

#include <stdlib.h>
#include <string.h>

extern fake_dnn_record  fake_dnn;
extern fake_dnn_read_fn fake_dnn_read;
extern fake_dnn_type_fn fake_dnn_type;
fake_dnn_record         fake_dnn;

enum { ATTRIBUTES = 20, VALUE_BYTES = 8 * FAKE_DNN_VALUES };

typedef struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t                     count;
    unsigned char               value[VALUE_BYTES];
} attribute;

typedef struct descriptor {
    cudnnBackendDescriptorType_t type;
    int                          finished, proposal; /* proposal: of engines and what leads there */
    int                          used;
    attribute                    attribute[ATTRIBUTES];
} descriptor;

static const struct {
    int64_t                     engine;
    cudnnBackendNumericalNote_t note;
    int64_t                     knobs;
    int                         type[2];
    int64_t                     value[2];
} proposals[] = {
    {3, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, 0, {0}, {0}},
    {62, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, 2, {2, 14}, {3, 2}},
    {40, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, 1, {CUDNN_KNOB_TYPE_SPLIT_K_BUF}, {4}},
    {7, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, 1, {CUDNN_KNOB_TYPE_KERNEL_CFG}, {21}},
    {9, CUDNN_NUMERICAL_NOTE_WINOGRAD, 0, {0}, {0}},
};
enum { PROPOSALS = sizeof proposals / sizeof *proposals };

#define COUNT()                                                                                    \
    do {                                                                                           \
        if (++fake_dnn.calls == fake_dnn.fail_at) return CUDNN_STATUS_INTERNAL_ERROR;              \
    } while (0)

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    COUNT();
    fake_dnn.handles++;
    *handle = (cudnnHandle_t)(void *)&fake_dnn;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    (void)handle;
    fake_dnn.handles--;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    (void)handle;
    COUNT();
    fake_dnn.stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion(void)
{
    return FAKE_DNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_INTERNAL_ERROR ? "CUDNN_STATUS_INTERNAL_ERROR"
                                                 : "CUDNN_STATUS_BAD_PARAM";
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t    *out)
{
    COUNT();
    descriptor *d = calloc(1, sizeof *d);
    if (!d) return CUDNN_STATUS_INTERNAL_ERROR;
    d->type = type;
    fake_dnn.descriptors++;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d)
{
    fake_dnn.descriptors--;
    free(d);
    return CUDNN_STATUS_SUCCESS;
}

static size_t value_bytes(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
    default: return 4;
    }
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t    to,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values)
{
    descriptor  *d = to;
    const size_t bytes = (size_t)count * value_bytes(type);
    COUNT();
    if (!d || d->finished || d->used == ATTRIBUTES || bytes > VALUE_BYTES || !values)
        return CUDNN_STATUS_BAD_PARAM;
    attribute *a = &d->attribute[d->used++];
    *a = (attribute){.name = name, .type = type, .count = count};
    memcpy(a->value, values, bytes);
    for (int64_t i = 0; type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < count; i++) {
        descriptor *named;
        memcpy(&named, a->value + 8 * i, 8);
        if (!named || !named->finished) return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t of)
{
    descriptor *d = of;
    COUNT();
    if (!d || d->finished || !d->used) return CUDNN_STATUS_BAD_PARAM;
    d->finished = 1;
    return CUDNN_STATUS_SUCCESS;
}

int64_t fake_dnn_read(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name, int64_t most,
                      void *values)
{
    const descriptor *d = of;
    for (int i = 0; i < d->used; i++) {
        const attribute *a = &d->attribute[i];
        if (a->name != name) continue;
        const int64_t count = a->count < most ? a->count : most;
        memcpy(values, a->value, (size_t)count * value_bytes(a->type));
        return a->count;
    }
    return 0;
}

cudnnBackendDescriptorType_t fake_dnn_type(cudnnBackendDescriptor_t of)
{
    return ((const descriptor *)of)->type;
}

/* Writes into descriptors that the caller made, as cuDNN does. */
static int64_t give(const descriptor *from, cudnnBackendAttributeName_t name, int64_t most,
                    descriptor **to)
{
    int64_t count = 1;
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) count = PROPOSALS;
    if (name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES) count = proposals[from->proposal].knobs;
    for (int64_t i = 0; i < count && i < most; i++) {
        to[i]->finished = 1;
        to[i]->proposal =
            name == CUDNN_ATTR_ENGINEHEUR_RESULTS ? (int)i : from->proposal * 2 + (int)i;
        if (name == CUDNN_ATTR_ENGINECFG_ENGINE) to[i]->proposal = from->proposal;
    }
    return count;
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t of,
                                       cudnnBackendAttributeName_t    name,
                                       cudnnBackendAttributeType_t type, int64_t most,
                                       int64_t *count, void *values)
{
    const descriptor *d = of;
    const int64_t     workspace = FAKE_DNN_WORKSPACE;
    COUNT();
    if (!d->finished) return CUDNN_STATUS_BAD_PARAM;
    *count = 1;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
    case CUDNN_ATTR_ENGINECFG_ENGINE:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
        if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) return CUDNN_STATUS_BAD_PARAM;
        *count = give(d, name, most, values);
        break;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        memcpy(values, &proposals[d->proposal].engine, sizeof(int64_t));
        break;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        memcpy(values, &proposals[d->proposal].note, sizeof proposals->note);
        break;
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE:
        memcpy(values, &proposals[d->proposal / 2].type[d->proposal % 2], sizeof(int));
        break;
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE:
        memcpy(values, &proposals[d->proposal / 2].value[d->proposal % 2], sizeof(int64_t));
        break;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        memcpy(values, &workspace, sizeof workspace);
        break;
    default: return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    (void)handle;
    COUNT();
    if (!((descriptor *)plan)->finished || !((descriptor *)pack)->finished)
        return CUDNN_STATUS_BAD_PARAM;
    fake_dnn.plan = plan;
    fake_dnn.ids =
        fake_dnn_read(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, FAKE_DNN_VALUES, fake_dnn.id);
    fake_dnn_read(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, FAKE_DNN_VALUES, fake_dnn.data);
    fake_dnn.runs++;
    return CUDNN_STATUS_SUCCESS;
}
