/* oneDNN behind one header.
 *
 * The logic is the same for every version of the library; onednn_api.h hides what differs.
 * Threads: oneDNN reads OpenMP's thread count both when it compiles and when it runs, so both
 * happen between borrow_threads and return_threads.  What is not known to give the same bits for
 * any count is compiled for one thread. */
#include "kernels/onednn.h"

#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "kernels/onednn_api.h"

enum {
    CANONICAL_ROWS = 1024, /* the middle of the UNet */
    CANONICAL_SIZE = 64,
    CANONICAL_THREADS = 8, /* oneDNN's choice of layout depends on it: packed bytes must not */
    BUCKETS = 256,
    ARGS = 5,
};

struct rf_dnn_op {
    rf_dnn_spec      spec;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t *arg;   /* [lanes][ARGS]: x, w, bias, y, scratch; lanes run side by side */
    int              lanes; /* of one thread each, or 1 that has all of the host's */
    int              alone;
    int              canonical; /* compiled for CANONICAL_THREADS, whatever the host has */
    rf_blocked_map   packed, wanted;
    size_t           scratch_bytes;
    rf_dnn_op       *next; /* in the bucket */
};

struct rf_dnn {
    dnnl_engine_t  engine;
    dnnl_stream_t *stream; /* [threads], one for each lane */
    int            threads;
    size_t         count;
    rf_dnn_op     *bucket[BUCKETS];
};

static rf_status fail(rf_error *err, const char *what, dnnl_status_t status)
{
    if (status == dnnl_out_of_memory)
        return rf_fail(err, RF_E_NOMEM, "oneDNN: no memory: %s", what);
    return rf_fail(err, RF_E_DEVICE, "oneDNN: %s failed with status %d", what, (int)status);
}

static rf_status status_of(dnnl_status_t status)
{
    return status == dnnl_success ? RF_OK : status == dnnl_out_of_memory ? RF_E_NOMEM : RF_E_DEVICE;
}

/* Sets OpenMP's thread count for this thread's next parallel regions; returns the old one. */
static int borrow_threads(int threads)
{
    const int old = omp_get_max_threads();
    omp_set_num_threads(threads);
    return old;
}

static void return_threads(int old)
{
    omp_set_num_threads(old);
}

rf_status rf_dnn_create(rf_dnn **out, int threads, rf_error *err)
{
    rf_status     st = RF_OK;
    dnnl_status_t status;
    rf_dnn       *dnn = NULL;
    *out = NULL;

    dnn = calloc(1, sizeof *dnn);
    if (!dnn) {
        st = rf_fail(err, RF_E_NOMEM, "oneDNN: %zu bytes", sizeof *dnn);
        goto done;
    }
    dnn->threads = threads;
    status = dnnl_engine_create(&dnn->engine, dnnl_cpu, 0);
    if (status != dnnl_success) {
        st = fail(err, "creating the engine", status);
        goto done;
    }
    dnn->stream = calloc((size_t)threads, sizeof(dnnl_stream_t));
    if (!dnn->stream) {
        st = rf_fail(err, RF_E_NOMEM, "oneDNN: %zu bytes", (size_t)threads * sizeof(dnnl_stream_t));
        goto done;
    }
    for (int i = 0; i < threads; i++) {
        status = dnnl_stream_create(&dnn->stream[i], dnn->engine, dnnl_stream_default_flags);
        if (status != dnnl_success) {
            st = fail(err, "creating a stream", status);
            goto done;
        }
    }
    *out = dnn;
    dnn = NULL;
done:
    rf_dnn_destroy(dnn);
    return st;
}

static void op_destroy(rf_dnn_op *op)
{
    if (!op) return;
    for (int i = 0; op->arg && i < op->lanes * ARGS; i++)
        if (op->arg[i].memory) dnnl_memory_destroy(op->arg[i].memory);
    free(op->arg);
    if (op->primitive) dnnl_primitive_destroy(op->primitive);
    rf_blocked_map_clear(&op->packed);
    rf_blocked_map_clear(&op->wanted);
    free(op);
}

