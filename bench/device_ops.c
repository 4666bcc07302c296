/* sm80 against the vendor, row by row: the yardstick; and the choice table that comes of it.
 *
 * Results are looked at before they are timed: sm80's against the reference where it begins, and
 * where the vendor computes the same, both as a whole, which may differ by no more than roundings.
 * The tests hold the exact bounds; this refuses nonsense. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device_bench.h"
#include "kernels/attention/sm80_attention_tiles.h"
#include "kernels/conv/conv_tiles.h"
#include "kernels/gemm/sm80_tiles.h"

static bool computes_the_same(const device_call *own, const device_call *vendors)
{
    const rf_choice_key a = device_key(own), b = device_key(vendors);
    return a.variant == b.variant && a.h == b.h && own->out_bytes == vendors->out_bytes &&
           (own->op != RF_OP_GEMM || !own->args.gemm.k1) &&
           (own->op != RF_OP_CONV || !own->args.conv.cin1);
}

/* The output as f32, or NULL. */
static float *result(device_bench *b, rf_level level, const device_call *c, size_t *elems)
{
    const size_t bytes = c->out_bytes * (size_t)c->images;
    uint16_t    *raw = malloc(bytes);
    float       *wide = malloc(2 * bytes);
    bool         good = raw && wide &&
                device_ok(b, rf_device_fill(&b->device, RF_STREAM_OPS, device_output(c), 0xFF,
                                            bytes, &b->err)) &&
                device_run(b, level, c) == RF_OK && device_get(b, raw, device_output(c), bytes);
    *elems = bytes / 2;
    for (size_t i = 0; good && i < *elems; i++) {
        wide[i] = rf_load(raw, b->dtype, i);
        good = isfinite(wide[i]);
    }
    free(raw);
    if (good) return wide;
    free(wide);
    return NULL;
}

/* |own - vendor's| / |vendor's|; infinite if a result is no good. */
static double difference(device_bench *b, const device_call *own, const device_call *vendors)
{
    size_t n = 0, other = 0;
    float *x = result(b, RF_LEVEL_SM80, own, &n), *y = result(b, RF_LEVEL_VENDOR, vendors, &other);
    double apart = 0, norm = 0;
    for (size_t i = 0; x && y && n == other && i < n; i++) {
        apart += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
        norm += (double)y[i] * (double)y[i];
    }
    const double ratio = x && y ? sqrt(apart / (norm > 0 ? norm : 1)) : INFINITY;
    free(x);
    free(y);
    return ratio;
}

/* Whether both levels' results are the same but for roundings; says so if not. */
static bool agree(device_bench *b, const device_call *own, const device_call *vendors,
                  rf_choice *algorithm)
{
    const rf_choices *before = b->gpu->choices, pinned = {.row = algorithm, .count = 1};
    size_t            workspace;
    b->gpu->choices = &pinned;
    const double apart = device_prepare(b, RF_LEVEL_VENDOR, vendors, &workspace) == RF_OK
                             ? difference(b, own, vendors)
                             : INFINITY;
    b->gpu->choices = before;
    if (apart < (b->dtype == RF_F16 ? 0x1p-8 : 0x1p-5)) return true;
    printf("%-10s %-22s refused: sm80 and vendor differ by %g\n", rf_op_name(own->op), own->row,
           apart);
    return false;
}

static bool has_library(const device_bench *b, rf_op_kind op)
{
    return op == RF_OP_GEMM ? b->has_gemm : b->has_dnn;
}

static void print_times(device_bench *b, const device_call *c, const device_figure *f)
{
    printf("%-10s %-22s %-4s %-7s %9.1f %9.1f %9.1f %8.1f %7.1f ", f->op, f->row,
           rf_dtype_name(b->dtype), f->level, f->us.median, f->us.p10, f->us.p90, f->tflops,
           f->gbytes_per_s);
    if (f->error < 0)
        printf(" %8s  ", "-");
    else
        printf(" %8.1e  ", f->error);
    if (f->share > 0) printf("%5.1f%% %s", 100 * f->share, c->compared);
    printf("%s\n", f->algorithm);
    fflush(stdout);
    device_csv(b, f);
}

static device_figure figure_of(const device_call *c, rf_level level, device_times t)
{
    return (device_figure){.op = rf_op_name(c->op),
                           .row = c->row,
                           .level = rf_level_name(level),
                           .compared = "",
                           .algorithm = "",
                           .images = c->images,
                           .us = t,
                           .tflops = 1e-6 * c->flop / t.median,
                           .gbytes_per_s = 1e-3 * c->bytes / t.median,
                           .error = -1};
}

