/* attention: the sm80 level against the reference, at the shared memory of three kinds of device,
 * and the faults that must be caught.  What its contract promises about bits, and the figures that
 * need no GPU, are in test_attention_bits_sm80.c. */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/attention_gpu.h"

/* The order of kernels/attention/sm80_softmax.cuh. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,
    ONE_WAIT_TOO_FEW,
    LOAD_TOO_SOON,
    STALE_STAGE,
    UNGUARDED_KEYS,
    UNGUARDED_STORE,
    WRONG_SWIZZLE,
    NO_KEY_MASK,
    CAUSAL_TOO_FAR,
    NO_RESCALE,
    NO_SUM_RESCALE,
    HALF_MAX,
    HALF_SUM,
    FIRST_SAMPLE,
    NO_MAX_BARRIER,
    WEIGHTS_TOO_SOON,
    WRONG_SLICE,
    DEFECTS,
};

/* Work of the emulated device: tiles, padding and all. */
static double padded_flop(const attention_row *r)
{
    const double queries = ceil(r->sq / 64.) * 64, keys = ceil(r->skv / 64.) * 64;
    return 4.0 * r->n * r->heads * queries * keys * (r->d <= 64 ? 64 : 512);
}

/* Weights are rounded to the storage type, ex2 errs by 2^-22; f16 has units of 2^-24 below 2^-14.
 */
static attention_rounding rounding_of(rf_dtype dtype)
{
    return dtype == RF_BF16 ? (attention_rounding){.rel = CHECK_UNIT_BF16 + 0x1p-22}
                            : (attention_rounding){CHECK_UNIT_F16 + 0x1p-22, 0x1p-25};
}

/* One case; false if the row is above the flop limit. */
static bool compare(const attention_row *r, int fill, rf_dtype dtype, float scale, gpu_settings s,
                    check_verdict *verdict)
{
    check *k = check_begin("attention_sm80", r->name, fill, padded_flop(r));
    if (!k) return false;
    rf_attention_args a = attention_args(r, dtype);
    if (scale != 0) a.scale = scale;
    attention_fill(k, &a);
    attention_run_sm80(gpu_use(s), a);
    attention_compare(k, &a, rounding_of(dtype));
    *verdict = check_end(k);
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void expect_right(const attention_row *r, int fill, rf_dtype dtype, float scale,
                         gpu_settings s)
{
    check_verdict v;
    if (!compare(r, fill, dtype, scale, s, &v)) return;
    cr_expect(!v.text[0], "%d bytes shared, schedule %d: %s", s.shared_bytes_max, (int)s.seed,
              v.text);
    cr_expect(!gpu_faults()[0], "%s, %d bytes shared, schedule %d: %s", r->name, s.shared_bytes_max,
              (int)s.seed, gpu_faults());
}

/* Every fill, normal numbers on every device and under two schedules. */
static void check_reference(rf_dtype dtype)
{
    for (int i = 0; i < attention_rows_count; i++) {
        const attention_row *r = &attention_rows[i];
        for (int fill = 0; fill < CHECK_FILLS; fill++)
            for (int j = 0; j < ATTENTION_LIMITS; j++) {
                if (fill != CHECK_NORMAL && j != (fill + i) % ATTENTION_LIMITS) continue;
                const gpu_settings s = {attention_limits[j], (uint64_t)(fill + j) % 2, 0};
                expect_right(r, fill, dtype, 0, s);
            }
    }
    cr_log_info("%d cases above the flop limit", check_skipped());
}

Test(attention_sm80, matches_reference_f16, .timeout = 240)
{
    check_reference(RF_F16);
}

Test(attention_sm80, matches_reference_bf16, .timeout = 240)
{
    check_reference(RF_BF16);
}

/* Scores that make max move in every block, none at all, and of the other sign. */
Test(attention_sm80, any_scale, .timeout = 240)
{
    static const char *const names[] = {"edge_odd", "edge_block_more", "edge_wide", "edge_causal"};
    static const float       scales[] = {3.0f, 1e-30f, -0.5f};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < 3; j++)
            expect_right(attention_row_named(names[i]), CHECK_NORMAL, j % 2 ? RF_F16 : RF_BF16,
                         scales[j], (gpu_settings){attention_limits[j], j % 2, 0});
}

