/* groupnorm on the CPU: statistics by blocks of pixels, merged in a fixed order.
 *
 *   step        parallel over     what
 *   1 measure   (image, block)    per group: mean and squared deviations of the block
 *   2 merge     (image, group)    blocks in order (Chan, Golub & LeVeque 1983, eq. 2.1), in double
 *   3 apply     (image, block)    y = silu?((x - mean) * scale + beta)
 *
 * Bound by memory: x comes from memory twice and y goes there once.  Step 1 reads a block twice,
 * but the second time from L2: sums per channel give a centre, then deviations from it; the sum of
 * the deviations corrects both (the same paper, eq. 1.7), so f32 suffices far from zero.  Channels
 * are innermost, so both loops run along the row for any group width. */
#include "kernels/groupnorm/groupnorm.h"

#include <math.h>
#include <omp.h>

#include "kernels/cpu_math.h"
#include "kernels/cpu_rows.h"
#include "kernels/host.h"

enum {
    BLOCK_ELEMS = 16384, /* 64 KiB of f32: a block stays in L2 between its two readings */
    PIXELS_LEAST = 8,
    PIXELS_MOST = 512, /* bounds the length of an f32 sum */
    CHUNK = 256,       /* channels at a time in step 3 */
    ALIGNMENT = 64
};

typedef struct moments {
    double mean, squares; /* squares: sum of squared deviations */
} moments;

typedef struct plan {
    int      pixels, blocks;                            /* per block; per image */
    size_t   partial_bytes, table_bytes, scratch_bytes; /* scratch_bytes: of one thread */
    moments *partial;                                   /* [n][blocks][groups] */
    float   *mean, *scale;                              /* [n][c] */
    float   *scratch;                                   /* [threads][4][c]: see measure */
} plan;

static size_t round_up(size_t value, size_t to)
{
    return (value + to - 1) / to * to;
}

static plan plan_of(const rf_groupnorm_args *a)
{
    int pixels = BLOCK_ELEMS / a->c;
    pixels = pixels < PIXELS_LEAST ? PIXELS_LEAST : pixels > PIXELS_MOST ? PIXELS_MOST : pixels;
    plan p = {.pixels = pixels, .blocks = (int)(((long)a->hw + pixels - 1) / pixels)};
    p.partial_bytes = round_up((size_t)a->n * p.blocks * a->groups * sizeof *p.partial, ALIGNMENT);
    p.table_bytes = round_up((size_t)a->n * a->c * sizeof *p.mean, ALIGNMENT);
    p.scratch_bytes = round_up((size_t)4 * a->c * sizeof *p.scratch, ALIGNMENT);
    return p;
}

static void place(plan *p, void *workspace)
{
    char *at = (char *)round_up((uintptr_t)workspace, ALIGNMENT);
    p->partial = (moments *)(void *)at;
    at += p->partial_bytes;
    p->mean = (float *)(void *)at;
    p->scale = (float *)(void *)(at + p->table_bytes);
    p->scratch = (float *)(void *)(at + 2 * p->table_bytes);
}

rf_status rf_groupnorm_prepare_cpu(void *stream, const rf_groupnorm_args *a,
                                   size_t *workspace_bytes)
{
    *workspace_bytes = 0;
    if (rf_groupnorm_check(a) != RF_OK) return RF_E_SHAPE;
    const plan p = plan_of(a);
    *workspace_bytes = ALIGNMENT + p.partial_bytes + 2 * p.table_bytes +
                       (size_t)rf_host_threads(stream) * p.scratch_bytes;
    return RF_OK;
}

/* sum[c] += x[p][c] over the rows of one source. */
RF_INLINE void add_rows(float *restrict sum, const void *restrict x, rf_dtype t, int rows, int c)
{
    for (int r = 0; r < rows; r++) {
        const void *row = rf_at(x, t, (size_t)r * c);
        for (int i = 0; i < c; i++) sum[i] += rf_load(row, t, (size_t)i);
    }
}

