/* refinery-bench: options, timing, and the table.
 *
 *     refinery-bench [--op NAME] [--row NAME] [--threads N] [--seconds S] [--seed N] [--csv FILE]
 *     refinery-bench OP|choose|network ...                        on a GPU: bench/device_bench.c
 *
 * Times are of single calls on a warm host; the median is reported, p10 and p90 say how quiet the
 * machine was. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/device_bench.h"

enum { BUFFERS = 32, RUNS_LEAST = 20, RUNS_MOST = 2000 };

struct bench {
    const char        *op, *row;
    int                threads;
    double             seconds; /* per row */
    unsigned long long seed, state;
    FILE              *csv;
    rf_host           *host;
    double             gemm_rate[RF_DTYPES]; /* flop/s of the peak rows; 0 while unknown */
    double             copy_rate;            /* bytes/s */
    void              *buffers[BUFFERS];
    int                buffers_used;
    int                wrong;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool bench_wants(const bench *b, const char *op, const char *row)
{
    if (!strcmp(op, "peak")) return true;
    return (!b->op || !strcmp(b->op, op)) && (!b->row || !strcmp(b->row, row));
}

rf_host *bench_host(bench *b)
{
    return b->host;
}

void *bench_output(bench *b, size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!p || b->buffers_used == BUFFERS) {
        fprintf(stderr, "refinery-bench: out of memory\n");
        exit(1);
    }
    memset(p, 0, (bytes + 63) / 64 * 64); /* touched, so that no page fault is timed */
    return b->buffers[b->buffers_used++] = p;
}

/* Sum of four uniforms, scaled to deviation 1: near enough to normal, and quick. */
static float random_normal(bench *b)
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        b->state = b->state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(b->state >> 40) * 0x1p-24f - 0.5f;
    }
    return sum * 1.7320508f;
}

void *bench_input(bench *b, rf_dtype dtype, size_t elems)
{
    void *p = bench_output(b, elems * rf_dtype_bytes(dtype));
    for (size_t i = 0; i < elems; i++) rf_store(p, dtype, i, random_normal(b));
    return p;
}

float *bench_widened(bench *b, const void *data, rf_dtype dtype, size_t elems)
{
    float *wide = bench_output(b, elems * sizeof(float));
    for (size_t i = 0; i < elems; i++) wide[i] = rf_load(data, dtype, i);
    return wide;
}

double bench_relative_l2(const void *got, rf_dtype dtype, const float *want, size_t elems)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < elems; i++) {
        const double w = (double)want[i], d = (double)rf_load(got, dtype, i) - w;
        difference += d * d;
        norm += w * w;
    }
    const double ratio = sqrt(difference / (norm > 0 ? norm : 1));
    return isfinite(ratio) ? ratio : INFINITY;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int time_case(const bench *b, const bench_case *c, double *seconds)
{
    int          runs = 0;
    const double start = now();
    while (runs < RUNS_MOST) {
        const double spent = now() - start;
        if (spent > b->seconds && (runs >= RUNS_LEAST || spent > 10 * b->seconds)) break;
        const double t = now();
        if (c->run(b->host, c->args) != RF_OK) return 0;
        seconds[runs++] = now() - t;
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, by_value);
    return runs;
}

static void print_case(bench *b, const bench_case *c, const double *seconds, int runs, double error)
{
    const double median = seconds[runs / 2], p10 = seconds[runs / 10], p90 = seconds[runs * 9 / 10];
    const double flops = c->flop / median, bytes = c->bytes / median;
    if (!strcmp(c->op, "peak")) {
        if (c->flop > 0)
            b->gemm_rate[c->dtype] = flops;
        else
            b->copy_rate = bytes;
    }
    const double gemm = b->gemm_rate[c->dtype], copy = b->copy_rate;
    const double of_gemm = gemm > 0 ? 100 * flops / gemm : 0;
    const double of_copy = copy > 0 ? 100 * bytes / copy : 0;
    printf("%-10s %-22s %-4s %9.3f %9.3f %9.3f %5d %8.1f %5.1f%% %7.1f %5.1f%%  %.1e\n", c->op,
           c->row, rf_dtype_name(c->dtype), 1e3 * median, 1e3 * p10, 1e3 * p90, runs, 1e-9 * flops,
           of_gemm, 1e-9 * bytes, of_copy, error);
    fflush(stdout);
    if (b->csv)
        fprintf(b->csv, "%s,%s,%s,%d,%.9f,%.9f,%.9f,%.0f,%.0f,%.3f,%.2f,%.3f,%.2f,%.3e\n", c->op,
                c->row, rf_dtype_name(c->dtype), runs, median, p10, p90, c->bytes, c->flop,
                1e-9 * flops, of_gemm, 1e-9 * bytes, of_copy, error);
}