/* Rows of real lengths, cut down to one head and as many queries as a tile's choice needs. */
Test(attention_sm80, real_lengths, .timeout = 240)
{
    const int most_keys = gpu_checked() ? 256 : 4096; /* the same code, longer */
    for (int i = 0; i < attention_rows_count; i++) {
        attention_row r = attention_rows[i];
        if (!strncmp(r.name, "edge", 4) || r.skv > most_keys) continue;
        const int queries = r.d > 64 ? 64 : 257;
        r.n = r.heads = 1;
        if (r.sq > queries && !r.causal) r.sq = queries;
        check            *k = check_begin("attention_sm80", r.name, CHECK_NORMAL, 0);
        const rf_dtype    dtype = i % 2 ? RF_F16 : RF_BF16;
        rf_attention_args a = attention_args(&r, dtype);
        attention_fill(k, &a);
        attention_run_sm80(gpu_use((gpu_settings){attention_limits[i % ATTENTION_LIMITS], 0, 0}),
                           a);
        attention_compare(k, &a, rounding_of(dtype));
        cr_expect(!gpu_faults()[0], "%s: %s", r.name, gpu_faults());
        CHECK_END(k);
    }
}

/* ---- scores of every size -------------------------------------------------------------------- */

typedef enum course {
    RISING,    /* max moves in every block */
    FALLING,   /* the first block has it all */
    VANISHING, /* the first block and more is -infinity */
    PEAKED,    /* one key beats all others by more than any exponent */
    COURSES,
} course;

enum { COURSE_KEYS = 200, PEAK = 130, GONE = 70 };

static float course_of(course c, int key)
{
    switch (c) {
    case RISING: return 0.5f * (float)key;
    case FALLING: return -0.5f * (float)key;
    case VANISHING: return key < GONE ? -INFINITY : 0.25f * (float)(key % 5);
    default: return key == PEAK ? 60000.f : -60000.f;
    }
}

/* One head: the score of query i and key j is mostly (1 + i % 3) * course. */
static void check_course(course c, int sq, int d, rf_dtype dtype, int limit)
{
    const size_t width = (size_t)d, q_elems = (size_t)sq * width, kv = 2 * COURSE_KEYS * width;
    uint16_t    *q = attention_random(q_elems, dtype, 1), *k = attention_random(kv, dtype, 2);
    uint16_t    *o = malloc(q_elems * 2);
    for (size_t i = 0; i < (size_t)sq; i++) rf_store(q, dtype, i * width, 1 + (float)(i % 3));
    for (int j = 0; j < COURSE_KEYS; j++)
        rf_store(k, dtype, (size_t)j * 2 * width, course_of(c, j));
    rf_attention_args a = {.o = o, .q = q, .k = k, .v = k + width, .n = 1, .sq = sq, .heads = 1};
    a.skv = COURSE_KEYS, a.d = d, a.scale = 1, a.dtype = dtype;
    a.q_stride = a.o_stride = d, a.kv_stride = 2 * d;
    attention_run_sm80(gpu_use((gpu_settings){limit, 1, 0}), a);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());

    float *want = malloc(q_elems * sizeof *want), *q_wide = malloc(q_elems * sizeof *want);
    float *k_wide = malloc(kv * sizeof *want);
    for (size_t i = 0; i < q_elems; i++) q_wide[i] = rf_load(q, dtype, i);
    for (size_t i = 0; i < kv; i++) k_wide[i] = rf_load(k, dtype, i);
    rf_attention_args wide = a;
    wide.dtype = RF_F32, wide.o = want, wide.q = q_wide, wide.k = k_wide, wide.v = k_wide + width;
    cr_assert_eq(rf_attention_ref(NULL, &wide), RF_OK);
    /* |v| <= 1 and, PEAKED apart, |score| <= 3 * 100 + d: as attention_compare's bound.  PEAKED is
     * one v, exactly. */
    const double size = 300. + d, u = sqrt(d) + 2, p = rounding_of(dtype).rel;
    const double bound =
        c == PEAKED ? 0 : 2 * (p + expm1(2 * u * CHECK_UNIT_F32 * size) + COURSE_KEYS * 0x1p-25);
    for (size_t i = 0; i < q_elems; i++) {
        const double got = rf_load(o, dtype, i), ref = want[i];
        cr_assert(fabs(got - ref) <= bound + (c == PEAKED ? 0 : 2 * p * fabs(ref)),
                  "course %d, d %d, %s: element %zu is %g, not %g", (int)c, d, rf_dtype_name(dtype),
                  i, got, ref);
    }
    free(q), free(k), free(o), free(want), free(q_wide), free(k_wide);
}

