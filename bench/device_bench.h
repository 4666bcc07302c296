/* What the benches on a GPU share: options, memory, timing, and calls of an op at any level.
 *
 * Times are of single calls between two events, after warm-up, with the L2 cache overwritten before
 * each: in the engine a call's weights come from memory too.  The median counts. */
#ifndef RF_DEVICE_BENCH_H
#define RF_DEVICE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/core/program.h"
#include "kernels/device/gpu.h"
#include "kernels/device/vendor.h"

enum { DEVICE_BUFFERS = 16, DEVICE_RUNS_MOST = 1000 };

typedef struct device_bench {
    const char *row, *choices_path, *cublaslt, *cudnn, *out_path, *file[2];
    int         ordinal, batch, runs, size, flips;
    bool        choosing; /* calls have as many images as are ever planned; `batch` are timed */
    rf_dtype    dtype;
    FILE       *csv; /* NULL: none */

    rf_device  device;
    rf_gpu    *gpu; /* device.stream */
    rf_choices choices;
    rf_vendor *vendor; /* NULL: this build has none */
    bool       has_gemm, has_dnn;
    rf_event  *from, *to;
    void      *flush;
    size_t     flush_bytes;
    void      *staging;
    size_t     staging_bytes;
    struct {
        void  *at;
        size_t bytes;
    } buffer[DEVICE_BUFFERS];
    int      buffers;
    uint64_t random;
    int      wrong; /* the exit code */
    rf_error err;
} device_bench;

/* refinery-bench OP|choose|network ...; returns the exit code, 77 where there is no GPU. */
int bench_on_device(int argc, char **argv);

/* Prints the device's error and ends the program's part in `wrong`. */
bool device_ok(device_bench *b, rf_status st);

/* Memory of the current row; NULL once something failed, which has been said. */
void *device_take(device_bench *b, size_t bytes);
void *device_random(device_bench *b, rf_dtype dtype, size_t elems); /* normal(0, 1), nearly */
void  device_give_all(device_bench *b);
bool  device_put(device_bench *b, void *to, const void *from, size_t bytes);
bool  device_get(device_bench *b, void *to, const void *from, size_t bytes);

/* One call of an op: `batch` images of device memory. */
typedef struct device_call {
    rf_op_kind  op;
    const char *row;
    int         images;
    union {
        rf_gemm_args       gemm;
        rf_conv_args       conv;
        rf_attention_args  attention;
        rf_groupnorm_args  groupnorm;
        rf_layernorm_args  layernorm;
        rf_lincomb_args    lincomb;
        rf_pixels_args     pixels;
        rf_latent_rgb_args latent_rgb;
    } args;
    const void *weights; /* of gemm and conv, before they are packed */
    double      flop, bytes;
    size_t      out_bytes; /* of one image */
    const char *compared;  /* what is compared with the vendor's */
} device_call;

/* Of gemm, conv and attention: image `i` of a call, alone; its first `images`; its key. */
device_call   device_image(const device_call *c, int i);
device_call   device_first(const device_call *c, int images);
void         *device_output(const device_call *c);
rf_status     device_prepare(const device_bench *b, rf_level level, const device_call *c,
                             size_t *workspace_bytes);
rf_status     device_run(const device_bench *b, rf_level level, const device_call *c);
rf_choice_key device_key(const device_call *c);

/* Whether what the output of a run by sm80 begins with is the reference's, but for roundings; says
 * so if not.  *error: |got - want| / |want|, negative where the reference would take too long. */
bool device_right(device_bench *b, const device_call *c, double *error);

/* Microseconds: median, p10, p90.  False if a run failed, which has been said. */
typedef struct device_times {
    double median, p10, p90;
} device_times;
bool device_time(device_bench *b, rf_level level, const device_call *c, device_times *out);

/* Whether every image of a call has the bytes that it has alone, in batches of 1, 2, 4, 8 and 16 as
 * far as the call has images: what pins an algorithm.  Overwrites the output. */
bool device_same_bytes(device_bench *b, rf_level level, const device_call *c);

/* The fastest algorithm of the vendor, pinned in *best; when choosing, of those that keep their
 * bytes.  False if there is none, which has been said. */
bool device_best_vendor(device_bench *b, const device_call *c, rf_choice *best, device_times *t);

/* A line of the CSV file, if there is one. */
typedef struct device_figure {
    const char  *op, *row, *level, *compared, *algorithm;
    int          images;
    device_times us;
    double       tflops, gbytes_per_s, error, share;
} device_figure;
void device_csv(device_bench *b, const device_figure *f);

/* Whether the user wants this row: all but the edge cases, unless named by a pattern. */
bool device_wants(const device_bench *b, const char *row);

/* Walks the shape table of an op (RF_OP_KINDS: of all with a choice of levels), a call at a time.
 * `vendors` is NULL where the vendor has no such op. */
typedef void device_row_fn(device_bench *b, const device_call *own, const device_call *vendors,
                           void *user);
void         device_rows(device_bench *b, rf_op_kind op, device_row_fn *each, void *user);
void         device_other_rows(device_bench *b, rf_op_kind op, device_row_fn *each, void *user);

void bench_device_ops(device_bench *b, rf_op_kind op);
void bench_choose(device_bench *b);
void bench_device_network(device_bench *b);

#endif