void rf_dnn_destroy(rf_dnn *dnn)
{
    if (!dnn) return;
    for (int b = 0; b < BUCKETS; b++)
        while (dnn->bucket[b]) {
            rf_dnn_op *op = dnn->bucket[b];
            dnn->bucket[b] = op->next;
            op_destroy(op);
        }
    for (int i = 0; dnn->stream && i < dnn->threads; i++)
        if (dnn->stream[i]) dnnl_stream_destroy(dnn->stream[i]);
    free(dnn->stream);
    if (dnn->engine) dnnl_engine_destroy(dnn->engine);
    free(dnn);
}

int rf_dnn_present(void)
{
    return 1;
}

size_t rf_dnn_count(const rf_dnn *dnn)
{
    return dnn->count;
}

static dnnl_data_type_t data_type(int type)
{
    return type == RF_BF16 ? dnnl_bf16 : dnnl_f32;
}

static rf_onednn_problem problem_of(const rf_dnn_spec *s)
{
    if (!s->conv)
        return (rf_onednn_problem){
            .ndims = 2,
            .bias_ndims = 2,
            .x = {s->m, s->k},
            .w = {s->k, s->n},
            .y = {s->m, s->n},
            .bias = {1, s->n},
            .x_type = data_type(s->x_type),
            .y_type = data_type(s->y_type),
        };
    return (rf_onednn_problem){
        .conv = 1,
        .ndims = 4,
        .bias_ndims = 1,
        .x = {1, s->k, s->h, s->w},
        .w = {s->n, s->k, 3, 3},
        .y = {1, s->n, s->ho, s->wo},
        .bias = {s->n},
        .x_type = data_type(s->x_type),
        .y_type = data_type(s->y_type),
        .strides = {s->stride, s->stride},
        .before = {s->top, s->left},
        .after = {(s->ho - 1) * s->stride + 3 - s->h - s->top,
                  (s->wo - 1) * s->stride + 3 - s->w - s->left},
    };
}

/* `like`, if not NULL: a descriptor whose weights layout to keep. */
static rf_status pd_create(dnnl_primitive_desc_t *out, const rf_dnn *dnn, const rf_dnn_spec *s,
                           const_dnnl_primitive_desc_t like)
{
    const rf_onednn_problem problem = problem_of(s);
    dnnl_primitive_attr_t   attr = NULL;
    dnnl_post_ops_t         ops = NULL;
    dnnl_status_t           status = dnnl_primitive_attr_create(&attr);
    *out = NULL;

    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && s->accumulate) status = rf_onednn_append_sum(ops);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (status == dnnl_success)
        status = rf_onednn_pd_create(out, &problem, like, attr, dnn->engine);

    if (ops) dnnl_post_ops_destroy(ops);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status_of(status);
}

/* Axis of ours (out, in, ky, kx) that is axis `a` of oneDNN's weights: [k, n] or [n, k, ky, kx]. */
static int own_axis(const rf_dnn_spec *s, int64_t a)
{
    return s->conv ? (int)a : 1 - (int)a;
}

static rf_status weight_layout(const rf_dnn_spec *s, const_dnnl_primitive_desc_t pd,
                               rf_blocked *out)
{
    rf_onednn_blocks b;
    if (!rf_onednn_weight_blocks(pd, &b) || b.inners > RF_BLOCKED_INNER) return RF_E_DEVICE;

    *out = (rf_blocked){.dim = {1, 1, 1, 1}, .inners = b.inners, .elems = b.elems};
    for (int a = 0; a < b.ndims; a++) {
        out->dim[own_axis(s, a)] = b.dims[a];
        out->stride[own_axis(s, a)] = b.strides[a];
    }
    for (int j = 0; j < b.inners; j++) {
        out->inner_axis[j] = own_axis(s, b.inner_axis[j]);
        out->inner_size[j] = b.inner_size[j];
    }
    return RF_OK;
}