Test(attention_sm80, scores_of_every_size, .timeout = 240)
{
    for (int c = RISING; c < COURSES; c++)
        for (int dtype = RF_F16; dtype <= RF_BF16; dtype++) {
            check_course((course)c, 40, 64, (rf_dtype)dtype, GPU_SHARED_SMALL);
            check_course((course)c, 257, 64, (rf_dtype)dtype, GPU_SHARED_A100);
            check_course((course)c, 40, 512, (rf_dtype)dtype,
                         dtype == RF_F16 ? GPU_SHARED_SMALL : GPU_SHARED_H100);
        }
}

/* ---- planted faults -------------------------------------------------------------------------- */

/* Which kernel shows a fault: narrow, wide, or both. */
enum where { NARROW = 1, WIDE = 2, BOTH = 3 };

static enum where shown_by(int defect)
{
    if (defect == LOAD_TOO_SOON) return NARROW;
    return defect >= NO_MAX_BARRIER ? WIDE : BOTH;
}

/* How a checked run names it; NULL: its values alone are wrong. */
static const char *kind_of(int defect)
{
    switch (defect) {
    case NO_BARRIER:
    case ONE_WAIT_TOO_FEW:
    case LOAD_TOO_SOON:
    case STALE_STAGE:
    case NO_MAX_BARRIER:
    case WEIGHTS_TOO_SOON: return "race";
    case UNGUARDED_KEYS:
    case UNGUARDED_STORE: return "bounds";
    default: return NULL;
    }
}

static void plant(int defect, const attention_row *r, gpu_settings s)
{
    check_verdict v;
    /* Large scores: max moves, and a lost lane matters. */
    const bool large = defect == NO_RESCALE || defect == NO_SUM_RESCALE;
    s.defect = defect;
    cr_assert(compare(r, CHECK_NORMAL, RF_BF16, large ? 3 : 0, s, &v));
    const char *faults = gpu_faults(), *kind = kind_of(defect);
    const bool  caught = v.text[0] || faults[0];
    cr_expect_eq(caught, defect != NO_DEFECT, "%s, defect %d, schedule %d: %s%s", r->name, defect,
                 (int)s.seed, v.text, faults);
    if (gpu_checked() && kind)
        cr_expect(strstr(faults, kind), "%s, defect %d: no %s: %s", r->name, defect, kind, faults);
}

Test(attention_sm80, planted_defects_are_caught, .timeout = 240)
{
    GPU_EMULATED_ONLY();
    static const attention_row tall = {"defect", 1, 270, 200, 1, 64, 0};
    static const attention_row causal = {"defect_causal", 1, 150, 150, 1, 64, 1};
    static const attention_row wide = {"defect_wide", 1, 40, 150, 1, 512, 0};
    static const attention_row wide_causal = {"defect_wide_causal", 1, 70, 70, 1, 512, 1};
    for (int defect = NO_DEFECT; defect < DEFECTS; defect++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            const bool         late = defect == CAUSAL_TOO_FAR;
            const gpu_settings small = {GPU_SHARED_SMALL, seed, 0};
            const gpu_settings deep = {seed ? GPU_SHARED_A100 : GPU_SHARED_SMALL, seed, 0};
            if (defect == FIRST_SAMPLE) continue; /* needs a table: test_attention_bits_sm80.c */
            if (shown_by(defect) & NARROW) plant(defect, late ? &causal : &tall, small);
            if (shown_by(defect) & WIDE) plant(defect, late ? &wide_causal : &wide, deep);
        }
}

/* ---- what is planned and what is refused ------------------------------------------------------
 */

