/* The whole UNet call as a graph, and the flip: what it costs that the next call is another
 * expert's.
 *
 * The flip is measured over many calls, as a gap of microseconds between calls of milliseconds
 * would drown in their spread: N calls of the base in a row, N of the refiner, and N of each in
 * turns, each as a whole between two events.  In turns there are 2N - 1 places where the expert
 * changes, so
 *
 *     extra gap = (turns - base - refiner) / (2N - 1)
 *
 * beyond the gap between two calls of one expert.  Prompts and embeddings are arbitrary numbers:
 * the time of a call does not depend on them. */
#include <stdlib.h>
#include <string.h>

#include "bench/call_flop.h"
#include "bench/device_bench.h"
#include "engine/core/program.h"
#include "engine/core/recorder.h"
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/model/unet.h"

enum { TOKENS = 77, REPEATS = 15, WARM_UPS = 3, ONE_POINT_SOMETHING = 0x3C };

typedef struct network {
    rf_safetensors  *file;
    rf_checkpoint    checkpoint;
    rf_weights       weights;
    rf_unet_list     list;
    rf_unet_sections sections;
    rf_program       program;
    rf_graph        *graph;
    double           flop;
    size_t           vendor_calls;
} network;

/* Opens the file and loads its UNet's weights. */
static bool load(device_bench *b, network *net, const char *path)
{
    rf_device *d = &b->device;
    void      *staging = NULL;
    if (!device_ok(b, rf_safetensors_open(&net->file, path, &b->err)) ||
        !device_ok(b,
                   rf_checkpoint_check(&net->checkpoint, rf_safetensors_list(net->file), &b->err)))
        return false;
    net->weights = (rf_weights){
        .file = rf_safetensors_list(net->file), .prefix = RF_PREFIX_UNET, .dtype = b->dtype};
    if (rf_unet_list_blocks(&net->checkpoint.arch.unet, &net->list) != 0)
        return b->wrong = 1, false;
    if (!device_ok(b, rf_unet_list_weights(d, &net->weights, &net->checkpoint.arch.unet, &net->list,
                                           &net->sections, &b->err)) ||
        !device_ok(b, rf_device_alloc(d, &staging, net->weights.staging_bytes, "staging", &b->err)))
        return false;
    const bool loaded = device_ok(b, rf_weights_load(&net->weights, d, staging, NULL, &b->err)) &&
                        device_ok(b, rf_device_wait(d, &b->err));
    rf_device_free(d, staging, net->weights.staging_bytes);
    return loaded;
}

/* Device memory of numbers near 1. */
static void *filled(device_bench *b, size_t bytes)
{
    void *at = device_take(b, bytes);
    return at && device_ok(b, rf_device_fill(&b->device, RF_STREAM_OPS, at, ONE_POINT_SOMETHING,
                                             bytes, &b->err))
               ? at
               : NULL;
}

typedef struct slab {
    void  *at;
    size_t bytes;
} slab;

/* The call's arguments, in memory of the device; all experts read the same latent. */
static bool forward_args(device_bench *b, const network *net, void *x, void *y,
                         rf_unet_forward_args *out)
{
    const int        n = b->batch, side = b->size / 8;
    const size_t     bytes = rf_dtype_bytes(b->dtype);
    int32_t          zero[16] = {0};
    rf_attention_kv  entry[16];
    void            *pool = filled(b, net->list.kv_elems * TOKENS * bytes);
    void            *temb = filled(b, net->list.temb_columns * bytes);
    int32_t         *row = device_take(b, sizeof zero);
    rf_attention_kv *kv = device_take(b, sizeof entry);
    for (int i = 0; i < 16; i++) entry[i] = (rf_attention_kv){.base = pool, .skv = TOKENS};
    if (!pool || !temb || !row || !kv || !device_put(b, row, zero, sizeof zero) ||
        !device_put(b, kv, entry, sizeof entry))
        return false;
    *out = (rf_unet_forward_args){.list = &net->list,
                                  .arch = &net->checkpoint.arch.unet,
                                  .x = x,
                                  .y = y,
                                  .temb = temb,
                                  .temb_rows = 1,
                                  .temb_row = row,
                                  .kv = kv,
                                  .kv_tokens = TOKENS,
                                  .n = n,
                                  .h = side,
                                  .w = side};
    return true;
}

static bool capture(device_bench *b, network *net, const slab *s, const rf_unet_forward_args *args)
{
    if (!device_ok(b, rf_record_place(&b->device, &net->weights, net->sections.forward,
                                      rf_unet_forward, args, s->at, s->bytes, &net->program,
                                      &b->err)) ||
        !device_ok(b, rf_program_capture(&net->program, &b->device, &net->graph, &b->err)))
        return false;
    for (size_t i = 0; i < net->program.count; i++) {
        net->flop += bench_call_flop(&net->program.call[i]);
        net->vendor_calls += net->program.call[i].by_vendor != 0;
    }
    return true;
}

