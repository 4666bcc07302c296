/* bench-network: one UNet call and one VAE decode of a real checkpoint, as the engine runs them.
 *
 *     refinery-bench-network FILE [--size 512] [--batch 1] [--repeat 5] [--threads 0] [--dtype
 * auto]
 *
 * Prints seconds (median and range), GFLOP/s counted from the recorded program itself, the share of
 * each op, and the rate of one large GEMM measured in the same run, which everything is a
 * percentage of.  Also how fast the weights were read and packed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/call_flop.h"
#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/model/unet.h"
#include "engine/model/vae.h"
#include "kernels/host.h"

enum { REPEATS_MAX = 100, TOKENS = 77, PEAK_SIZE = 4096 };

typedef struct setting {
    const char *path;
    int         size, batch, repeat, threads;
    rf_dtype    dtype;
} setting;

typedef struct network {
    rf_weights weights;
    rf_program program;
    void      *slab;
    size_t     slab_bytes;
} network;

static rf_error err;

static void must(rf_status st)
{
    if (st == RF_OK) return;
    fprintf(stderr, "refinery-bench-network: %s: %s\n", rf_status_name(st), err.message);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *memory(rf_device *device, size_t bytes)
{
    void *p = NULL;
    must(rf_device_alloc(device, &p, bytes, "bench", &err));
    return p;
}

static void load(network *net, rf_device *device)
{
    void *staging = memory(device, net->weights.staging_bytes);
    for (int pass = 0; pass < 2; pass++) { /* the second finds the file in the page cache */
        const double start = now();
        if (pass) rf_weights_unload(&net->weights, device);
        must(rf_weights_load(&net->weights, device, staging, NULL, &err));
        const double seconds = now() - start;
        printf("  load %-6s %7.2f s  %6.2f GB/s\n", pass ? "again" : "first", seconds,
               1e-9 * (double)net->weights.file_bytes / seconds);
    }
    rf_device_free(device, staging, net->weights.staging_bytes);
}

static void record(network *net, rf_device *device, size_t slot, rf_forward_fn *forward,
                   const void *arg)
{
    must(rf_record_count(device, &net->weights, slot, forward, arg, &net->slab_bytes, &err));
    net->slab = memory(device, net->slab_bytes);
    must(rf_record_place(device, &net->weights, slot, forward, arg, net->slab, net->slab_bytes,
                         &net->program, &err));
}

/* Times the program as a whole, then once more call by call for the shares. */
static void time_program(const network *net, rf_device *device, const setting *s, double peak)
{
    double seconds[REPEATS_MAX], flop = 0, share[RF_OP_KINDS] = {0}, work[RF_OP_KINDS] = {0};
    int    calls[RF_OP_KINDS] = {0};
    must(rf_program_run(&net->program, device, &err));
    for (int i = 0; i < s->repeat; i++) {
        const double start = now();
        must(rf_program_run(&net->program, device, &err));
        seconds[i] = now() - start;
    }
    for (size_t i = 0; i < net->program.count; i++) {
        const rf_op_call *call = &net->program.call[i];
        const double      start = now();
        must(rf_program_run_range(&net->program, i, i + 1, device, &err));
        share[call->kind] += now() - start;
        work[call->kind] += bench_call_flop(call);
        calls[call->kind]++;
        flop += bench_call_flop(call);
    }
    qsort(seconds, (size_t)s->repeat, sizeof *seconds, by_value);
    const double median = seconds[s->repeat / 2];
    printf("  median %.3f s (%.3f .. %.3f, n = %d)  %.3f TFLOP  %.0f GFLOP/s  %.0f %% of the GEMM "
           "rate  slab %.0f MiB\n",
           median, seconds[0], seconds[s->repeat - 1], s->repeat, 1e-12 * flop,
           1e-9 * flop / median, 100e-9 * flop / median / peak,
           (double)net->slab_bytes / (1 << 20));
    for (int k = 0; k < RF_OP_KINDS; k++)
        if (calls[k])
            printf("    %-10s %4d calls %8.3f s  %6.0f GFLOP/s\n", rf_op_name((rf_op_kind)k),
                   calls[k], share[k], 1e-9 * work[k] / share[k]);
}

static void bench_unet(const rf_tensors *file, const rf_sdxl_arch *arch, rf_device *device,
                       const setting *s, double peak)
{
    network          net = {.weights = {.file = file, .prefix = RF_PREFIX_UNET, .dtype = s->dtype}};
    rf_unet_list     list;
    rf_unet_sections sections;
    const int        side = s->size / 8, n = s->batch;
    const size_t     latent = (size_t)n * (size_t)side * (size_t)side * 4;
    const size_t     bytes = rf_dtype_bytes(s->dtype);
    if (rf_unet_list_blocks(&arch->unet, &list) != 0) exit(1);
    printf("UNet, %d x %d, batch %d, %d tokens, %s\n", s->size, s->size, n, TOKENS,
           rf_dtype_name(s->dtype));
    must(rf_unet_list_weights(device, &net.weights, &arch->unet, &list, &sections, &err));
    load(&net, device);

    int32_t         *row = memory(device, (size_t)n * sizeof *row);
    rf_attention_kv *kv = memory(device, (size_t)n * sizeof *kv);
    void            *pool = memory(device, list.kv_elems * TOKENS * bytes);
    uint16_t        *x = memory(device, latent * bytes);
    for (int i = 0; i < n; i++) kv[i] = (rf_attention_kv){.base = pool, .skv = TOKENS};
    for (size_t i = 0; i < latent; i++) rf_store(x, s->dtype, i, (float)(i % 17) / 8 - 1);
    const rf_unet_forward_args args = {.list = &list,
                                       .arch = &arch->unet,
                                       .x = x,
                                       .y = memory(device, latent * bytes),
                                       .temb = memory(device, list.temb_columns * bytes),
                                       .temb_rows = 1,
                                       .temb_row = row,
                                       .kv = kv,
                                       .kv_tokens = TOKENS,
                                       .n = n,
                                       .h = side,
                                       .w = side};
    record(&net, device, sections.forward, rf_unet_forward, &args);
    time_program(&net, device, s, peak);
    rf_weights_free(&net.weights, device);
    rf_program_free(&net.program);
}