static void numbers_of(char *text, size_t bytes, const rf_choice *row)
{
    size_t used = 0;
    *text = '\0';
    for (int i = 0; i < row->count && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%d", i ? " " : "", row->number[i]);
}

static void compare_row(device_bench *b, const device_call *own, const device_call *vendors,
                        void *user)
{
    device_times t = {0}, theirs = {0};
    rf_choice    best = {.count = 0};
    size_t       workspace;
    char         algorithm[RF_CHOICE_LINE];
    double       error;
    (void)user;
    if (device_prepare(b, RF_LEVEL_SM80, own, &workspace) != RF_OK || !device_right(b, own, &error))
        return;
    const bool found =
        vendors && has_library(b, own->op) && device_best_vendor(b, vendors, &best, &theirs);
    if (found && computes_the_same(own, vendors) && !agree(b, own, vendors, &best)) {
        b->wrong = 1;
        return;
    }
    if (!device_time(b, RF_LEVEL_SM80, own, &t)) return;
    device_figure f = figure_of(own, RF_LEVEL_SM80, t);
    f.error = error;
    if (found) {
        f.share = theirs.median / t.median;
        f.compared = own->compared;
    }
    print_times(b, own, &f);
    if (!found) return;
    numbers_of(algorithm, sizeof algorithm, &best);
    f = figure_of(vendors, RF_LEVEL_VENDOR, theirs);
    f.algorithm = algorithm;
    print_times(b, vendors, &f);
}

void bench_device_ops(device_bench *b, rf_op_kind op)
{
    printf("# images: %d, runs: %d, L2 overwritten before each (%zu MiB); error: of the reference; "
           "then: share of the vendor's best, and what is compared; or the algorithm\n",
           b->batch, b->runs, b->flush_bytes >> 20);
    printf("%-10s %-22s %-4s %-7s %9s %9s %9s %8s %7s  %8s\n", "op", "row", "type", "level",
           "median us", "p10", "p90", "TFLOP/s", "GB/s", "error");
    device_rows(b, op, compare_row, NULL);
    device_other_rows(b, op, compare_row, NULL);
}

/* ---- choosing ----------------------------------------------------------------------------- */

enum { CHOSEN_MOST = 512 };

typedef struct chosen {
    rf_choice row[CHOSEN_MOST];
    double    flop[CHOSEN_MOST]; /* of call sites with one key the largest decides */
    int       count;
    bool      cublaslt, cudnn; /* some row needs it */
} chosen;

static int tiles_of(rf_op_kind op)
{
    return op == RF_OP_GEMM   ? (int)RF_GEMM_TILES
           : op == RF_OP_CONV ? (int)RF_CONV_TILES
                              : (int)RF_ATTENTION_TILES;
}

/* The fastest tile.  Those that do not fit fall back to the rule's and win nothing. */
static bool best_tile(device_bench *b, const device_call *own, rf_choice *best, device_times *t)
{
    const rf_choices *before = b->gpu->choices;
    bool              found = false;
    const device_call timed = device_first(own, own->images < b->batch ? own->images : b->batch);
    for (int tile = 0; tile < tiles_of(own->op); tile++) {
        rf_choice        row = {.key = device_key(own), .level = RF_LEVEL_SM80, .count = 1};
        const rf_choices pinned = {.row = &row, .count = 1};
        device_times     times;
        row.number[0] = tile;
        b->gpu->choices = &pinned;
        if (!device_time(b, RF_LEVEL_SM80, &timed, &times)) break;
        if (found && times.median >= t->median) continue;
        *t = times;
        *best = row;
        found = true;
    }
    b->gpu->choices = before;
    return found;
}

static void choose_row(device_bench *b, const device_call *own, const device_call *vendors,
                       void *user)
{
    chosen      *c = user;
    device_times t = {0}, theirs = {0};
    rf_choice    best, vendor_best;
    size_t       workspace;
    char         line[RF_CHOICE_LINE];
    if (device_prepare(b, RF_LEVEL_SM80, own, &workspace) != RF_OK || !best_tile(b, own, &best, &t))
        return;
    /* Where keys are another number than queries the engine has them in a table of prompts, which
     * the vendor cannot read and whose lengths no row knows. */
    const bool prompts = best.key.op == RF_CHOICE_ATTENTION && best.key.h != best.key.w;
    if (prompts) best.key.w = 0;
    /* A candidate only where it does the very same; then it must win by more than noise. */
    if (!prompts && computes_the_same(own, vendors) && has_library(b, own->op) &&
        device_best_vendor(b, vendors, &vendor_best, &theirs) && theirs.p90 < t.p10 &&
        agree(b, own, vendors, &vendor_best)) {
        best = vendor_best;
        t = theirs;
    }
    int at = 0;
    while (at < c->count && memcmp(&c->row[at].key, &best.key, sizeof best.key) != 0) at++;
    if (at == CHOSEN_MOST || (at < c->count && c->flop[at] >= own->flop)) return;
    if (at == c->count) c->count++;
    c->row[at] = best;
    c->flop[at] = own->flop;
    rf_choice_print(line, sizeof line, &best);
    printf("%-22s %9.1f us  %s", own->row, t.median, line);
    fflush(stdout);
}

static void write_table(device_bench *b, chosen *c)
{
    char  line[RF_CHOICE_LINE];
    FILE *f = fopen(b->out_path, "wb");
    for (int i = 0; i < c->count; i++)
        if (c->row[i].level == RF_LEVEL_VENDOR)
            *(c->row[i].key.op == RF_CHOICE_GEMM ? &c->cublaslt : &c->cudnn) = true;
    if (!f) {
        perror(b->out_path);
        b->wrong = 1;
        return;
    }
    fprintf(f, "refinery-choices 1\nclass %s\n",
            b->device.choices ? b->device.choices->device_class : "sm80");
    if (c->cublaslt) fprintf(f, "cublaslt %zu\n", rf_vendor_cublaslt_version(b->gpu->vendor));
    if (c->cudnn) fprintf(f, "cudnn %zu\n", rf_vendor_cudnn_version(b->gpu->vendor));
    fprintf(f, "# Measured on %s: %d images, %d runs, medians, L2 overwritten before each.\n",
            b->device.name, b->batch, b->runs);
    for (int i = 0; i < c->count; i++) {
        rf_choice_print(line, sizeof line, &c->row[i]);
        fputs(line, f);
    }
    if (fclose(f)) b->wrong = 1;
}

void bench_choose(device_bench *b)
{
    chosen *c = calloc(1, sizeof *c);
    if (!c) {
        b->wrong = 1;
        return;
    }
    for (int bf16 = 0; bf16 < 2; bf16++) {
        b->dtype = bf16 ? RF_BF16 : RF_F16;
        device_rows(b, RF_OP_KINDS, choose_row, c);
    }
    if (!b->wrong) write_table(b, c);
    free(c);
}
