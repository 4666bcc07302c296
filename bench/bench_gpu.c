/* refinery-bench-gpu: times the rows of the ops' shape tables on the first GPU.
 *
 *     refinery-bench-gpu [--op NAME] [--row NAME] [--dtype f16|bf16] [--seconds S] [--csv FILE]
 *
 * The name of a row may be a pattern, as a shell's.  What is timed is a graph of the same call many
 * times over, so that neither launching nor the host's clock is in the figure; events mark its
 * ends. A result is checked before anything is timed, and a wrong one is refused.  Exit code 77:
 * there is no GPU. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_gpu.h"
#ifdef RF_ON_EMULATED_GPU /* to try it where there is no GPU: its times mean nothing */
#include "tests/emulator/runtime.h"
#endif

enum { RUNS_LEAST = 5, RUNS_MOST = 500, EXIT_SKIPPED = 77 };

/* A graph of about this long: a thousand times an event's resolution. */
#define GRAPH_MS 0.5

static void must(rf_status st, const rf_error *err)
{
    if (st == RF_OK) return;
    fprintf(stderr, "refinery-bench-gpu: %s\n", err->message);
    exit(1);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

void *bench_gpu_take(bench_gpu *b, size_t bytes)
{
    rf_error err = {0};
    if (!bytes) return NULL;
    if (b->buffers_used == BENCH_GPU_BUFFERS) abort();
    bench_gpu_buffer *buffer = &b->buffers[b->buffers_used];
    must(rf_device_alloc(&b->device, &buffer->device, bytes, "a row", &err), &err);
    buffer->bytes = bytes;
    b->buffers_used++;
    return buffer->device;
}

/* Sum of four uniforms, scaled to deviation 1: near enough to normal, and quick. */
static float random_normal(bench_gpu *b)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        b->state = b->state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(b->state >> 40) * 0x1p-24f - 0.5f;
    }
    return sum * 1.7320508f;
}

const void *bench_gpu_input(bench_gpu *b, rf_dtype dtype, size_t elems, const void **host)
{
    const size_t bytes = elems * rf_dtype_bytes(dtype);
    rf_error     err = {0};
    void        *device = bench_gpu_take(b, bytes), *staging;
    must(rf_device_alloc_staging(&b->device, &staging, bytes, "inputs", &err), &err);
    b->buffers[b->buffers_used - 1].staging = staging;
    for (size_t i = 0; i < elems; i++) rf_store(staging, dtype, i, random_normal(b));
    must(rf_device_copy(&b->device, RF_STREAM_OPS, RF_COPY_UP, device, staging, bytes, &err), &err);
    must(rf_device_wait(&b->device, &err), &err);
    if (host) *host = staging;
    return device;
}

float *bench_gpu_floats(bench_gpu *b, size_t elems)
{
    float *p = calloc(elems, sizeof *p);
    if (!p || b->floats_used == BENCH_GPU_BUFFERS) abort();
    return b->floats[b->floats_used++] = p;
}

float *bench_gpu_widened(bench_gpu *b, const void *host, rf_dtype dtype, size_t elems)
{
    float *wide = bench_gpu_floats(b, elems);
    for (size_t i = 0; i < elems; i++) wide[i] = rf_load(host, dtype, i);
    return wide;
}

static void give_back(bench_gpu *b)
{
    while (b->buffers_used) {
        const bench_gpu_buffer *buffer = &b->buffers[--b->buffers_used];
        rf_device_free_staging(&b->device, buffer->staging, buffer->bytes);
        rf_device_free(&b->device, buffer->device, buffer->bytes);
        b->buffers[b->buffers_used] = (bench_gpu_buffer){0};
    }
    while (b->floats_used) free(b->floats[--b->floats_used]);
}

/* |got - want| / |want| in the 2-norm, of the first `elems` of y; infinite if one is not finite. */
static double relative_error(bench_gpu *b, const bench_gpu_case *c)
{
    const size_t bytes = c->checked * rf_dtype_bytes(c->dtype);
    void        *got;
    double       difference = 0, norm = 0;
    rf_error     err = {0};
    must(rf_device_alloc_staging(&b->device, &got, bytes, "results", &err), &err);
    must(rf_device_copy(&b->device, RF_STREAM_OPS, RF_COPY_DOWN, got, c->y, bytes, &err), &err);
    must(rf_device_wait(&b->device, &err), &err);
    for (size_t i = 0; i < c->checked; i++) {
        const double w = (double)c->want[i], d = (double)rf_load(got, c->dtype, i) - w;
        difference += d * d;
        norm += w * w;
    }
    rf_device_free_staging(&b->device, got, bytes);
    const double ratio = sqrt(difference / (norm > 0 ? norm : 1));
    return isfinite(ratio) ? ratio : INFINITY;
}

/* ---- timing -----------------------------------------------------------------------------------
 */

/* A graph of `count` times the call. */
static rf_graph *graph_of(bench_gpu *b, const rf_op_call *call, int count)
{
    rf_program program = {0};
    rf_graph  *graph = NULL;
    rf_error   err = {0};
    for (int i = 0; i < count; i++) must(rf_program_add(&program, call, &err), &err);
    must(rf_program_capture(&program, &b->device, &graph, &err), &err);
    rf_program_free(&program);
    return graph;
}

