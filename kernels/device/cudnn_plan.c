/* Engines of cuDNN for a graph, plans with one pinned, and running them. */
#include <stdlib.h>
#include <string.h>

#include "kernels/device/cudnn.h"

/* The first fault of a graph as an op's. */
static rf_status fault(rf_vendor *vendor, const rf_cudnn_graph *g, const char *stage)
{
    const rf_cudnn *d = vendor->cudnn;
    if (!g->what) return RF_OK;
    return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "cuDNN refuses the graph while %s (%s): %s",
                          stage, g->what, d->cudnnGetErrorString(g->status));
}

static cudnnBackendDescriptor_t whole(rf_cudnn_graph *g)
{
    const cudnnBackendDescriptor_t d = rf_cudnn_part(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (g->dnn->handle)
        rf_cudnn_set(g, d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->dnn->handle);
    rf_cudnn_set(g, d, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operations,
                 g->operation);
    rf_cudnn_finish(g, d);
    return d;
}

/* ---- plans -------------------------------------------------------------------------------- */

/* Knobs that take k apart, whatever cuDNN says of the engine. */
static int splits(int knob)
{
    switch (knob) {
    case 0: /* CUDNN_KNOB_TYPE_SPLIT_K, which CUDA 13 calls deprecated */
    case CUDNN_KNOB_TYPE_SPLIT_K_BUF:
    case CUDNN_KNOB_TYPE_SPLIT_K_SLC:
    case CUDNN_KNOB_TYPE_STREAM_K: return 1;
    default: return 0;
    }
}

static int in_order(const rf_choice *row)
{
    if (row->count % 2 == 0) return 0;
    for (int i = 1; i < row->count; i += 2)
        if (splits(row->number[i]) && row->number[i + 1] > 1) return 0;
    return 1;
}

static cudnnBackendDescriptor_t knob(rf_cudnn_graph *g, int type, int64_t value)
{
    const cudnnBackendKnobType_t   kind = (cudnnBackendKnobType_t)type;
    const cudnnBackendDescriptor_t d = rf_cudnn_part(g, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    rf_cudnn_set(g, d, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &kind);
    rf_cudnn_set(g, d, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
    rf_cudnn_finish(g, d);
    return d;
}

static cudnnBackendDescriptor_t configured(rf_cudnn_graph *g, const rf_choice *row)
{
    const int64_t            index = row->number[0];
    cudnnBackendDescriptor_t knobs[RF_CHOICE_NUMBERS / 2];
    int64_t                  count = 0;
    for (int i = 1; i + 1 < row->count; i += 2)
        knobs[count++] = knob(g, row->number[i], row->number[i + 1]);
    const cudnnBackendDescriptor_t graph = whole(g);
    const cudnnBackendDescriptor_t engine = rf_cudnn_part(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    rf_cudnn_set_part(g, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    rf_cudnn_set(g, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    if (g->dnn->gpu) rf_cudnn_set_part(g, engine, CUDNN_ATTR_ENGINE_DEVICEPROP, g->dnn->gpu);
    rf_cudnn_finish(g, engine);
    const cudnnBackendDescriptor_t config = rf_cudnn_part(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    rf_cudnn_set_part(g, config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (count)
        rf_cudnn_set(g, config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                     count, knobs);
    rf_cudnn_finish(g, config);
    return config;
}

static rf_cudnn_plan *find(const rf_cudnn *d, const rf_cudnn_problem *p, const rf_choice *row)
{
    rf_cudnn_plan *plan = d->plans;
    while (plan && (memcmp(plan->key, p->key, sizeof plan->key) != 0 || plan->count != row->count ||
                    memcmp(plan->number, row->number, sizeof plan->number) != 0))
        plan = plan->next;
    return plan;
}

/* Fills a plan whose graph has been built. */
static rf_status finish_plan(rf_vendor *vendor, rf_cudnn_plan *plan, const rf_choice *row)
{
    const rf_cudnn *d = vendor->cudnn;
    rf_cudnn_graph *g = &plan->graph;
    int64_t         bytes = 0, got = 0;

    const cudnnBackendDescriptor_t config = configured(g, row);
    plan->plan = rf_cudnn_part(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    rf_cudnn_set_part(g, plan->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (d->gpu) rf_cudnn_set_part(g, plan->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, d->gpu);
    rf_cudnn_finish(g, plan->plan);
    const rf_status st = fault(vendor, g, "planning");
    if (st != RF_OK) return st;
    if (d->cudnnBackendGetAttribute(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                    CUDNN_TYPE_INT64, 1, &got, &bytes) != CUDNN_STATUS_SUCCESS ||
        got != 1 || bytes < 0)
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED, "cuDNN does not say a plan's workspace");
    plan->workspace_bytes = (size_t)bytes;
    return RF_OK;
}

static rf_status make(rf_vendor *vendor, const rf_cudnn_problem *p, const rf_choice *row,
                      const rf_cudnn_plan **out)
{
    rf_cudnn *d = vendor->cudnn;
    if (!in_order(row))
        return rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                              "%s: its row is no engine that leaves sums whole",
                              rf_choice_op_name(row->key.op));
    rf_cudnn_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return rf_vendor_fail(vendor, RF_E_NOMEM, "vendor: out of memory");
    memcpy(plan->key, p->key, sizeof plan->key);
    memcpy(plan->number, row->number, sizeof plan->number);
    plan->count = row->count;
    plan->graph.dnn = d;
    p->build(&plan->graph, p->args);
    const rf_status st = finish_plan(vendor, plan, row);
    if (st != RF_OK) {
        rf_cudnn_graph_free(&plan->graph);
        free(plan);
        return st;
    }
    plan->next = d->plans;
    *out = d->plans = plan;
    return RF_OK;
}

rf_status rf_cudnn_prepare(const rf_gpu *gpu, const rf_cudnn_problem *p, const rf_cudnn_plan **out)
{
    const rf_choice *row;
    const rf_status  st = rf_vendor_row(gpu, &p->wanted, &row);
    if (st != RF_OK) return st;
    *out = find(gpu->vendor->cudnn, p, row);
    return *out ? RF_OK : make(gpu->vendor, p, row, out);
}

rf_status rf_cudnn_run(const rf_gpu *gpu, const rf_cudnn_problem *p, int count, const int64_t *id,
                       void *const *data, void *workspace)
{
    rf_cudnn        *d = gpu->vendor->cudnn;
    rf_cudnn_graph   g = {.dnn = d};
    const rf_choice *row;
    rf_status        st = rf_vendor_row(gpu, &p->wanted, &row);
    if (st != RF_OK) return st;
    const rf_cudnn_plan *plan = find(d, p, row);
    if (!plan || !d->handle)
        return rf_vendor_fail(gpu->vendor, RF_E_UNSUPPORTED, "%s: %s",
                              rf_choice_op_name(p->wanted.op),
                              plan ? "cuDNN was opened to plan only" : "it was not prepared");
    const cudnnBackendDescriptor_t pack = rf_cudnn_part(&g, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    rf_cudnn_set(&g, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, id);
    rf_cudnn_set(&g, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data);
    rf_cudnn_set(&g, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    rf_cudnn_finish(&g, pack);
    RF_TRY(fault(gpu->vendor, &g, "launching"));
    cudnnStatus_t code = d->cudnnSetStream(d->handle, gpu->stream);
    if (code == CUDNN_STATUS_SUCCESS) code = d->cudnnBackendExecute(d->handle, plan->plan, pack);
    if (code != CUDNN_STATUS_SUCCESS)
        st = rf_vendor_fail(gpu->vendor, RF_E_UNSUPPORTED, "cuDNN does not run a plan: %s",
                            d->cudnnGetErrorString(code));
done:
    rf_cudnn_graph_free(&g);
    return st;
}

/* ---- engines that can do it --------------------------------------------------------------- */

enum { PROPOSALS = 48 };

/* What makes bytes depend on more than the inputs, or sums less than f32. */
static int trusted(rf_cudnn_graph *g, cudnnBackendDescriptor_t engine)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t                     count = 0;
    if (g->dnn->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                         CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                         &count, notes) != CUDNN_STATUS_SUCCESS)
        return 0;
    for (int64_t i = 0; i < count; i++)
        if (notes[i] != CUDNN_NUMERICAL_NOTE_TENSOR_CORE &&
            notes[i] != CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP)
            return 0;
    return 1;
}

static int read_one(rf_cudnn_graph *g, cudnnBackendDescriptor_t part,
                    cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type,
                    void *value)
{
    int64_t got = 0;
    return g->dnn->cudnnBackendGetAttribute(part, attribute, type, 1, &got, value) ==
               CUDNN_STATUS_SUCCESS &&
           got == 1;
}

/* A configuration as a choice row's numbers; 0 if it does not fit or is not to be trusted. */
static int read_config(rf_cudnn_graph *g, cudnnBackendDescriptor_t config, rf_choice *row)
{
    enum { KNOBS = RF_CHOICE_NUMBERS / 2 };
    cudnnBackendDescriptor_t engine = rf_cudnn_part(g, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t knobs[KNOBS];
    int64_t                  index = -1, count = 0;
    if (!engine ||
        !read_one(g, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &engine) ||
        !read_one(g, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &index) ||
        index < 0 || index > INT32_MAX || !trusted(g, engine))
        return 0;
    row->number[row->count++] = (int32_t)index;
    for (int i = 0; i < KNOBS; i++)
        knobs[i] = rf_cudnn_part(g, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (g->what ||
        g->dnn->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS, &count,
                                         knobs) != CUDNN_STATUS_SUCCESS ||
        count < 0 || count >= KNOBS)
        return 0;
    for (int64_t i = 0; i < count; i++) {
        cudnnBackendKnobType_t type;
        int64_t                value;
        if (!read_one(g, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &type) ||
            !read_one(g, knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value) ||
            value < 0 || value > INT32_MAX)
            return 0;
        row->number[row->count++] = (int32_t)type;
        row->number[row->count++] = (int32_t)value;
    }
    return in_order(row);
}

/* Asks cuDNN for configurations; `scratch` owns them.  0: it knows none. */
static int64_t propose(rf_cudnn_graph *g, cudnnBackendDescriptor_t configs[PROPOSALS])
{
    const cudnnBackendHeurMode_t   mode = CUDNN_HEUR_MODE_A;
    const cudnnBackendDescriptor_t graph = whole(g);
    const cudnnBackendDescriptor_t heuristic =
        rf_cudnn_part(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t count = 0;
    rf_cudnn_set_part(g, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    rf_cudnn_set(g, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (g->dnn->gpu) rf_cudnn_set_part(g, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, g->dnn->gpu);
    rf_cudnn_finish(g, heuristic);
    if (g->what) return 0;
    int made = 0;
    while (made < PROPOSALS &&
           g->dnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                                &configs[made]) == CUDNN_STATUS_SUCCESS)
        made++;
    if (made < PROPOSALS) configs[made] = NULL;
    if (made && g->dnn->cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &count,
                                                 configs) != CUDNN_STATUS_SUCCESS)
        count = 0;
    return count < made ? count : made;
}

rf_status rf_cudnn_list(rf_vendor *vendor, const rf_cudnn_problem *p, rf_choice *out, int most,
                        int *count)
{
    cudnnBackendDescriptor_t configs[PROPOSALS] = {NULL};
    rf_cudnn_graph           g = {.dnn = vendor->cudnn};
    p->build(&g, p->args);
    const int64_t proposed = propose(&g, configs);
    rf_status     st = fault(vendor, &g, "listing engines");
    *count = 0;
    for (int64_t i = 0; i < proposed && *count < most && st == RF_OK; i++) {
        rf_cudnn_graph parts = {.dnn = g.dnn};
        out[*count] = (rf_choice){.key = p->wanted, .level = RF_LEVEL_VENDOR};
        *count += read_config(&parts, configs[i], &out[*count]);
        rf_cudnn_graph_free(&parts);
    }
    for (int i = 0; i < PROPOSALS; i++)
        if (configs[i]) g.dnn->cudnnBackendDestroyDescriptor(configs[i]);
    rf_cudnn_graph_free(&g);
    if (st == RF_OK && !*count)
        st = rf_vendor_fail(vendor, RF_E_UNSUPPORTED,
                            "%s: cuDNN has no engine for it that computes in a fixed order",
                            rf_choice_op_name(p->wanted.op));
    return st;
}