/* sum[c] += x - centre, squares[c] += (x - centre)^2. */
RF_INLINE void add_deviations(float *restrict sum, float *restrict squares,
                              const float *restrict centre, const void *restrict x, rf_dtype t,
                              int rows, int c)
{
    for (int r = 0; r < rows; r++) {
        const void *row = rf_at(x, t, (size_t)r * c);
        for (int i = 0; i < c; i++) {
            const float d = rf_load(row, t, (size_t)i) - centre[i];
            sum[i] += d;
            squares[i] += d * d;
        }
    }
}

static double sum_of(const float *x, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)x[i];
    return sum;
}

/* Moments of every group over `rows` pixels from pixel `first` (counted over all images) on. */
RF_INLINE void measure_body(const rf_groupnorm_args *a, float *scratch, moments *out, size_t first,
                            int rows, const rf_dtype t)
{
    const int    c = a->c, c1 = a->c1 ? a->c1 : c, c2 = c - c1, width = c / a->groups;
    const double count = (double)rows * width;
    float       *sum = scratch, *centre = sum + c, *shift = centre + c, *squares = shift + c;
    const void  *x = rf_at(a->x, t, first * c1), *x2 = c2 ? rf_at(a->x2, t, first * c2) : NULL;

    memset(scratch, 0, (size_t)4 * c * sizeof *scratch);
    add_rows(sum, x, t, rows, c1);
    if (c2) add_rows(sum + c1, x2, t, rows, c2);
    for (int g = 0; g < a->groups; g++) {
        const float middle = (float)(sum_of(sum + g * width, width) / count);
        for (int i = 0; i < width; i++) centre[g * width + i] = middle;
    }
    add_deviations(shift, squares, centre, x, t, rows, c1);
    if (c2) add_deviations(shift + c1, squares + c1, centre + c1, x2, t, rows, c2);
    for (int g = 0; g < a->groups; g++) {
        const double off = sum_of(shift + g * width, width);
        out[g].mean = (double)centre[g * width] + off / count;
        out[g].squares = fmax(sum_of(squares + g * width, width) - off * off / count, 0);
    }
}

/* (x - mean) * scale + beta for one row of `c` channels; y may be x. */
RF_INLINE void apply_row(const rf_groupnorm_args *a, void *y, const void *x, const float *mean,
                         const float *scale, const float *beta, int c, const rf_dtype t)
{
    float row[CHUNK];
    for (int from = 0; from < c; from += CHUNK) {
        const int count = c - from < CHUNK ? c - from : CHUNK;
        rf_widen_row(row, rf_at(x, t, (size_t)from), t, (size_t)count);
        for (int i = 0; i < count; i++)
            row[i] = (row[i] - mean[from + i]) * scale[from + i] + beta[from + i];
        if (a->silu)
            for (int i = 0; i < count; i++) row[i] = rf_silu(row[i]);
        rf_narrow_row(rf_at_mut(y, t, (size_t)from), row, t, (size_t)count);
    }
}

RF_INLINE void apply_body(const rf_groupnorm_args *a, const float *mean, const float *scale,
                          size_t first, int rows, const rf_dtype t)
{
    const int c = a->c, c1 = a->c1 ? a->c1 : c, c2 = c - c1;
    for (size_t p = first; p < first + (size_t)rows; p++) {
        void *y = rf_at_mut(a->y, t, p * c);
        apply_row(a, y, rf_at(a->x, t, p * c1), mean, scale, a->beta, c1, t);
        if (c2)
            apply_row(a, rf_at_mut(y, t, (size_t)c1), rf_at(a->x2, t, p * c2), mean + c1,
                      scale + c1, a->beta + c1, c2, t);
    }
}

#define MEASURE_PARAMS                                                                             \
    (const rf_groupnorm_args *a, float *scratch, moments *out, size_t first, int rows)
#define APPLY_PARAMS                                                                               \
    (const rf_groupnorm_args *a, const float *mean, const float *scale, size_t first, int rows)