/* The call whose choice of layout holds for every call with these weights. */
static rf_dnn_spec canonical(const rf_dnn_spec *s)
{
    rf_dnn_spec c = {.conv = s->conv, .n = s->n, .k = s->k, .x_type = s->x_type};
    c.y_type = s->x_type;
    if (s->conv) {
        c.stride = 1;
        c.top = c.left = 1;
        c.h = c.w = c.ho = c.wo = CANONICAL_SIZE;
    } else {
        c.m = CANONICAL_ROWS;
    }
    return c;
}

/* Its descriptor and what it wants; destroy *out, even after a failure. */
static rf_status canonical_pd(dnnl_primitive_desc_t *out, const rf_dnn *dnn, const rf_dnn_spec *s,
                              rf_blocked *layout)
{
    const int         old = borrow_threads(CANONICAL_THREADS);
    const rf_dnn_spec c = canonical(s);
    rf_status         st = pd_create(out, dnn, &c, NULL);
    if (st == RF_OK) st = weight_layout(&c, *out, layout);
    return_threads(old);
    return st;
}

static const char *pd_name(const_dnnl_primitive_desc_t pd)
{
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return name;
}

/* 1 if this implementation is known to give a result the same bits whatever the threads and, in a
 * product, the number of rows.  brgemm ("brg:", "brgconv:", "brg_matmul:"), direct convolutions
 * ("jit:avx2", "jit_bf16:avx512_core") and the plain loops ("ref") keep one order of summation. The
 * older matrix product ("gemm:jit", in a convolution "x64:gemm:jit") cuts k and chooses its kernels
 * by threads and rows. */
static int is_steady(const char *name)
{
    return !strncmp(name, "brg", 3) || !strncmp(name, "jit", 3) || !strncmp(name, "ref", 3);
}

/* The descriptor for `s`: with the canonical weights layout if that costs no better kernel, else
 * with the one oneDNN likes best for this size.  *steady, for a product, is asked of the canonical
 * call: calls of all numbers of rows must agree on it. */
static rf_status choose_pd(const rf_dnn *dnn, const rf_dnn_spec *s, dnnl_primitive_desc_t *out,
                           rf_blocked *packed, rf_blocked *wanted, int *steady)
{
    dnnl_primitive_desc_t model = NULL, free_choice = NULL, forced = NULL;
    rf_status             st = RF_OK;
    *out = NULL;

    RF_TRY(canonical_pd(&model, dnn, s, packed));
    RF_TRY(pd_create(&free_choice, dnn, s, NULL));
    RF_TRY(weight_layout(s, free_choice, wanted));
    *steady = is_steady(pd_name(s->conv ? free_choice : model));

    if (memcmp(packed, wanted, sizeof *packed) != 0 && pd_create(&forced, dnn, s, model) == RF_OK &&
        strcmp(pd_name(forced), pd_name(free_choice)) == 0) {
        *wanted = *packed;
        *out = forced;
        forced = NULL;
    } else {
        *out = free_choice;
        free_choice = NULL;
    }
done:
    if (forced) dnnl_primitive_desc_destroy(forced);
    if (free_choice) dnnl_primitive_desc_destroy(free_choice);
    if (model) dnnl_primitive_desc_destroy(model);
    return st;
}

rf_status rf_dnn_weight_layout(rf_dnn *dnn, const rf_dnn_spec *spec, rf_blocked *out)
{
    dnnl_primitive_desc_t pd = NULL;
    const rf_status       st = canonical_pd(&pd, dnn, spec, out);
    if (pd) dnnl_primitive_desc_destroy(pd);
    return st;
}

static unsigned bucket_of(const rf_dnn_spec *s)
{
    const unsigned char *byte = (const unsigned char *)s;
    unsigned             hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *s; i++) hash = (hash ^ byte[i]) * 16777619u;
    return hash % BUCKETS;
}

