/* attention: what the sm80 level promises about bits, and the figures that need no GPU. */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/attention_gpu.h"

/* ---- bits ------------------------------------------------------------------------------------ */

typedef struct inputs {
    attention_row r;
    rf_dtype      dtype;
    uint16_t     *q, *k;
} inputs;

static inputs inputs_of(attention_row r, rf_dtype dtype)
{
    const size_t width = (size_t)r.heads * (size_t)r.d;
    inputs       in = {.r = r, .dtype = dtype};
    in.q = attention_random((size_t)r.n * (size_t)r.sq * width, dtype, 1);
    in.k = attention_random((size_t)r.n * (size_t)r.skv * 2 * width, dtype, 2);
    return in;
}

/* A part of the work: samples, heads, queries. */
typedef struct part {
    int sample, samples, head, heads, query, queries;
} part;

/* Its output, [samples][queries][heads][d]; free it. */
static uint16_t *output_of(const inputs *in, part p, gpu_settings s)
{
    const attention_row *r = &in->r;
    const size_t      width = (size_t)r->heads * (size_t)r->d, at = (size_t)p.head * (size_t)r->d;
    const size_t      rows = (size_t)p.samples * (size_t)p.queries;
    rf_attention_args a = {.n = p.samples, .sq = p.queries, .skv = r->skv, .heads = p.heads};
    a.d = r->d, a.causal = r->causal, a.dtype = in->dtype;
    a.scale = 2; /* max moves now and then */
    a.q_stride = (int)width, a.kv_stride = 2 * (int)width, a.o_stride = p.heads * r->d;
    a.q = in->q + ((size_t)p.sample * (size_t)r->sq + (size_t)p.query) * width + at;
    a.k = in->k + (size_t)p.sample * (size_t)r->skv * 2 * width + at;
    a.v = (const uint16_t *)a.k + width;
    a.o = calloc(rows, (size_t)a.o_stride * 2);
    cr_assert_not_null(a.o);
    attention_run_sm80(gpu_use(s), a);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());
    return a.o;
}

/* The same output alone, in company, under other schedules and with other tiles: the same bytes. */
static void check_bits(attention_row r, rf_dtype dtype, const part *parts, int count)
{
    inputs     in = inputs_of(r, dtype);
    const part all = {0, r.n, 0, r.heads, 0, r.sq};
    uint16_t  *want = output_of(&in, all, (gpu_settings){GPU_SHARED_H100, 0, 0});
    for (int i = 0; i < count; i++) {
        const part         p = parts[i];
        const gpu_settings s = {attention_limits[i % ATTENTION_LIMITS], (uint64_t)i, 0};
        uint16_t          *got = output_of(&in, p, s);
        const size_t       bytes = (size_t)p.heads * (size_t)r.d * 2;
        for (int b = 0; b < p.samples; b++)
            for (int q = 0; q < p.queries; q++) {
                const size_t row = (size_t)(p.sample + b) * (size_t)r.sq + (size_t)(p.query + q);
                const size_t at = (row * (size_t)r.heads + (size_t)p.head) * (size_t)r.d;
                cr_assert_arr_eq(got + ((size_t)b * (size_t)p.queries + (size_t)q) * (bytes / 2),
                                 want + at, bytes, "%s, part %d: sample %d, query %d", r.name, i, b,
                                 q);
            }
        free(got);
    }
    free(want), free(in.q), free(in.k);
}

Test(attention_bits_sm80, depend_on_neither_batch_nor_tile_nor_order, .timeout = 240)
{
    static const part narrow[] = {
        {0, 2, 0, 2, 0, 300}, {1, 1, 0, 2, 0, 300},
        {1, 1, 1, 1, 0, 300}, {0, 1, 1, 1, 5, 100}, /* a smaller tile */
        {1, 1, 0, 1, 299, 1}, {0, 1, 0, 1, 17, 64},
    };
    static const part wide[] = {
        {0, 2, 0, 1, 0, 70}, {1, 1, 0, 1, 0, 70}, {1, 1, 0, 1, 69, 1}, {0, 1, 0, 1, 6, 64}};
    check_bits((attention_row){"narrow", 2, 300, 131, 2, 64, 0}, RF_BF16, narrow, 6);
    check_bits((attention_row){"narrow", 2, 300, 131, 2, 64, 0}, RF_F16, narrow, 6);
    check_bits((attention_row){"wide", 2, 70, 131, 1, 512, 0}, RF_BF16, wide, 4);
    check_bits((attention_row){"wide", 2, 70, 131, 1, 200, 0}, RF_F16, wide, 4);
}

/* ---- the table ------------------------------------------------------------------------------- */

enum { SAMPLES = 4, HEADS = 2, BEFORE = 192 /* elements per key of another layer */ };

/* Samples with keys of their own in a pool that holds several layers: whether each gets the same
 * bits as alone with plain pointers. */