/* One copy per storage type, so that the type is a constant in every loop. */
#define FOR_TYPE(type, TYPE)                                                                       \
    RF_INLINE void measure_##type##_body MEASURE_PARAMS                                            \
    {                                                                                              \
        measure_body(a, scratch, out, first, rows, TYPE);                                          \
    }                                                                                              \
    RF_INLINE void apply_##type##_body APPLY_PARAMS                                                \
    {                                                                                              \
        apply_body(a, mean, scale, first, rows, TYPE);                                             \
    }                                                                                              \
    RF_MULTIVERSION(measure_##type, MEASURE_PARAMS, (a, scratch, out, first, rows))                \
    RF_MULTIVERSION(apply_##type, APPLY_PARAMS, (a, mean, scale, first, rows))

FOR_TYPE(f32, RF_F32)
FOR_TYPE(f16, RF_F16)
FOR_TYPE(bf16, RF_BF16)

typedef void measure_fn MEASURE_PARAMS;
typedef void apply_fn   APPLY_PARAMS;

static measure_fn *const measure[RF_DTYPES] = {measure_f32, measure_f16, measure_bf16};
static apply_fn *const   apply[RF_DTYPES] = {apply_f32, apply_f16, apply_bf16};

/* The blocks of one group in order; fills the tables of its channels. */
static void merge(const rf_groupnorm_args *a, const plan *p, int b, int g)
{
    const int      width = a->c / a->groups;
    const moments *block = p->partial + (size_t)b * p->blocks * a->groups + g;
    moments        all = {0};
    double         count = 0;
    for (int i = 0; i < p->blocks; i++, block += a->groups) {
        const int    pixels = i + 1 < p->blocks ? p->pixels : a->hw - i * p->pixels;
        const double more = (double)pixels * width, distance = block->mean - all.mean;
        all.squares += block->squares + distance * distance * count * more / (count + more);
        all.mean += distance * more / (count + more);
        count += more;
    }
    const double rstd = 1 / sqrt(all.squares / count + (double)a->eps);
    for (int c = g * width; c < (g + 1) * width; c++) {
        p->mean[(size_t)b * a->c + c] = (float)all.mean;
        p->scale[(size_t)b * a->c + c] = (float)(rstd * (double)a->gamma[c]);
    }
}

rf_status rf_groupnorm_cpu(void *stream, const rf_groupnorm_args *a)
{
    if (rf_groupnorm_check(a) != RF_OK) return RF_E_SHAPE;
    const int    threads = rf_host_threads(stream);
    plan         p = plan_of(a);
    const size_t scratch = p.scratch_bytes / sizeof *p.scratch;
    const long   items = (long)a->n * p.blocks;
    place(&p, a->workspace);

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (long i = 0; i < items; i++) {
            const long   b = i / p.blocks, block = i % p.blocks;
            const int    rows = block + 1 < p.blocks ? p.pixels : (int)(a->hw - block * p.pixels);
            const size_t first = (size_t)b * a->hw + (size_t)block * p.pixels;
            measure[a->dtype](a, p.scratch + (size_t)omp_get_thread_num() * scratch,
                              p.partial + (size_t)i * a->groups, first, rows);
        }
#pragma omp for schedule(static)
        for (long i = 0; i < (long)a->n * a->groups; i++)
            merge(a, &p, (int)(i / a->groups), (int)(i % a->groups));
#pragma omp for schedule(static)
        for (long i = 0; i < items; i++) {
            const long   b = i / p.blocks, block = i % p.blocks;
            const int    rows = block + 1 < p.blocks ? p.pixels : (int)(a->hw - block * p.pixels);
            const size_t first = (size_t)b * a->hw + (size_t)block * p.pixels;
            apply[a->dtype](a, p.mean + (size_t)b * a->c, p.scale + (size_t)b * a->c, first, rows);
        }
    }
    return RF_OK;
}
