/* refinery-bench on a GPU: options, the device, timing.
 *
 *     refinery-bench gemm|conv|attention [--row PATTERN] [--batch N] [--dtype f16|bf16]
 *     refinery-bench groupnorm|layernorm|lincomb|pixels|latent_rgb [--row PATTERN] [--dtype ...]
 *     refinery-bench choose --out FILE                       writes the choice table of the device
 *     refinery-bench network BASE [REFINER] [--size N] [--batch N]     a UNet call, and the flip
 *
 * and for all: [--device cuda:N] [--runs N] [--choices FILE] [--csv FILE] [--cublaslt FILE]
 * [--cudnn FILE].  --choices replaces the built-in table.  A pattern is a shell's.  Exit code 77:
 * there is no GPU. */
#include "bench/device_bench.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/ops.h"

enum {
    RANDOM_PERIOD = 4194301,
    FLUSH_BYTES = 256 << 20,
    STAGING_BYTES = 8 << 20,
    WARM_UPS = 3,
    EXIT_SKIPPED = 77
};

bool device_ok(device_bench *b, rf_status st)
{
    if (st == RF_OK) return true;
    fprintf(stderr, "refinery-bench: %s: %s\n", rf_status_name(st), b->err.message);
    b->wrong = 1;
    return false;
}

/* ---- memory ------------------------------------------------------------------------------- */

void *device_take(device_bench *b, size_t bytes)
{
    void *at = NULL;
    if (b->buffers == DEVICE_BUFFERS) abort();
    if (!bytes || !device_ok(b, rf_device_alloc(&b->device, &at, bytes, "bench", &b->err)))
        return NULL;
    b->buffer[b->buffers].at = at;
    b->buffer[b->buffers++].bytes = bytes;
    return at;
}

void device_give_all(device_bench *b)
{
    while (b->buffers--)
        rf_device_free(&b->device, b->buffer[b->buffers].at, b->buffer[b->buffers].bytes);
    b->buffers = 0;
}

bool device_put(device_bench *b, void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += b->staging_bytes) {
        const size_t part = bytes - at < b->staging_bytes ? bytes - at : b->staging_bytes;
        memcpy(b->staging, (const char *)from + at, part);
        if (!device_ok(b, rf_device_copy(&b->device, RF_STREAM_OPS, RF_COPY_UP, (char *)to + at,
                                         b->staging, part, &b->err)) ||
            !device_ok(b, rf_device_wait(&b->device, &b->err)))
            return false;
    }
    return true;
}

bool device_get(device_bench *b, void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += b->staging_bytes) {
        const size_t part = bytes - at < b->staging_bytes ? bytes - at : b->staging_bytes;
        if (!device_ok(b, rf_device_copy(&b->device, RF_STREAM_OPS, RF_COPY_DOWN, b->staging,
                                         (const char *)from + at, part, &b->err)) ||
            !device_ok(b, rf_device_wait(&b->device, &b->err)))
            return false;
        memcpy((char *)to + at, b->staging, part);
    }
    return true;
}

/* Sum of four uniforms, scaled to deviation 1: near enough to normal, and quick. */
static float random_normal(device_bench *b)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        b->random = b->random * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(b->random >> 40) * 0x1p-24f - 0.5f;
    }
    return sum * 1.7320508f;
}

void *device_random(device_bench *b, rf_dtype dtype, size_t elems)
{
    const size_t bytes = elems * rf_dtype_bytes(dtype);
    void        *at = device_take(b, bytes), *host = at ? malloc(bytes) : NULL;
    if (!host) return NULL;
    /* A prime, so that no two rows of a matrix are equal: a map of the VAE would take seconds. */
    const size_t period = elems < RANDOM_PERIOD ? elems : RANDOM_PERIOD;
    for (size_t i = 0; i < period; i++) rf_store(host, dtype, i, random_normal(b));
    const size_t block = period * rf_dtype_bytes(dtype);
    for (size_t i = block; i < bytes; i += block)
        memcpy((char *)host + i, host, bytes - i < block ? bytes - i : block);
    const bool there = device_put(b, at, host, bytes);
    free(host);
    return there ? at : NULL;
}

