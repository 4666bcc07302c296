/* gemm from chunks of a fixed number of rows, each computed by one thread.
 *
 * Without AVX-512, oneDNN's matrix product cuts k and chooses its kernels by the number of rows and
 * threads, and so does its rounding.  Here it never sees either: every product of the call has
 * CHUNK_ROWS rows and one thread, the last one padded in workspace, and the threads of the host
 * take chunks in any order.  Each thread has its own lane of workspace: x rows | y rows | scratch.
 */
#include "kernels/gemm/cpu_chunks.h"

#include <string.h>

#include <omp.h>

#include "kernels/gemm/cpu_act.h"
#include "kernels/onednn.h"

enum {
    /* A multiple of what the kernels take at once (4, 6, 8 or 16 rows), so that a row's place in
     * its chunk does not matter either.  Padding costs little (time_embed_1: 0.4 ms); a chunk reads
     * all weights, which costs 5 to 20 % against oneDNN's own cut (AVX2 on Zen, 2026-11). */
    CHUNK_ROWS = 48,
};

/* One call: the product, and where its parts lie in workspace. */
typedef struct call {
    const rf_gemm_args *a;
    rf_dnn             *dnn;
    const rf_dnn_op    *op;
    int                 two, activated, accumulate;
    const float        *bias;
    const void         *w;
    size_t              at_weights, at_lanes, bytes; /* offsets into workspace, and its size */
    size_t              at_y, at_scratch, lane_bytes;
} call;

static rf_dnn_spec spec_of(const rf_gemm_args *a, int accumulate)
{
    const int activated = a->act != RF_ACT_NONE;
    return (rf_dnn_spec){.m = CHUNK_ROWS,
                         .n = a->n,
                         .k = a->k,
                         .x_type = a->dtype,
                         .y_type = activated ? RF_F32 : (int)a->dtype,
                         .accumulate = accumulate};
}

static call call_of(const rf_gemm_args *a, rf_dnn *dnn, const rf_dnn_op *op, int threads)
{
    const size_t n = (size_t)a->n, k = (size_t)a->k;
    call         c = {.a = a, .dnn = dnn, .op = op, .two = a->k1 != 0 && a->k1 != a->k};
    c.activated = a->act != RF_ACT_NONE;

    rf_dnn_take(&c.lane_bytes, CHUNK_ROWS * k * rf_dtype_bytes(a->dtype));
    c.at_y = rf_dnn_take(&c.lane_bytes, CHUNK_ROWS * n * sizeof(float));
    c.at_scratch = rf_dnn_take(&c.lane_bytes, rf_dnn_scratch_bytes(op));

    rf_dnn_take(&c.bytes, n * sizeof(float)); /* the bias */
    c.at_weights = rf_dnn_take(&c.bytes, rf_dnn_weight_bytes(op, a->wdtype));
    c.at_lanes = rf_dnn_take(&c.bytes, (size_t)threads * c.lane_bytes);
    return c;
}

rf_status rf_gemm_chunks_prepare(void *stream, const rf_gemm_args *a, size_t *workspace_bytes)
{
    rf_status st = RF_OK;
    rf_dnn   *dnn = rf_host_dnn(stream);
    *workspace_bytes = 0;
    for (int accumulate = 0; accumulate <= (a->act == RF_ACT_NONE); accumulate++) {
        const rf_dnn_spec spec = spec_of(a, accumulate);
        const rf_dnn_op  *op;
        RF_TRY(rf_dnn_prepare(dnn, &spec, &op));
        const call c = call_of(a, dnn, op, rf_host_threads(stream));
        if (c.bytes > *workspace_bytes) *workspace_bytes = c.bytes;
    }
done:
    return st;
}

/* Rows row0 .. of x, both sources of a row side by side, and zeros up to the chunk's end. */
static void gather(char *to, const call *c, int row0, int rows)
{
    const rf_gemm_args *a = c->a;
    const size_t        bytes = rf_dtype_bytes(a->dtype), row = (size_t)a->k * bytes;
    const size_t        first = c->two ? (size_t)a->k1 * bytes : row, second = row - first;
    const char         *x = (const char *)a->x + (size_t)row0 * first;
    const char         *x2 = c->two ? (const char *)a->x2 + (size_t)row0 * second : x;
    for (size_t r = 0; r < (size_t)rows; r++) {
        memcpy(to + r * row, x + r * first, first);
        memcpy(to + r * row + first, x2 + r * second, second);
    }
    memset(to + (size_t)rows * row, 0, (size_t)(CHUNK_ROWS - rows) * row);
}

static rf_status run_chunk(const call *c, int row0, int lane)
{
    const rf_gemm_args *a = c->a;
    const int           rows = a->m - row0 < CHUNK_ROWS ? a->m - row0 : CHUNK_ROWS;
    const size_t        bytes = rf_dtype_bytes(a->dtype);
    const size_t        x_row = (size_t)a->k * bytes, y_row = (size_t)a->n * bytes;
    char               *space = (char *)a->workspace + c->at_lanes + (size_t)lane * c->lane_bytes;
    char               *y = (char *)a->y + (size_t)row0 * y_row;
    rf_dnn_io           io = {.x = space, .y = space + c->at_y, .w = c->w, .bias = c->bias};
    io.scratch = space + c->at_scratch;
    io.lane = lane;

    if (c->two || rows < CHUNK_ROWS)
        gather(space, c, row0, rows);
    else
        io.x = (const char *)a->x + (size_t)row0 * x_row;
    if (!c->activated && rows == CHUNK_ROWS) io.y = y;
    if (c->accumulate) { /* onto the residual */
        const char *residual = (const char *)a->residual + (size_t)row0 * y_row;
        if (io.y != residual) memcpy(io.y, residual, (size_t)rows * y_row);
        if (rows < CHUNK_ROWS)
            memset((char *)io.y + (size_t)rows * y_row, 0, (size_t)(CHUNK_ROWS - rows) * y_row);
    }
    const rf_status st = rf_dnn_run(c->dnn, c->op, &io);
    if (st != RF_OK) return st;
    if (c->activated)
        rf_gemm_act_rows(a, io.y, row0, rows, 1);
    else if (io.y != y)
        memcpy(y, io.y, (size_t)rows * y_row);
    return RF_OK;
}

rf_status rf_gemm_chunks(void *stream, const rf_gemm_args *a)
{
    const int         threads = rf_host_threads(stream), chunks = (a->m - 1) / CHUNK_ROWS + 1;
    const int         accumulate = a->residual && a->act == RF_ACT_NONE;
    const rf_dnn_spec spec = spec_of(a, accumulate);
    rf_dnn           *dnn = rf_host_dnn(stream);
    const rf_dnn_op  *op = rf_dnn_find(dnn, &spec);
    if (!op) return RF_E_BUG; /* was not prepared */

    call c = call_of(a, dnn, op, threads);
    int  worst = RF_OK;
    c.accumulate = accumulate;
    c.bias = a->bias;
    if (!a->bias) c.bias = memset(a->workspace, 0, (size_t)a->n * sizeof(float));
    c.w = rf_dnn_weights(dnn, op, a->wdtype, a->w, (char *)a->workspace + c.at_weights);

#pragma omp parallel for num_threads(threads < chunks ? threads : chunks) schedule(dynamic)        \
    reduction(max                                                                                  \
              : worst)
    for (int i = 0; i < chunks; i++) {
        const int st = (int)run_chunk(&c, i * CHUNK_ROWS, omp_get_thread_num());
        if (st > worst) worst = st;
    }
    return (rf_status)worst;
}
