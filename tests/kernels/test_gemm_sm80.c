/* gemm: the sm80 level against the reference, at the shared memory of three kinds of device, and
 * what its contract promises about bits. */
#include <math.h>
#include <stdlib.h>

#include "kernels/choice/choice.h"
#include "kernels/gemm/sm80_tiles.h"
#include "tests/kernels/gemm_case.h"
#include "tests/kernels/gpu_case.h"

typedef enum added { NO_RESIDUAL, RESIDUAL, IN_PLACE, RESIDUALS } added;

static const int limits[] = {GPU_SHARED_SMALL, GPU_SHARED_A100, GPU_SHARED_H100};
enum { LIMITS = 3 };

/* The order of kernels/device/matmul.cuh, then of kernels/gemm/sm80.cu. */
enum defect {
    NO_DEFECT,
    NO_BARRIER,
    ONE_WAIT_TOO_FEW,
    NO_BARRIER_AT_END,
    WRONG_SWIZZLE,
    STALE_STAGE,
    NO_TAIL,
    UNGUARDED_ROWS,
    UNGUARDED_STORE,
    SWAPPED_GATE,
    SECOND_SOURCE_LATE,
    DEFECTS,
};

/* Packs and runs `a`, whose pointers are the host's, on the device; y comes back.  With `offset`
 * every pointer is only aligned to that many bytes. */
static void run_sm80(const rf_gpu *gpu, rf_gemm_args a, size_t offset)
{
    const size_t m = (size_t)a.m, n = (size_t)a.n, k = (size_t)a.k,
                 k1 = (size_t)(a.k1 ? a.k1 : a.k);
    const size_t               out_bytes = m * (a.act == RF_ACT_GEGLU ? n / 2 : n) * 2;
    void                      *y = a.y;
    const bool                 in_place = a.residual == y;
    const rf_gemm_weight_shape shape = {a.n, a.k, a.dtype, a.wdtype, a.act};
    size_t                     packed_bytes, workspace_bytes;
    cr_assert_eq(rf_gemm_pack_bytes_sm80((void *)gpu, &shape, &packed_bytes), RF_OK);
    cr_assert_eq(rf_gemm_prepare_sm80((void *)gpu, &a, &workspace_bytes), RF_OK);
    cr_assert_eq(workspace_bytes, 0);

    char *garbage = malloc(packed_bytes); /* what is not packed must not be read */
    cr_assert_not_null(garbage);
    memset(garbage, 0xFF, packed_bytes);
    void *packed = gpu_upload(garbage, packed_bytes);
    free(garbage);
    rf_gemm_pack_sm80((void *)gpu, &shape, packed, gpu_upload(a.w, n * k * 2));
    a.w = packed;
    a.x = gpu_upload_at(a.x, m * k1 * 2, offset);
    a.x2 = gpu_upload_at(a.x2, m * (k - k1) * 2, offset);
    a.bias = gpu_upload_at(a.bias, n * sizeof(float), offset & ~(size_t)3);
    a.y = gpu_upload_at(y, out_bytes, offset);
    a.residual = in_place ? a.y : gpu_upload_at(a.residual, out_bytes, offset);
    rf_gemm_sm80((void *)gpu, &a); /* a fault is in gpu_faults, and may be wanted */
    gpu_download(y, a.y, out_bytes);
    gpu_free_all();
}

/* Work of the emulated device: tiles, padding and all. */
static double padded_flop(const gemm_row *r)
{
    const double bm = 256, bn = 160, bk = 64;
    const bool   small = r->n <= 64 || r->k <= 64;
    return 2 * (small ? ceil(r->m / 64.) * 64 : ceil(r->m / bm) * bm) *
           (small ? ceil(r->n / 64.) * 64 : ceil(r->n / bn) * bn) * ceil(r->k / bk) * bk;
}