/* ---- timing ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool time_once(device_bench *b, rf_level level, const device_call *c, double *us)
{
    float ms = 0;
    if (!device_ok(
            b, rf_device_fill(&b->device, RF_STREAM_OPS, b->flush, 0, b->flush_bytes, &b->err)) ||
        !device_ok(b, rf_event_record(&b->device, b->from, RF_STREAM_OPS, &b->err)))
        return false;
    const rf_status st = device_run(b, level, c);
    if (st != RF_OK)
        return device_ok(b, rf_fail(&b->err, st, "%s %s by %s: %s", rf_op_name(c->op), c->row,
                                    rf_level_name(level),
                                    b->vendor ? rf_vendor_why(b->vendor) : "it failed"));
    if (!device_ok(b, rf_event_record(&b->device, b->to, RF_STREAM_OPS, &b->err)) ||
        !device_ok(b, rf_event_wait(&b->device, b->to, &b->err)) ||
        !device_ok(b, rf_event_between(&b->device, b->from, b->to, &ms, &b->err)))
        return false;
    *us = 1000 * (double)ms;
    return true;
}

bool device_time(device_bench *b, rf_level level, const device_call *c, device_times *out)
{
    double us[DEVICE_RUNS_MOST];
    for (int i = 0; i < WARM_UPS; i++)
        if (!time_once(b, level, c, us)) return false;
    for (int i = 0; i < b->runs; i++)
        if (!time_once(b, level, c, &us[i])) return false;
    qsort(us, (size_t)b->runs, sizeof *us, by_value);
    *out = (device_times){us[b->runs / 2], us[b->runs / 10], us[b->runs * 9 / 10]};
    return true;
}

void device_csv(device_bench *b, const device_figure *f)
{
    char error[32] = "", share[32] = "";
    if (!b->csv) return;
    if (!ftell(b->csv))
        fprintf(b->csv, "op,row,dtype,level,images,median_us,p10_us,p90_us,tflops,gbytes_per_s,"
                        "relative_error,share_of_vendor,compared,algorithm\n");
    if (f->error >= 0) snprintf(error, sizeof error, "%.3e", f->error);
    if (f->share > 0) snprintf(share, sizeof share, "%.4f", f->share);
    fprintf(b->csv, "%s,%s,%s,%s,%d,%.3f,%.3f,%.3f,%.3f,%.3f,%s,%s,%s,%s\n", f->op, f->row,
            rf_dtype_name(b->dtype), f->level, f->images, f->us.median, f->us.p10, f->us.p90,
            f->tflops, f->gbytes_per_s, error, share, f->compared, f->algorithm);
}

/* ---- opening ------------------------------------------------------------------------------ */

/* What is missing of the vendor is said, and is no fault. */
static void open_vendor(device_bench *b)
{
    rf_error  why = {0};
    rf_status st = RF_OK;
    if (!b->gpu->vendor) st = rf_vendor_create(&b->vendor, &why);
    if (st == RF_OK) {
        if (b->vendor) b->gpu->vendor = b->vendor;
        b->has_gemm = rf_vendor_open_cublaslt(b->gpu->vendor, b->cublaslt, &why) == RF_OK;
        if (!b->has_gemm) printf("# without cuBLASLt: %s\n", why.message);
        b->has_dnn = rf_vendor_open_cudnn(b->gpu->vendor, b->cudnn, &why) == RF_OK;
        if (!b->has_dnn) printf("# without cuDNN: %s\n", why.message);
        printf("# cuBLASLt %zu, cuDNN %zu\n",
               b->has_gemm ? rf_vendor_cublaslt_version(b->gpu->vendor) : 0,
               b->has_dnn ? rf_vendor_cudnn_version(b->gpu->vendor) : 0);
    } else {
        printf("# %s\n", why.message);
    }
}

static bool read_choices(device_bench *b)
{
    FILE *f = fopen(b->choices_path, "rb");
    char *text = f ? malloc(1 << 20) : NULL;
    if (!text) {
        perror(b->choices_path);
        if (f) fclose(f);
        b->wrong = 1;
        return false;
    }
    const size_t    bytes = fread(text, 1, 1 << 20, f);
    const rf_status st = rf_choices_read(&b->choices, text, bytes, b->choices_path, &b->err);
    fclose(f);
    free(text);
    if (!device_ok(b, st)) return false;
    b->gpu->choices = b->device.choices = &b->choices;
    if (!b->gpu->vendor) return true;
    return device_ok(b, rf_vendor_open_for(b->gpu->vendor, &b->choices, &b->err));
}

static bool open_device(device_bench *b)
{
    if (rf_device_open_cuda(&b->device, b->ordinal, 1, &b->err) != RF_OK) {
        printf("skipped: %s\n", b->err.message);
        b->wrong = EXIT_SKIPPED;
        return false;
    }
    b->gpu = b->device.stream;
    printf("# %s\n", b->device.name);
    const size_t all = rf_device_memory_bytes(&b->device);
    b->flush_bytes = all / 64 < FLUSH_BYTES ? all / 64 : FLUSH_BYTES;
    b->staging_bytes = STAGING_BYTES;
    open_vendor(b);
    if (b->choices_path && !read_choices(b)) return false;
    return device_ok(b, rf_event_create(&b->device, &b->from, &b->err)) &&
           device_ok(b, rf_event_create(&b->device, &b->to, &b->err)) &&
           device_ok(b, rf_device_alloc_staging(&b->device, &b->staging, b->staging_bytes,
                                                "staging", &b->err)) &&
           device_ok(b,
                     rf_device_alloc(&b->device, &b->flush, b->flush_bytes, "L2 flush", &b->err));
}