static float launch_ms(bench_gpu *b, const rf_graph *graph)
{
    rf_error err = {0};
    float    ms = 0;
    must(rf_event_record(&b->device, b->from, RF_STREAM_OPS, &err), &err);
    must(rf_graph_launch(&b->device, graph, "a row", &err), &err);
    must(rf_event_record(&b->device, b->to, RF_STREAM_OPS, &err), &err);
    must(rf_event_wait(&b->device, b->to, &err), &err);
    must(rf_event_between(&b->device, b->from, b->to, &ms, &err), &err);
    return ms;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void time_call(bench_gpu *b, const bench_gpu_case *c, double error)
{
    float     ms[RUNS_MOST], spent = 0;
    int       count = 1, runs = 0;
    rf_graph *graph = graph_of(b, c->call, 1);
    launch_ms(b, graph); /* warm */
    const float once = launch_ms(b, graph);
    rf_graph_destroy(&b->device, graph);
    if (once < GRAPH_MS) count = 1 + (int)(GRAPH_MS / (once > 1e-3f ? (double)once : 1e-3));
    graph = graph_of(b, c->call, count);
    launch_ms(b, graph);
    while (runs < RUNS_MOST && (runs < RUNS_LEAST || spent < 1e3 * b->seconds)) {
        const float took = launch_ms(b, graph);
        spent += took;
        ms[runs++] = took / (float)count;
    }
    rf_graph_destroy(&b->device, graph);
    qsort(ms, (size_t)runs, sizeof *ms, by_value);
    const double median = (double)ms[runs / 2], p10 = (double)ms[runs / 10],
                 p90 = (double)ms[runs * 9 / 10], flops = 1e-9 * c->flop / median,
                 bytes = 1e-6 * c->bytes / median;
    printf("%-10s %-22s %-4s %9.4f %9.4f %9.4f %5d %8.1f %8.0f  %.1e\n", rf_op_name(c->call->kind),
           c->row, rf_dtype_name(c->dtype), median, p10, p90, runs * count, flops, bytes, error);
    fflush(stdout);
    if (b->csv)
        fprintf(b->csv, "%s,%s,%s,%d,%.9f,%.9f,%.9f,%.0f,%.0f,%.3f,%.3f,%.3e\n",
                rf_op_name(c->call->kind), c->row, rf_dtype_name(c->dtype), runs * count,
                1e-3 * median, 1e-3 * p10, 1e-3 * p90, c->bytes, c->flop, flops, bytes, error);
}

int bench_gpu_wants(const bench_gpu *b, const char *op, const char *row)
{
    return (!b->op || !strcmp(b->op, op)) && (!b->row || !fnmatch(b->row, row, 0));
}

void bench_gpu_workspace(bench_gpu *b, rf_op_call *call)
{
    size_t   bytes = 0;
    rf_error err = {0};
    must(rf_call_prepare(&b->device, call, &bytes, &err), &err);
    rf_call_set_workspace(call, bench_gpu_take(b, bytes));
}

void bench_gpu_run(bench_gpu *b, const bench_gpu_case *c)
{
    /* 8 roundings of the storage type: the tests hold the exact bounds, this refuses nonsense. */
    const double limit = c->dtype == RF_F16 ? 0x1p-8 : 0x1p-5;
    rf_graph    *graph = graph_of(b, c->call, 1);
    launch_ms(b, graph);
    rf_graph_destroy(&b->device, graph);
    const double error = c->checked ? relative_error(b, c) : 0;
    if (error <= limit) {
        time_call(b, c, error);
    } else {
        printf("%-10s %-22s %-4s refused: relative error %g exceeds %g\n",
               rf_op_name(c->call->kind), c->row, rf_dtype_name(c->dtype), error, limit);
        b->wrong = 1;
    }
    give_back(b);
}

/* ---- options ----------------------------------------------------------------------------------
 */

static void usage(void)
{
    fprintf(stderr, "usage: refinery-bench-gpu [--op NAME] [--row NAME] [--dtype f16|bf16] "
                    "[--seconds S] [--csv FILE]\n");
    exit(2);
}

static void parse(bench_gpu *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) usage();
        if (!strcmp(argv[i], "--op"))
            b->op = value;
        else if (!strcmp(argv[i], "--row"))
            b->row = value;
        else if (!strcmp(argv[i], "--seconds"))
            b->seconds = strtod(value, NULL);
        else if (!strcmp(argv[i], "--dtype") && !strcmp(value, "f16"))
            b->dtype = RF_F16;
        else if (!strcmp(argv[i], "--dtype") && !strcmp(value, "bf16"))
            b->dtype = RF_BF16;
        else if (!strcmp(argv[i], "--csv"))
            b->csv = fopen(value, "w");
        else
            usage();
        if (!strcmp(argv[i], "--csv") && !b->csv) perror(value), exit(1);
    }
}

int main(int argc, char **argv)
{
    bench_gpu b = {.seconds = 0.1, .dtype = RF_F16, .state = 1};
    rf_error  err = {0};
    parse(&b, argc, argv);
#ifdef RF_ON_EMULATED_GPU
    emu_runtime_start(&emu_gpu_h100);
#endif
    if (rf_device_open_cuda(&b.device, 0, 1, &err) != RF_OK) {
        printf("skipped: %s\n", err.message);
        return EXIT_SKIPPED;
    }
    must(rf_event_create(&b.device, &b.from, &err), &err);
    must(rf_event_create(&b.device, &b.to, &err), &err);
    printf("%s\n%-10s %-22s %-4s %9s %9s %9s %5s %8s %8s  %s\n", b.device.name, "op", "row", "type",
           "median ms", "p10", "p90", "calls", "TFLOP/s", "GB/s", "error");
    if (b.csv)
        fprintf(b.csv, "op,row,dtype,calls,median_s,p10_s,p90_s,bytes,flop,tflops,gbytes_per_s,"
                       "relative_error\n");
    bench_gpu_products(&b);
    bench_gpu_others(&b);
    rf_event_destroy(&b.device, b.from);
    rf_event_destroy(&b.device, b.to);
    rf_device_close(&b.device);
    if (b.csv && fclose(b.csv)) return 1;
    return b.wrong;
}