static bool table_agrees(int sq, int d, rf_dtype dtype, gpu_settings s)
{
    static const int keys[SAMPLES] = {77, 231, 1, 154};
    const size_t     width = HEADS * (size_t)d, row = (size_t)sq * width;
    rf_attention_kv  table[SAMPLES];
    uint16_t        *q = attention_random(SAMPLES * row, dtype, 7), *blocks[SAMPLES];
    uint16_t        *whole = malloc(SAMPLES * row * 2), *alone = malloc(row * 2);
    for (int b = 0; b < SAMPLES; b++) {
        blocks[b] =
            attention_random((BEFORE + 2 * width) * (size_t)keys[b], dtype, 11 + (unsigned)b);
        table[b] = (rf_attention_kv){blocks[b], keys[b], 0};
    }
    rf_attention_args a = {.o = whole, .q = q, .table = table, .kv_off = BEFORE, .n = SAMPLES};
    a.sq = sq, a.skv = 300, a.heads = HEADS, a.d = d, a.scale = 1, a.dtype = dtype;
    a.q_stride = a.o_stride = (int)width, a.kv_stride = 2 * (int)width;
    attention_run_sm80(gpu_use(s), a);
    bool agrees = !gpu_faults()[0];
    s.defect = 0;
    for (int b = 0; b < SAMPLES; b++) {
        rf_attention_args one = a;
        one.n = 1, one.table = NULL, one.skv = keys[b], one.o = alone;
        one.q = q + (size_t)b * row;
        one.k = blocks[b] + BEFORE * (size_t)keys[b];
        one.v = (const uint16_t *)one.k + width;
        attention_run_sm80(gpu_use(s), one);
        cr_expect(!gpu_faults()[0], "%s", gpu_faults());
        agrees = agrees && !memcmp(alone, whole + (size_t)b * row, row * 2);
        free(blocks[b]);
    }
    free(q), free(whole), free(alone);
    return agrees;
}

Test(attention_bits_sm80, table_gives_each_sample_its_keys, .timeout = 240)
{
    enum { FIRST_SAMPLE = 14 }; /* of kernels/attention/sm80_softmax.cuh */
    for (uint64_t seed = 0; seed < 2; seed++) {
        const gpu_settings s = {attention_limits[seed], seed, 0};
        cr_expect(table_agrees(70, 64, RF_BF16, s));
        cr_expect(table_agrees(260, 64, RF_F16, s));
        cr_expect(table_agrees(9, 72, RF_F16, s));
        if (!gpu_emulated()) continue;
        cr_expect(
            !table_agrees(70, 64, RF_F16, (gpu_settings){GPU_SHARED_SMALL, seed, FIRST_SAMPLE}));
        cr_expect(
            !table_agrees(9, 72, RF_BF16, (gpu_settings){GPU_SHARED_A100, seed, FIRST_SAMPLE}));
    }
}

/* ---- figures (issue of the CUDA engine, 6) ----------------------------------------------------
 */

/* How a tile works. */
typedef struct tile_facts {
    int rows, groups;  /* queries; cp.async groups under way, at most */
    int steps, macs_d; /* stages for a block of keys; columns that are multiplied, padding too */
} tile_facts;

static void check_figures(attention_row r, int limit, tile_facts t, bool table)
{
    const size_t      width = (size_t)r.heads * (size_t)r.d;
    inputs            in = inputs_of(r, RF_BF16);
    rf_attention_kv   entry = {in.k, r.skv, 0};
    rf_attention_args a = {.q = in.q, .k = in.k, .v = in.k + width, .n = 1, .sq = r.sq};
    a.skv = r.skv, a.heads = r.heads, a.d = r.d, a.scale = 0.125f, a.dtype = RF_BF16;
    a.q_stride = a.o_stride = (int)width, a.kv_stride = 2 * (int)width;
    if (table) a.table = &entry;
    a.o = calloc((size_t)r.sq, width * 2);
    attention_run_sm80(gpu_use((gpu_settings){limit, 0, 0}), a);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());

    const emu_counters *c = gpu_counts();
    /* q and o once; k and v once for each tile of queries. */
    const double tiles = ceil((double)r.sq / t.rows), blocks = ceil(r.skv / 64.);
    const double least = 2. * r.heads * r.d * (2. * r.sq + 2. * tiles * r.skv);
    const double moved = (double)(c->global_read_bytes + c->global_written_bytes);
    cr_expect_leq(moved, 1.15 * least, "%s: %g bytes moved, least %g", r.name, moved, least);
    if (!table) cr_expect_eq((uint64_t)moved, (uint64_t)least, "%s", r.name);
    cr_expect_eq(c->global_accesses_16, c->global_accesses, "%s", r.name);
    cr_expect_eq(c->ldmatrix_conflicts, 0, "%s", r.name);
    /* The last two stages have nothing more to fetch. */
    const double stages = blocks * t.steps;
    cr_expect_eq(c->copy_groups_max, (uint64_t)fmin(t.groups, stages - 1), "%s", r.name);
    cr_expect_float_eq((double)c->mma_covered / (double)c->mma, fmax(stages - 2, 0) / stages, 1e-9,
                       "%s", r.name);
    /* No more mma than two products of the tiles hold. */
    cr_expect_float_eq((double)c->mma * 2048, 2 * r.heads * tiles * t.rows * blocks * 64 * t.macs_d,
                       0.5, "%s", r.name);
    free(in.q), free(in.k), free(a.o);
}

Test(attention_bits_sm80, moves_little_and_early, .timeout = 240)
{
    GPU_EMULATED_ONLY();
    const tile_facts small = {64, 2, 1, 64}, tall = {128, 2, 1, 64};
    const tile_facts wide = {64, 2, 16, 512}, deep = {64, 3, 8, 512};
    check_figures((attention_row){"small", 1, 128, 320, 2, 64, 0}, GPU_SHARED_SMALL, small, false);
    check_figures((attention_row){"tall", 1, 384, 320, 2, 64, 0}, GPU_SHARED_H100, tall, false);
    check_figures((attention_row){"cross", 1, 384, 77, 2, 64, 0}, GPU_SHARED_A100, tall, true);
    check_figures((attention_row){"wide", 1, 64, 192, 1, 512, 0}, GPU_SHARED_SMALL, wide, false);
    check_figures((attention_row){"deep", 1, 128, 128, 1, 512, 0}, GPU_SHARED_H100, deep, false);
}