static void close_device(device_bench *b)
{
    if (!b->device.kind) return;
    device_give_all(b);
    rf_device_free(&b->device, b->flush, b->flush_bytes);
    rf_device_free_staging(&b->device, b->staging, b->staging_bytes);
    rf_event_destroy(&b->device, b->from);
    rf_event_destroy(&b->device, b->to);
    if (b->vendor) b->gpu->vendor = NULL; /* ours, not the device's */
    rf_device_close(&b->device);
    rf_vendor_destroy(b->vendor);
    rf_choices_free(&b->choices);
}

/* ---- options ------------------------------------------------------------------------------ */

static bool parse_option(device_bench *b, const char *name, const char *value)
{
    const struct {
        const char  *name;
        const char **text;
        int         *number;
        int          least, most;
    } options[] = {
        {"--row", &b->row, NULL, 0, 0},
        {"--choices", &b->choices_path, NULL, 0, 0},
        {"--cublaslt", &b->cublaslt, NULL, 0, 0},
        {"--cudnn", &b->cudnn, NULL, 0, 0},
        {"--out", &b->out_path, NULL, 0, 0},
        {"--batch", NULL, &b->batch, 1, 16},
        {"--runs", NULL, &b->runs, 1, DEVICE_RUNS_MOST},
        {"--size", NULL, &b->size, 32, 2048},
        {"--flips", NULL, &b->flips, 1, 1000},
    };
    if (!value) return false;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) != 0) continue;
        if (options[i].text) return *options[i].text = value, true;
        char      *end;
        const long n = strtol(value, &end, 10);
        *options[i].number = (int)n;
        return *value && !*end && n >= options[i].least && n <= options[i].most;
    }
    if (!strcmp(name, "--dtype")) {
        b->dtype = !strcmp(value, "bf16") ? RF_BF16 : RF_F16;
        return !strcmp(value, "bf16") || !strcmp(value, "f16");
    }
    if (!strcmp(name, "--device")) {
        char *end = NULL;
        if (!strcmp(value, "cuda")) return true;
        if (strncmp(value, "cuda:", 5) != 0 || !value[5]) return false;
        b->ordinal = (int)strtol(value + 5, &end, 10);
        return !*end;
    }
    if (strcmp(name, "--csv") != 0 || b->csv) return false;
    b->csv = fopen(value, "w");
    if (!b->csv) perror(value);
    return b->csv != NULL;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: refinery-bench gemm|conv|attention [--row PATTERN] [--batch N] [--dtype "
        "f16|bf16]\n"
        "       refinery-bench groupnorm|layernorm|lincomb|pixels|latent_rgb [--row PATTERN] ...\n"
        "       refinery-bench choose --out FILE [--row PATTERN]\n"
        "       refinery-bench network BASE [REFINER] [--size N] [--batch N] [--flips N]\n"
        "       all: [--device cuda:N] [--runs N] [--choices FILE] [--csv FILE]\n"
        "            [--cublaslt FILE] [--cudnn FILE]\n");
    return 2;
}

int bench_on_device(int argc, char **argv)
{
    device_bench b = {.batch = 2, .runs = 30, .size = 1024, .flips = 20, .dtype = RF_F16};
    b.random = 1;
    int files = 0;
    b.choosing = !strcmp(argv[1], "choose");
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-' && files < 2)
            b.file[files++] = argv[i];
        else if (!parse_option(&b, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
            return usage();
        else
            i++;
    }
    const int network = !strcmp(argv[1], "network");
    int       op = 0;
    while (op < RF_OP_KINDS && strcmp(argv[1], rf_op_name((rf_op_kind)op)) != 0) op++;
    if (op == RF_OP_EMBEDDING || op == RF_OP_TIMESTEP || op == RF_OP_RESIZE) op = RF_OP_KINDS;
    if ((op == RF_OP_KINDS && !b.choosing && !network) || (b.choosing && !b.out_path) ||
        network != (files > 0))
        return usage();
    if (open_device(&b)) {
        if (b.choosing)
            bench_choose(&b);
        else if (network)
            bench_device_network(&b);
        else
            bench_device_ops(&b, (rf_op_kind)op);
    }
    close_device(&b);
    if (b.csv && fclose(b.csv)) return 1;
    return b.wrong;
}