/* Every row, also those too long to emulate. */
Test(attention_sm80, plans_every_row)
{
    for (int i = 0; i < attention_rows_count; i++)
        for (int j = 0; j < ATTENTION_LIMITS; j++) {
            const rf_gpu           *gpu = gpu_use((gpu_settings){attention_limits[j], 0, 0});
            const rf_attention_args a = attention_args(&attention_rows[i], RF_F16);
            size_t                  bytes = 1;
            cr_expect_eq(rf_attention_prepare_sm80((void *)gpu, &a, &bytes), RF_OK, "%s",
                         attention_rows[i].name);
            cr_expect_eq(bytes, 0);
        }
    cr_expect_eq(rf_attention_tile_sm80(77, 64, GPU_SHARED_H100), RF_ATTENTION_SMALL);
    cr_expect_eq(rf_attention_tile_sm80(256, 64, GPU_SHARED_SMALL), RF_ATTENTION_SMALL);
    cr_expect_eq(rf_attention_tile_sm80(1024, 64, GPU_SHARED_SMALL), RF_ATTENTION_TALL);
    cr_expect_eq(rf_attention_tile_sm80(4096, 40, GPU_SHARED_H100), RF_ATTENTION_TALL);
    cr_expect_eq(rf_attention_tile_sm80(16384, 512, GPU_SHARED_SMALL), RF_ATTENTION_WIDE);
    cr_expect_eq(rf_attention_tile_sm80(16384, 512, GPU_SHARED_A100), RF_ATTENTION_WIDE_DEEP);
    cr_expect_eq(rf_attention_tile_sm80(16384, 512, GPU_SHARED_H100), RF_ATTENTION_WIDE_DEEP);
}

static void expect_refused(const rf_gpu *gpu, rf_attention_args a, const char *why)
{
    size_t bytes;
    cr_expect_eq(rf_attention_prepare_sm80((void *)gpu, &a, &bytes), RF_E_SHAPE, "%s", why);
    cr_expect_eq(rf_attention_sm80((void *)gpu, &a), RF_E_SHAPE, "run: %s", why);
}

Test(attention_sm80, rejects_bad_sizes)
{
    const rf_gpu           *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_attention_args good = attention_args(attention_row_named("edge_odd"), RF_F16);
    rf_attention_args       a = good;
    a.n = 0, expect_refused(gpu, a, "no samples");
    a = good, a.n = 65536, expect_refused(gpu, a, "more samples than a grid has");
    a = good, a.heads = 65536, a.d = 8, a.q_stride = a.kv_stride = a.o_stride = 8 * 65536;
    expect_refused(gpu, a, "more heads than a grid has");
    a = good, a.sq = 1 << 30 | 1, expect_refused(gpu, a, "more queries than an int rounds up");
    a = good, a.skv = 1 << 30 | 1, expect_refused(gpu, a, "more keys than an int rounds up");
    a = good, a.d = 60, expect_refused(gpu, a, "d not a multiple of 8");
    a = good, a.d = 520, expect_refused(gpu, a, "d above 512");
    a = good, a.causal = 1, expect_refused(gpu, a, "causal of unequal lengths");
    a = good, a.dtype = RF_F32, expect_refused(gpu, a, "f32");
    a = good, a.q_stride++, expect_refused(gpu, a, "odd stride of q");
    a = good, a.kv_stride += 4, expect_refused(gpu, a, "stride of k not a multiple of 8");
    a = good, a.o_stride += 2, expect_refused(gpu, a, "stride of o not a multiple of 8");

    rf_attention_kv table = {0};
    a = good, a.table = &table, a.kv_off = 4, expect_refused(gpu, a, "kv_off not a multiple of 8");
    uint16_t *p = gpu_unwritten(4096);
    a = good, a.q = a.k = a.v = a.o = p, a.v = p + 4;
    cr_expect_eq(rf_attention_sm80((void *)gpu, &a), RF_E_SHAPE, "v misaligned");
    a.v = p, a.o = p + 1;
    cr_expect_eq(rf_attention_sm80((void *)gpu, &a), RF_E_SHAPE, "o misaligned");
    gpu_free_all();
    cr_expect(!gpu_faults()[0]);
}
