/* groupnorm, layernorm and pixels on a GPU: bound by memory; bytes: every input and output once.
 * Their values are checked by the tests: here only rows that the reference does quickly. */
#include "bench/bench_gpu.h"

enum { CHECKED_MOST = 1 << 22 };

#define GROUP_ROW(name, n, hw, c, c1, groups, why) {#name, n, hw, c, c1, groups},
static const struct group_row {
    const char *name;
    int         n, hw, c, c1, groups;
} group_rows[] = {RF_GROUPNORM_SHAPES(GROUP_ROW)};

static void bench_group_row(bench_gpu *b, const struct group_row *r)
{
    const rf_dtype t = b->dtype;
    const size_t   pixels = (size_t)r->n * (size_t)r->hw, c = (size_t)r->c;
    const size_t   c1 = r->c1 ? (size_t)r->c1 : c, elems = pixels * c;
    const void    *x, *x2 = NULL, *gamma, *beta;
    rf_op_call     call = {.kind = RF_OP_GROUPNORM, .label = "groupnorm"};

    rf_groupnorm_args *a = &call.args.groupnorm;
    *a = (rf_groupnorm_args){.n = r->n, .hw = r->hw, .c = r->c, .c1 = r->c1, .groups = r->groups};
    a->eps = 1e-5f, a->silu = 1, a->dtype = t;
    a->x = bench_gpu_input(b, t, pixels * c1, &x);
    if (r->c1) a->x2 = bench_gpu_input(b, t, pixels * (c - c1), &x2);
    a->gamma = bench_gpu_input(b, RF_F32, c, &gamma);
    a->beta = bench_gpu_input(b, RF_F32, c, &beta);
    a->y = bench_gpu_take(b, elems * rf_dtype_bytes(t));
    bench_gpu_workspace(b, &call);

    rf_groupnorm_args ref = *a;
    int               ok = elems <= CHECKED_MOST;
    if (ok) {
        ref.x = bench_gpu_widened(b, x, t, pixels * c1);
        if (x2) ref.x2 = bench_gpu_widened(b, x2, t, pixels * (c - c1));
        ref.gamma = gamma, ref.beta = beta, ref.dtype = RF_F32, ref.workspace = NULL;
        ref.y = bench_gpu_floats(b, elems);
        ok = rf_groupnorm_ref(NULL, &ref) == RF_OK;
    }
    bench_gpu_run(b, &(bench_gpu_case){.row = r->name,
                                       .call = &call,
                                       .dtype = t,
                                       .bytes = 2.0 * (double)elems * (double)rf_dtype_bytes(t),
                                       .y = a->y,
                                       .want = ref.y,
                                       .checked = ok ? elems : 0});
}

#define LAYER_ROW(name, m, c, why) {#name, m, c},
static const struct layer_row {
    const char *name;
    int         m, c;
} layer_rows[] = {RF_LAYERNORM_SHAPES(LAYER_ROW)};

static void bench_layer_row(bench_gpu *b, const struct layer_row *r)
{
    const rf_dtype t = b->dtype;
    const size_t   c = (size_t)r->c, elems = (size_t)r->m * c;
    const void    *x, *gamma, *beta;
    rf_op_call     call = {.kind = RF_OP_LAYERNORM, .label = "layernorm"};

    rf_layernorm_args *a = &call.args.layernorm;
    *a = (rf_layernorm_args){.m = r->m, .c = r->c, .eps = 1e-5f, .dtype = t};
    a->x = bench_gpu_input(b, t, elems, &x);
    a->gamma = bench_gpu_input(b, RF_F32, c, &gamma);
    a->beta = bench_gpu_input(b, RF_F32, c, &beta);
    a->y = bench_gpu_take(b, elems * rf_dtype_bytes(t));

    rf_layernorm_args ref = *a;
    if (ref.m > 2) ref.m = 2;
    const size_t checked = (size_t)ref.m * c;
    ref.x = bench_gpu_widened(b, x, t, checked);
    ref.gamma = gamma, ref.beta = beta, ref.dtype = RF_F32;
    ref.y = bench_gpu_floats(b, checked);
    const int ok = rf_layernorm_ref(NULL, &ref) == RF_OK;
    bench_gpu_run(b, &(bench_gpu_case){.row = r->name,
                                       .call = &call,
                                       .dtype = t,
                                       .bytes = 2.0 * (double)elems * (double)rf_dtype_bytes(t),
                                       .y = a->y,
                                       .want = ref.y,
                                       .checked = ok ? checked : 0});
}

#define PIXELS_ROW(name, n, hw, why) {#name, n, hw},
static const struct pixels_row {
    const char *name;
    int         n, hw;
} pixels_rows[] = {RF_PIXELS_SHAPES(PIXELS_ROW)};

static void bench_pixels_row(bench_gpu *b, const struct pixels_row *r)
{
    const rf_dtype  t = b->dtype;
    const size_t    elems = (size_t)r->n * (size_t)r->hw * 3;
    rf_op_call      call = {.kind = RF_OP_PIXELS, .label = "pixels"};
    rf_pixels_args *a = &call.args.pixels;
    *a = (rf_pixels_args){.n = r->n, .hw = r->hw, .dtype = t};
    a->x = bench_gpu_input(b, t, elems, NULL);
    a->y = bench_gpu_take(b, elems);
    a->stats = bench_gpu_take(b, (size_t)r->n * sizeof *a->stats);
    bench_gpu_run(b, &(bench_gpu_case){.row = r->name,
                                       .call = &call,
                                       .dtype = t,
                                       .bytes = (double)elems * (double)(rf_dtype_bytes(t) + 1)});
}

void bench_gpu_others(bench_gpu *b)
{
    for (size_t i = 0; i < sizeof group_rows / sizeof *group_rows; i++)
        if (bench_gpu_wants(b, "groupnorm", group_rows[i].name)) bench_group_row(b, &group_rows[i]);
    for (size_t i = 0; i < sizeof layer_rows / sizeof *layer_rows; i++)
        if (bench_gpu_wants(b, "layernorm", layer_rows[i].name)) bench_layer_row(b, &layer_rows[i]);
    for (size_t i = 0; i < sizeof pixels_rows / sizeof *pixels_rows; i++)
        if (bench_gpu_wants(b, "pixels", pixels_rows[i].name)) bench_pixels_row(b, &pixels_rows[i]);
}