static void bench_vae(const rf_tensors *file, const rf_sdxl_arch *arch, rf_device *device,
                      const setting *s, double peak)
{
    network         net = {.weights = {.file = file, .prefix = RF_PREFIX_VAE, .dtype = s->dtype}};
    const int       side = s->size / 8;
    const size_t    latent = (size_t)side * (size_t)side * 4;
    const float     unscale = 1 / RF_VAE_SCALE;
    float          *x = memory(device, latent * sizeof *x);
    rf_pixels_stats stats;
    for (size_t i = 0; i < latent; i++) x[i] = (float)(i % 17) / 8 - 1;
    const rf_vae_decode_args args = {.arch = &arch->vae,
                                     .latent = x,
                                     .pixels = memory(device, latent * 48),
                                     .stats = &stats,
                                     .n = 1,
                                     .h = side,
                                     .w = side,
                                     .unscale = &unscale};
    printf("VAE decode, %d x %d, %s\n", s->size, s->size, rf_dtype_name(s->dtype));
    must(rf_record_list(device, &net.weights, rf_vae_decode, &args, &err));
    load(&net, device);
    record(&net, device, 0, rf_vae_decode, &args);
    time_program(&net, device, s, peak);
    rf_weights_free(&net.weights, device);
    rf_program_free(&net.program);
}

/* GFLOP/s of a 4096 x 1280 x 1280 GEMM, the best of ten. */
static double gemm_rate(rf_device *device, rf_dtype dtype)
{
    rf_gemm_args a = {.m = PEAK_SIZE, .n = 1280, .k = 1280, .dtype = dtype, .wdtype = dtype};
    const rf_gemm_weight_shape shape = {.n = 1280, .k = 1280, .dtype = dtype, .wdtype = dtype};
    size_t                     packed = 0, workspace = 0;
    double                     best = 1e30;
    must(device->ops->gemm_pack_bytes(device->stream, &shape, &packed));
    must(device->ops->gemm_prepare(device->stream, &a, &workspace));
    void *plain = memory(device, (size_t)1280 * 1280 * 4);
    void *w = memory(device, packed);
    must(device->ops->gemm_pack(device->stream, &shape, w, plain));
    a.w = w;
    a.x = memory(device, (size_t)PEAK_SIZE * 1280 * 4);
    a.y = memory(device, (size_t)PEAK_SIZE * 1280 * 4);
    a.workspace = memory(device, workspace);
    for (int i = 0; i < 10; i++) {
        const double start = now();
        must(device->ops->gemm(device->stream, &a));
        const double seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    return 2e-9 * PEAK_SIZE * 1280 * 1280 / best;
}

static setting parse(int argc, char **argv)
{
    setting s = {.size = 512, .batch = 1, .repeat = 5, .dtype = rf_host_native_dtype()};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (argv[i][0] != '-') {
            s.path = argv[i];
            continue;
        }
        const int number = (int)strtol(value, NULL, 10);
        if (strcmp(argv[i], "--size") == 0) s.size = number / 8 * 8;
        if (strcmp(argv[i], "--batch") == 0) s.batch = number;
        if (strcmp(argv[i], "--repeat") == 0) s.repeat = number;
        if (strcmp(argv[i], "--threads") == 0) s.threads = number;
        if (strcmp(argv[i], "--dtype") == 0 && strcmp(value, "auto") != 0)
            s.dtype = strcmp(value, "f32") == 0 ? RF_F32 : RF_BF16;
        i++;
    }
    if (!s.path || s.size < 64 || s.batch < 1 || s.repeat < 1 || s.repeat > REPEATS_MAX) {
        fprintf(stderr, "usage: refinery-bench-network FILE [--size 512] [--batch 1] [--repeat 5] "
                        "[--threads 0] [--dtype auto|bf16|f32]\n");
        exit(2);
    }
    return s;
}

int main(int argc, char **argv)
{
    const setting   s = parse(argc, argv);
    rf_safetensors *file = NULL;
    rf_checkpoint   checkpoint;
    rf_device       device;
    struct rusage   usage;
    const double    start = now();
    must(rf_safetensors_open(&file, s.path, &err));
    must(rf_checkpoint_check(&checkpoint, rf_safetensors_list(file), &err));
    const double opened = now() - start;
    must(rf_device_open_host(&device, s.threads, RF_LEVEL_CPU, &err));
    const double peak = gemm_rate(&device, s.dtype);
    printf("%s, %d threads; header checked in %.1f ms; GEMM 4096x1280x1280 %s: %.0f GFLOP/s\n",
           rf_host_cpu_name(device.stream), rf_device_threads(&device), 1e3 * opened,
           rf_dtype_name(s.dtype), peak);
    bench_unet(rf_safetensors_list(file), &checkpoint.arch, &device, &s, peak);
    bench_vae(rf_safetensors_list(file), &checkpoint.arch, &device, &s, peak);
    getrusage(RUSAGE_SELF, &usage);
    printf("GEMM rate at the end: %.0f GFLOP/s; peak resident memory %.2f GB\n",
           gemm_rate(&device, s.dtype), 1.024e-6 * (double)usage.ru_maxrss);
    rf_safetensors_close(file);
    return 0;
}