const rf_dnn_op *rf_dnn_find(const rf_dnn *dnn, const rf_dnn_spec *spec)
{
    for (const rf_dnn_op *op = dnn->bucket[bucket_of(spec)]; op; op = op->next)
        if (memcmp(&op->spec, spec, sizeof *spec) == 0) return op;
    return NULL;
}

/* The memory objects of every lane. */
static rf_status add_args(rf_dnn_op *op, const rf_dnn *dnn, const_dnnl_primitive_desc_t pd)
{
    static const struct {
        int          name;
        dnnl_query_t query;
    } wants[ARGS] = {
        {DNNL_ARG_SRC, dnnl_query_src_md},
        {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
        {DNNL_ARG_BIAS, dnnl_query_weights_md},
        {DNNL_ARG_DST, dnnl_query_dst_md},
        {DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md},
    };
    op->arg = calloc((size_t)op->lanes * ARGS, sizeof *op->arg);
    if (!op->arg) return RF_E_NOMEM;
    for (int i = 0; i < op->lanes * ARGS; i++) {
        const int           name = wants[i % ARGS].name;
        const int           index = name == DNNL_ARG_BIAS; /* the bias is weights number 1 */
        const dnnl_status_t status = rf_onednn_memory_create(
            &op->arg[i].memory, pd, wants[i % ARGS].query, index, dnn->engine);
        if (status != dnnl_success) return status_of(status);
        op->arg[i].arg = name;
    }
    return RF_OK;
}

static rf_status op_create(rf_dnn_op **out, const rf_dnn *dnn, const rf_dnn_spec *spec)
{
    rf_status             st = RF_OK;
    dnnl_primitive_desc_t pd = NULL;
    rf_blocked            packed, wanted;
    int                   steady = 0;
    rf_dnn_op            *op = calloc(1, sizeof *op);
    *out = NULL;
    if (!op) return RF_E_NOMEM;

    op->spec = *spec;
    /* A convolution in f32 is cut along its input channels by the thread count, in some shapes: so
     * it is always cut for the same one.  bf16 never was, for 1 to 16 threads (test_conv). */
    op->canonical = spec->conv && spec->x_type == RF_F32;
    if (op->canonical) omp_set_num_threads(CANONICAL_THREADS); /* rf_dnn_prepare sets it back */
    RF_TRY(choose_pd(dnn, spec, &pd, &packed, &wanted, &steady));
    op->alone = !steady;
    op->lanes = op->alone && !spec->conv ? dnn->threads : 1;
    if (op->alone && dnn->threads > 1) {
        dnnl_primitive_desc_destroy(pd);
        omp_set_num_threads(1); /* rf_dnn_prepare sets it back */
        RF_TRY(choose_pd(dnn, spec, &pd, &packed, &wanted, &steady));
    }
    RF_TRY(rf_blocked_map_init(&op->packed, &packed));
    RF_TRY(rf_blocked_map_init(&op->wanted, &wanted));
    op->scratch_bytes = rf_onednn_bytes(pd, dnnl_query_scratchpad_md);
    RF_TRY(add_args(op, dnn, pd));
    RF_TRY(status_of(dnnl_primitive_create(&op->primitive, pd)));
    *out = op;
    op = NULL;
done:
    if (pd) dnnl_primitive_desc_destroy(pd);
    op_destroy(op);
    return st;
}

rf_status rf_dnn_prepare(rf_dnn *dnn, const rf_dnn_spec *spec, const rf_dnn_op **out)
{
    *out = rf_dnn_find(dnn, spec);
    if (*out) return RF_OK;

    rf_dnn_op      *op = NULL;
    const int       old = borrow_threads(dnn->threads);
    const rf_status st = op_create(&op, dnn, spec);
    return_threads(old);
    if (st != RF_OK) return st;

    const unsigned b = bucket_of(spec);
    op->next = dnn->bucket[b];
    dnn->bucket[b] = op;
    dnn->count++;
    *out = op;
    return RF_OK;
}

size_t rf_dnn_weight_bytes(const rf_dnn_op *op, rf_dtype wdtype)
{
    const rf_blocked *wanted = &op->wanted.layout;
    if ((int)wdtype == op->spec.x_type && !memcmp(wanted, &op->packed.layout, sizeof *wanted))
        return 0;
    return (size_t)wanted->elems * rf_dtype_bytes((rf_dtype)op->spec.x_type);
}

const void *rf_dnn_weights(const rf_dnn *dnn, const rf_dnn_op *op, rf_dtype wdtype,
                           const void *packed, void *space)
{
    if (rf_dnn_weight_bytes(op, wdtype) == 0) return packed;
    rf_blocked_convert(space, &op->wanted, (rf_dtype)op->spec.x_type, packed, &op->packed, wdtype,
                       dnn->threads);
    return space;
}

size_t rf_dnn_scratch_bytes(const rf_dnn_op *op)
{
    return op->scratch_bytes;
}

int rf_dnn_alone(const rf_dnn_op *op)
{
    return op->alone;
}

const char *rf_dnn_name(const rf_dnn_op *op)
{
    const_dnnl_primitive_desc_t pd = NULL;
    return dnnl_primitive_get_primitive_desc(op->primitive, &pd) == dnnl_success ? pd_name(pd) : "";
}

rf_status rf_dnn_prepare_call(rf_dnn *dnn, rf_dnn_spec spec, int accumulates, rf_dtype wdtype,
                              size_t *used, size_t *scratch_bytes)
{
    size_t weight_bytes = 0;
    for (spec.accumulate = 0; spec.accumulate <= accumulates; spec.accumulate++) {
        const rf_dnn_op *op;
        const rf_status  st = rf_dnn_prepare(dnn, &spec, &op);
        if (st != RF_OK) return st;
        const size_t weights = rf_dnn_weight_bytes(op, wdtype), scratch = rf_dnn_scratch_bytes(op);
        if (weights > weight_bytes) weight_bytes = weights;
        if (scratch > *scratch_bytes) *scratch_bytes = scratch;
    }
    rf_dnn_take(used, weight_bytes);
    return RF_OK;
}

/* oneDNN starts as many threads as it compiled for; where the host has fewer, so many share the
 * work, in the same cuts. */
static dnnl_status_t execute_with(int threads, const rf_dnn_op *op, dnnl_stream_t stream,
                                  const dnnl_exec_arg_t *arg)
{
    dnnl_status_t status = dnnl_success;
#pragma omp teams num_teams(1) thread_limit(threads) shared(status)
    status = dnnl_primitive_execute(op->primitive, stream, ARGS, arg);
    return status;
}

rf_status rf_dnn_run(rf_dnn *dnn, const rf_dnn_op *op, const rf_dnn_io *io)
{
    /* oneDNN takes its inputs as pointers to writable memory; it does not write through these. */
    void *const handle[] = {(void *)io->x, (void *)io->w, (void *)io->bias, io->y, io->scratch};
    const int   old = borrow_threads(op->alone ? 1 : dnn->threads);
    dnnl_exec_arg_t *arg = op->arg + io->lane * ARGS;
    dnnl_stream_t    stream = dnn->stream[io->lane];
    dnnl_status_t    status = dnnl_success;

    for (int i = 0; i < ARGS && status == dnnl_success; i++)
        status = dnnl_memory_set_data_handle(arg[i].memory, handle[i]);
    if (status == dnnl_success)
        status = op->canonical && !op->alone && dnn->threads < CANONICAL_THREADS
                     ? execute_with(dnn->threads, op, stream, arg)
                     : dnnl_primitive_execute(op->primitive, stream, ARGS, arg);
    if (status == dnnl_success) status = dnnl_stream_wait(stream);
    return_threads(old);
    return status_of(status);
}

int rf_dnn_has_bf16(void)
{
    /* Instruction sets are bit masks: one holds the bits of those it includes. */
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    const unsigned bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return (isa & bf16) == bf16;
}