/* One case; returns false if the row is above the flop limit. */
static bool compare(const gemm_row *r, int fill, rf_dtype dtype, added mode, bool biased,
                    gpu_settings settings, check_verdict *verdict)
{
    const size_t k1 = (size_t)(r->k1 ? r->k1 : r->k), m = (size_t)r->m;
    const size_t out = m * (size_t)gemm_cols(r);
    check       *k = check_begin("gemm_sm80", r->name, fill, padded_flop(r));
    if (!k) return false;

    const void  *residual = mode == NO_RESIDUAL ? NULL : check_input(k, dtype, out);
    rf_gemm_args a = {.m = r->m, .n = r->n, .k = r->k, .k1 = r->k1, .act = r->act};
    a.dtype = a.wdtype = dtype;
    a.x = check_input(k, dtype, m * k1);
    if (r->k1) a.x2 = check_input(k, dtype, m * ((size_t)r->k - k1));
    a.w = check_input(k, dtype, (size_t)r->n * (size_t)r->k);
    if (biased) a.bias = check_input(k, RF_F32, (size_t)r->n);
    a.y = mode == IN_PLACE ? check_output_from(k, dtype, residual, out)
                           : check_output(k, dtype, 1, out, out);
    a.residual = mode == IN_PLACE ? a.y : residual;

    const check_bound bound = {
        .ref = gemm_reference(k, a, residual, r->act, CHECK_EXACT),
        .magnitude = gemm_magnitude(k, &a, residual),
        .rel = check_sum_error(r->k + 2, CHECK_UNIT_F32),
    };
    run_sm80(gpu_use(settings), a, 0);
    check_compare(k, a.y, &bound, "m n", r->m, gemm_cols(r));
    *verdict = check_end(k);
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void expect_right(const gemm_row *r, int fill, rf_dtype dtype, added mode, gpu_settings s)
{
    check_verdict v;
    if (r->act == RF_ACT_GEGLU) mode = NO_RESIDUAL;
    if (!compare(r, fill, dtype, mode, fill != 3, s, &v)) return;
    cr_expect(!v.text[0], "%d bytes shared, schedule %d: %s", s.shared_bytes_max, (int)s.seed,
              v.text);
    cr_expect(!gpu_faults()[0], "%s, %d bytes shared, schedule %d: %s", r->name, s.shared_bytes_max,
              (int)s.seed, gpu_faults());
}

/* Every fill once, normal numbers on every device and under two schedules. */
static void check_reference(rf_dtype dtype)
{
    for (int i = 0; i < gemm_rows_count; i++) {
        const gemm_row *r = &gemm_rows[i];
        for (int fill = 1; fill < CHECK_FILLS; fill++) {
            const gpu_settings s = {limits[(fill + i) % LIMITS], (uint64_t)fill % 2, 0};
            expect_right(r, fill, dtype, (added)((fill + i) % RESIDUALS), s);
        }
        for (int j = 0; j < 2 * LIMITS; j++) {
            const gpu_settings s = {limits[j / 2], (uint64_t)(j % 2), 0};
            expect_right(r, CHECK_NORMAL, dtype, (added)(j % RESIDUALS), s);
        }
    }
    cr_log_info("%d cases above the flop limit", check_skipped());
}

Test(gemm_sm80, matches_reference_f16, .timeout = 120)
{
    check_reference(RF_F16);
}

Test(gemm_sm80, matches_reference_bf16, .timeout = 120)
{
    check_reference(RF_BF16);
}

/* In place or not, for every activation, at widths that allow 16-byte pieces and that do not. */
Test(gemm_sm80, residuals, .timeout = 60)
{
    for (int act = RF_ACT_NONE; act < RF_ACT_GEGLU; act++)
        for (int two = 0; two < 2; two++)
            for (int mode = 0; mode < RESIDUALS; mode++) {
                const int      n = act % 2 ? 72 : 75;
                const gemm_row r = {"residual", 70, n, 80, two * 16, (rf_act)act};
                expect_right(&r, CHECK_NORMAL, act % 2 ? RF_F16 : RF_BF16, (added)mode,
                             (gpu_settings){GPU_SHARED_SMALL, 0, 0});
            }
}

Test(gemm_sm80, planted_defects_are_caught, .timeout = 60)
{
    GPU_EMULATED_ONLY();
    /* Every tail, two sources; and gated. */
    static const gemm_row plain = {"defect", 130, 136, 328, 200, RF_ACT_NONE};
    static const gemm_row small = {"defect_small", 70, 68, 40, 0, RF_ACT_NONE};
    static const gemm_row gated = {"defect_gated", 70, 80, 72, 0, RF_ACT_GEGLU};
    for (int defect = NO_DEFECT; defect < DEFECTS; defect++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            const gemm_row *r = defect == SWAPPED_GATE      ? &gated
                                : defect == UNGUARDED_STORE ? &small
                                                            : &plain;
            /* These two need every access to be looked at. */
            if (!gpu_checked() && (defect == NO_BARRIER_AT_END || defect == UNGUARDED_STORE))
                continue;
            const gpu_settings s = {GPU_SHARED_SMALL, seed, defect};
            check_verdict      v;
            compare(r, CHECK_NORMAL, RF_BF16, NO_RESIDUAL, true, s, &v);
            const char *faults = gpu_faults();
            const bool  caught = v.text[0] || faults[0];
            cr_expect_eq(caught, defect != NO_DEFECT, "defect %d: %s%s", defect, v.text, faults);
            if (!gpu_checked()) continue;
            const char *kind = defect <= NO_BARRIER_AT_END || defect == STALE_STAGE ? "race"
                               : defect == UNGUARDED_ROWS || defect == UNGUARDED_STORE
                                   ? "bounds"
                                   : NULL; /* seen by its values alone */
            if (defect && kind)
                cr_expect(strstr(faults, kind), "defect %d: no %s: %s", defect, kind, faults);
        }
}

/* ---- bits ------------------------------------------------------------------------------------ */

typedef struct inputs {
    gemm_row r;
    rf_dtype dtype;
    void    *x, *x2, *w, *residual;
    float   *bias;
} inputs;

static void *fill_random(rf_dtype dtype, size_t elems, unsigned seed)
{
    void *p = malloc(elems * rf_dtype_bytes(dtype));
    cr_assert_not_null(p);
    for (size_t i = 0; i < elems; i++) {
        seed = seed * 1664525u + 1013904223u;
        rf_store(p, dtype, i, (float)(int)(seed >> 8) * 0x1p-23f - 1);
    }
    return p;
}

static inputs inputs_of(gemm_row r, rf_dtype dtype)
{
    const size_t m = (size_t)r.m, k1 = (size_t)(r.k1 ? r.k1 : r.k);
    inputs       in = {.r = r, .dtype = dtype};
    in.x = fill_random(dtype, m * k1, 1);
    if (r.k1) in.x2 = fill_random(dtype, m * ((size_t)r.k - k1), 2);
    in.w = fill_random(dtype, (size_t)r.n * (size_t)r.k, 3);
    in.bias = fill_random(RF_F32, (size_t)r.n, 4);
    if (r.act != RF_ACT_GEGLU) in.residual = fill_random(dtype, m * (size_t)r.n, 5);
    return in;
}

static void free_inputs(inputs *in)
{
    free(in->x), free(in->x2), free(in->w), free(in->bias), free(in->residual);
}

/* Rows first .. first+m-1 of the result; free it. */
static char *rows_of(const inputs *in, int first, int m, gpu_settings s, size_t offset)
{
    const gemm_row *r = &in->r;
    const size_t    k1 = (size_t)(r->k1 ? r->k1 : r->k), row = (size_t)first;
    const size_t    bytes = (size_t)gemm_cols(r) * 2;
    rf_gemm_args    a = {.m = m, .n = r->n, .k = r->k, .k1 = r->k1, .act = r->act};
    a.dtype = a.wdtype = in->dtype;
    a.bias = in->bias;
    a.w = in->w;
    a.x = (char *)in->x + row * k1 * 2;
    if (in->x2) a.x2 = (char *)in->x2 + row * ((size_t)r->k - k1) * 2;
    if (in->residual) a.residual = (char *)in->residual + row * bytes;
    a.y = calloc((size_t)m, bytes);
    cr_assert_not_null(a.y);
    run_sm80(gpu_use(s), a, offset);
    cr_expect(!gpu_faults()[0], "%s", gpu_faults());
    return a.y;
}

/* The same rows alone, among others, under another schedule, with other tiles, and with x moved
 * element by element: the same bytes. */
static void check_bits(gemm_row r, rf_dtype dtype)
{
    inputs       in = inputs_of(r, dtype);
    const size_t bytes = (size_t)gemm_cols(&r) * 2;
    char        *want = rows_of(&in, 0, r.m, (gpu_settings){GPU_SHARED_H100, 0, 0}, 0);
    const struct {
        int    first, m, limit, seed;
        size_t offset;
    } ways[] = {{0, 1, GPU_SHARED_H100, 0, 0},       {r.m - 1, 1, GPU_SHARED_H100, 1, 0},
                {3, 64, GPU_SHARED_A100, 0, 0},      {0, r.m, GPU_SHARED_SMALL, 3, 0},
                {5, r.m - 5, GPU_SHARED_A100, 2, 2}, {0, r.m, GPU_SHARED_H100, 5, 0}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const gpu_settings s = {ways[i].limit, (uint64_t)ways[i].seed, 0};
        char              *got = rows_of(&in, ways[i].first, ways[i].m, s, ways[i].offset);
        cr_expect(!memcmp(got, want + (size_t)ways[i].first * bytes, (size_t)ways[i].m * bytes),
                  "%s: way %zu differs", r.name, i);
        free(got);
    }
    free(want);
    free_inputs(&in);
}

Test(gemm_sm80, bits_depend_on_neither_m_nor_tile_nor_order, .timeout = 60)
{
    check_bits((gemm_row){"tall", 140, 320, 136, 64, RF_ACT_SILU}, RF_BF16);
    check_bits((gemm_row){"gated", 140, 320, 136, 0, RF_ACT_GEGLU}, RF_F16);
}

/* A row of the choice table names the tile, which changes no byte; one that does not fit the device
 * is left alone. */
Test(gemm_sm80, the_tables_tile_gives_the_same_bytes, .timeout = 60)
{
    inputs       in = inputs_of((gemm_row){"table", 70, 320, 136, 0, RF_ACT_NONE}, RF_F16);
    const size_t bytes = 70 * 320 * 2;
    char        *want = rows_of(&in, 0, 70, (gpu_settings){GPU_SHARED_H100, 0, 0}, 0);
    for (int tile = 0; tile <= RF_GEMM_TILES; tile++)
        for (int i = 0; i < LIMITS; i++) {
            rf_choice        row = {.key = {RF_CHOICE_GEMM, RF_F16, RF_ACT_NONE, 320, 136, 0, 0},
                                    .level = RF_LEVEL_SM80,
                                    .count = 1};
            const rf_choices table = {.row = &row, .count = 1};
            row.number[0] = tile;
            gpu_choose(&table);
            char *got = rows_of(&in, 0, 70, (gpu_settings){limits[i], 0, 0}, 0);
            gpu_choose(NULL);
            cr_expect(!memcmp(got, want, bytes), "tile %d", tile);
            free(got);
        }
    free(want);
    free_inputs(&in);
}

/* ---- real widths -------------------------------------------------------------------------------
 */

/* Elements of a real row against sums in double, here and there: the reference takes too long. */
static void check_sample(const char *name, int m, int limit)
{
    gemm_row r = *gemm_row_named(name);
    r.m = m;
    inputs in = inputs_of(r, RF_BF16);
    char  *y = rows_of(&in, 0, m, (gpu_settings){limit, 0, 0}, 0);
    for (int i = 0; i < 500; i++) {
        const size_t row = (size_t)(i * 7919 % m), col = (size_t)(i * 104729 % r.n);
        const size_t k = (size_t)r.k, at = row * (size_t)r.n + col;
        double       want = (double)in.bias[col] + (double)rf_load(in.residual, RF_BF16, at);
        double       size = fabs(want);
        for (size_t j = 0; j < k; j++) {
            const double term = (double)rf_load(in.x, RF_BF16, row * k + j) *
                                (double)rf_load(in.w, RF_BF16, col * k + j);
            want += term, size += fabs(term);
        }
        const double bound =
            2 * size * check_sum_error(r.k + 2, CHECK_UNIT_F32) + 4 * fabs(want) * CHECK_UNIT_BF16;
        cr_expect_float_eq((double)rf_load(y, RF_BF16, at), want, bound, "%s: row %zu col %zu",
                           name, row, col);
    }
    free(y);
    free_inputs(&in);
}

Test(gemm_sm80, real_widths, .timeout = 120)
{
    if (gpu_checked()) return; /* the same code as in the small shapes, for 3 times as long */
    check_sample("unet_1k_2", 40, GPU_SHARED_A100);
    check_sample("unet_1k_2", 40, GPU_SHARED_SMALL);
    check_sample("unet_4k_1", 70, GPU_SHARED_H100);
    check_sample("refiner_1k_2", 40, GPU_SHARED_A100);
    check_sample("refiner_4k_1", 70, GPU_SHARED_H100);
}

/* ---- tiles, traffic, pipeline ---------------------------------------------------------------- */

Test(gemm_sm80, tile_depends_on_the_device_and_the_weights)
{
    cr_expect_eq(rf_gemm_tile_sm80(4, 4, GPU_SHARED_H100), RF_GEMM_SMALL);
    cr_expect_eq(rf_gemm_tile_sm80(768, 768, GPU_SHARED_H100), RF_GEMM_SQUARE);
    cr_expect_eq(rf_gemm_tile_sm80(1280, 1280, GPU_SHARED_SMALL), RF_GEMM_SQUARE);
    cr_expect_eq(rf_gemm_tile_sm80(1280, 1280, GPU_SHARED_A100), RF_GEMM_WIDE);
    cr_expect_eq(rf_gemm_tile_sm80(10240, 1280, GPU_SHARED_A100), RF_GEMM_WIDE);
    cr_expect_eq(rf_gemm_tile_sm80(1280, 5120, GPU_SHARED_H100), RF_GEMM_WIDE);
    cr_expect_eq(rf_gemm_tile_sm80(10240, 1280, GPU_SHARED_H100), RF_GEMM_TALL);
}

/* What a tile must move, in bytes: its rows of x and w, its bias, its part of y. */
static double least_traffic(const gemm_row *r, int bm, int bn)
{
    const double m = r->m, n = r->n, k = r->k, cols = gemm_cols(r);
    return 2 * (ceil(n / bn) * m * k + ceil(m / bm) * n * k + m * cols) + 4 * ceil(m / bm) * n;
}

/* Figures that need no GPU (issue of the CUDA engine, 6). */
static void check_figures(gemm_row r, int limit, int bm, int bn)
{
    inputs in = inputs_of(r, RF_BF16);
    free(in.residual);
    in.residual = NULL;
    free(rows_of(&in, 0, r.m, (gpu_settings){limit, 0, 0}, 0));
    const emu_counters *c = gpu_counts();
    /* Packing wrote what it read; nothing else of it counts here. */
    const double pack_bytes = gpu_checked() ? 4.0 * r.n * r.k : 0;
    const double moved = (double)(c->global_read_bytes + c->global_written_bytes) - pack_bytes;
    cr_expect_leq(moved, 1.15 * least_traffic(&r, bm, bn), "%s: %g bytes moved, least %g", r.name,
                  moved, least_traffic(&r, bm, bn));
    cr_expect_eq(c->ldmatrix_conflicts, 0, "%s", r.name);
    cr_expect_eq(c->copy_groups_max, (uint64_t)(limit == GPU_SHARED_SMALL ? 2 : 3), "%s", r.name);
    /* The last two steps of k have nothing more to fetch. */
    const double steps = ceil(r.k / 64.);
    cr_expect_float_eq((double)c->mma_covered / (double)c->mma, (steps - 2) / steps, 1e-9, "%s",
                       r.name);
    /* No more mma than the tiles hold. */
    const double macs = ceil((double)r.m / bm) * bm * ceil((double)r.n / bn) * bn * steps * 64;
    cr_expect_float_eq((double)c->mma * 2048, macs, 0.5, "%s", r.name);
    if (!gpu_checked()) /* packing moves 2 bytes at a time, once in the life of a model */
        cr_expect_eq(c->global_accesses_16, c->global_accesses, "%s", r.name);
    free_inputs(&in);
}

Test(gemm_sm80, moves_little_and_early, .timeout = 60)
{
    GPU_EMULATED_ONLY();
    check_figures((gemm_row){"square", 256, 256, 640, 0, RF_ACT_NONE}, GPU_SHARED_SMALL, 128, 128);
    check_figures((gemm_row){"wide", 128, 480, 640, 320, RF_ACT_GELU}, GPU_SHARED_A100, 128, 160);
    check_figures((gemm_row){"tall", 256, 320, 640, 0, RF_ACT_GEGLU}, GPU_SHARED_H100, 256, 160);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void expect_refused(const rf_gpu *gpu, rf_gemm_args a, const char *why)
{
    size_t   bytes;
    uint16_t y = 0x1234;
    cr_expect_eq(rf_gemm_prepare_sm80((void *)gpu, &a, &bytes), RF_E_SHAPE, "%s", why);
    a.y = &y;
    cr_expect_eq(rf_gemm_sm80((void *)gpu, &a), RF_E_SHAPE, "run: %s", why);
    cr_expect_eq(y, 0x1234);
}

Test(gemm_sm80, rejects_bad_sizes)
{
    const rf_gpu      *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_gemm_args good = {.m = 2, .n = 4, .k = 8, .dtype = RF_BF16, .wdtype = RF_BF16};
    float              residual = 0;
    size_t             bytes;
    rf_gemm_args       a = good;
    cr_expect_eq(rf_gemm_prepare_sm80((void *)gpu, &a, &bytes), RF_OK);
    a.m = 0, expect_refused(gpu, a, "no rows");
    a = good, a.m = 1 << 30 | 1, expect_refused(gpu, a, "more rows than an int rounds up");
    a = good, a.n = 0, expect_refused(gpu, a, "no columns");
    a = good, a.n = (1 << 21) + 1, expect_refused(gpu, a, "more columns than a grid has");
    a = good, a.k = -1, expect_refused(gpu, a, "negative k");
    a = good, a.k1 = 9, expect_refused(gpu, a, "k1 above k");
    a = good, a.n = 5, a.act = RF_ACT_GEGLU, expect_refused(gpu, a, "odd halves");
    a = good, a.act = RF_ACT_GEGLU, a.residual = &residual, expect_refused(gpu, a, "residual");
    a = good, a.wdtype = RF_F16, expect_refused(gpu, a, "bf16 with f16 weights");
    a = good, a.dtype = a.wdtype = RF_F32, expect_refused(gpu, a, "f32");
    const rf_gemm_weight_shape odd = {5, 8, RF_F16, RF_F16, RF_ACT_GEGLU};
    cr_expect_eq(rf_gemm_pack_bytes_sm80((void *)gpu, &odd, &bytes), RF_E_SHAPE);
    cr_expect_eq(rf_gemm_pack_sm80((void *)gpu, &odd, NULL, NULL), RF_E_SHAPE);
}