/* Milliseconds of `calls` launches, of `first` and `second` in turns. */
static bool time_calls(device_bench *b, const network *first, const network *second, int calls,
                       double *ms)
{
    float spent = 0;
    if (!device_ok(b, rf_event_record(&b->device, b->from, RF_STREAM_OPS, &b->err))) return false;
    for (int i = 0; i < calls; i++) {
        const network *net = i % 2 ? second : first;
        if (!device_ok(b, rf_graph_launch(&b->device, net->graph, "a call of the UNet", &b->err)))
            return false;
    }
    if (!device_ok(b, rf_event_record(&b->device, b->to, RF_STREAM_OPS, &b->err)) ||
        !device_ok(b, rf_event_wait(&b->device, b->to, &b->err)) ||
        !device_ok(b, rf_event_between(&b->device, b->from, b->to, &spent, &b->err)))
        return false;
    *ms = (double)spent;
    return true;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void one_call(device_bench *b, const network *net)
{
    double ms[DEVICE_RUNS_MOST];
    for (int i = 0; i < WARM_UPS && b->runs > 1; i++)
        if (!time_calls(b, net, net, 1, ms)) return;
    for (int i = 0; i < b->runs; i++)
        if (!time_calls(b, net, net, 1, &ms[i])) return;
    qsort(ms, (size_t)b->runs, sizeof *ms, by_value);
    const double median = ms[b->runs / 2];
    printf("call     batch %d, %d x %d, %s: median %.3f ms (%.3f .. %.3f, %d runs), %.3f TFLOP, "
           "%.1f TFLOP/s, %zu of %zu ops by the vendor\n",
           b->batch, b->size, b->size, rf_dtype_name(b->dtype), median, ms[0], ms[b->runs - 1],
           b->runs, 1e-12 * net->flop, 1e-9 * net->flop / median, net->vendor_calls,
           net->program.count);
    char row[32];
    snprintf(row, sizeof row, "unet_%dx%d", b->size, b->size);
    device_csv(b, &(device_figure){
                      .op = "network",
                      .row = row,
                      .level = "graph",
                      .compared = "",
                      .algorithm = "",
                      .images = b->batch,
                      .us = {1e3 * median, 1e3 * ms[b->runs / 10], 1e3 * ms[b->runs * 9 / 10]},
                      .tflops = 1e-9 * net->flop / median,
                      .error = -1});
}

static void flip(device_bench *b, const network *base, const network *refiner)
{
    const int n = b->flips, repeats = b->runs < REPEATS ? b->runs : REPEATS;
    double    extra[REPEATS];
    for (int i = 0; i < repeats; i++) {
        double bases, refiners, turns;
        if (!time_calls(b, base, base, n, &bases) ||
            !time_calls(b, refiner, refiner, n, &refiners) ||
            !time_calls(b, base, refiner, 2 * n, &turns))
            return;
        extra[i] = 1000 * (turns - bases - refiners) / (2 * n - 1);
    }
    qsort(extra, (size_t)repeats, sizeof *extra, by_value);
    printf("flip     the gap before the other expert's call exceeds that before one's own by %.2f "
           "us (%.2f .. %.2f, %d times %d flips)\n",
           extra[repeats / 2], extra[0], extra[repeats - 1], repeats, 2 * n - 1);
    device_csv(b, &(device_figure){
                      .op = "network",
                      .row = "flip",
                      .level = "graph",
                      .compared = "the gap before one's own call",
                      .algorithm = "",
                      .images = b->batch,
                      .us = {extra[repeats / 2], extra[repeats / 10], extra[repeats * 9 / 10]},
                      .error = -1});
}

static void close_network(device_bench *b, network *net)
{
    if (net->graph) rf_graph_destroy(&b->device, net->graph);
    rf_program_free(&net->program);
    rf_weights_free(&net->weights, &b->device);
    if (net->file) rf_safetensors_close(net->file);
}

static bool prepare(device_bench *b, network *net, rf_unet_forward_args *args, int count, slab *s)
{
    const size_t latent = (size_t)b->batch * (size_t)(b->size / 8) * (size_t)(b->size / 8) * 4;
    void        *x = device_random(b, b->dtype, latent), *y = device_take(b, latent * 2);
    for (int i = 0; i < count; i++) {
        size_t bytes = 0;
        if (!x || !y || !load(b, &net[i], b->file[i]) ||
            !forward_args(b, &net[i], x, y, &args[i]) ||
            !device_ok(b, rf_record_count(&b->device, &net[i].weights, net[i].sections.forward,
                                          rf_unet_forward, &args[i], &bytes, &b->err)))
            return false;
        if (bytes > s->bytes) s->bytes = bytes;
    }
    s->at = device_take(b, s->bytes);
    for (int i = 0; s->at && i < count; i++)
        if (!capture(b, &net[i], s, &args[i])) return false;
    return s->at != NULL;
}

void bench_device_network(device_bench *b)
{
    network              net[2] = {{.file = NULL}, {.file = NULL}};
    rf_unet_forward_args args[2];
    slab                 s = {.at = NULL};
    const int            count = b->file[1] ? 2 : 1;
    if (prepare(b, net, args, count, &s)) {
        printf("# slab of both: %.1f MiB\n", (double)s.bytes / (1 << 20));
        one_call(b, &net[0]);
        if (count == 2) flip(b, &net[0], &net[1]);
    }
    for (int i = 0; i < count; i++) close_network(b, &net[i]);
}