void bench_run(bench *b, const bench_case *c)
{
    static double seconds[RUNS_MOST];
    /* 8 roundings of the storage type: the tests hold the exact bounds, this refuses nonsense. */
    const double limit = c->dtype == RF_F32 ? 0x1p-18 : c->dtype == RF_F16 ? 0x1p-8 : 0x1p-5;
    const double error = c->run(b->host, c->args) == RF_OK ? c->error(b, c->args) : INFINITY;
    if (error <= limit) {
        const int runs = time_case(b, c, seconds);
        if (runs) print_case(b, c, seconds, runs, error);
    } else {
        printf("%-10s %-22s %-4s refused: relative error %g exceeds %g\n", c->op, c->row,
               rf_dtype_name(c->dtype), error, limit);
        b->wrong = 1;
    }
    while (b->buffers_used) free(b->buffers[--b->buffers_used]);
}

static void usage(void)
{
    fprintf(stderr, "usage: refinery-bench [--op NAME] [--row NAME] [--threads N] [--seconds S] "
                    "[--seed N] [--csv FILE]\n"
                    "       refinery-bench OP|choose|network ...     on a GPU\n");
    exit(2);
}

static void parse(bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) usage();
        if (!strcmp(argv[i], "--op"))
            b->op = value;
        else if (!strcmp(argv[i], "--row"))
            b->row = value;
        else if (!strcmp(argv[i], "--threads"))
            b->threads = (int)strtol(value, NULL, 10);
        else if (!strcmp(argv[i], "--seconds"))
            b->seconds = strtod(value, NULL);
        else if (!strcmp(argv[i], "--seed"))
            b->seed = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "--csv"))
            b->csv = fopen(value, "w");
        else
            usage();
        if (!strcmp(argv[i], "--csv") && !b->csv) perror(value), exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-') return bench_on_device(argc, argv);
    bench b = {.seconds = 0.5, .seed = 1};
    parse(&b, argc, argv);
    b.state = b.seed;
    rf_error err;
    if (rf_host_create(&b.host, b.threads, &err) != RF_OK) {
        fprintf(stderr, "refinery-bench: %s\n", err.message);
        return 1;
    }
    printf("cpu: %s, threads: %d, seed: %llu\n", rf_host_cpu_name(b.host), rf_host_threads(b.host),
           b.seed);
    printf("%-10s %-22s %-4s %9s %9s %9s %5s %8s %6s %7s %6s  %s\n", "op", "row", "type",
           "median ms", "p10", "p90", "runs", "GFLOP/s", "gemm", "GB/s", "copy", "error");
    if (b.csv)
        fprintf(b.csv, "op,row,dtype,runs,median_s,p10_s,p90_s,bytes,flop,gflops,percent_of_gemm,"
                       "gbytes_per_s,percent_of_copy,relative_error\n");
    bench_peaks(&b);
    bench_gemm(&b);
    bench_gemm_pack(&b);
    bench_conv(&b);
    bench_attention(&b);
    bench_groupnorm(&b);
    bench_layernorm(&b);
    bench_embedding(&b);
    bench_timestep(&b);
    bench_resize(&b);
    bench_lincomb(&b);
    bench_pixels(&b);
    bench_latent_rgb(&b);
    rf_host_destroy(b.host);
    if (b.csv && fclose(b.csv)) return 1;
    return b.wrong;
}
