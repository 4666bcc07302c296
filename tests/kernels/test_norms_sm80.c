/* layernorm and groupnorm: the sm80 level against the reference. */
#include <stdlib.h>

#include "tests/kernels/gpu_case.h"
#include "tests/kernels/norm_case.h"

/* A run of the reference and the emulated kernel take about as long: 30 an element. */
#define NORM_FLOP(elems) (60.0 * (double)(elems))

static void expect_no_faults(const char *row)
{
    cr_expect(!gpu_faults()[0], "%s: %s", row, gpu_faults());
}

/* ---- layernorm ---------------------------------------------------------------------------------
 */

#define LAYER_ROW(name, m, c, why) {#name, m, c},
static const struct layer_row {
    const char *name;
    int         m, c;
} layer_rows[] = {RF_LAYERNORM_SHAPES(LAYER_ROW){"sm80_first", 6, 1288},
                  {"sm80_widest", 5, 2560},
                  {"sm80_beyond", 3, 2568}};
enum { LAYER_ROWS = sizeof layer_rows / sizeof *layer_rows };

static rf_layernorm_args layer_args(check *k, const struct layer_row *r, rf_dtype dtype)
{
    const size_t      elems = (size_t)r->m * (size_t)r->c;
    rf_layernorm_args a = {.m = r->m, .c = r->c, .eps = 1e-5f, .dtype = dtype};
    a.x = check_input(k, dtype, elems);
    a.gamma = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.beta = check_input_of(k, RF_F32, (size_t)a.c, CHECK_NORMAL);
    a.y = check_output(k, dtype, 1, elems, elems);
    return a;
}

/* With host pointers; y comes back. */
static void layer_run(rf_layernorm_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  bytes = (size_t)a.m * (size_t)a.c * 2, channels = (size_t)a.c * sizeof(float);
    void         *y = a.y;
    const bool    in_place = a.x == y;
    a.y = gpu_upload(y, bytes);
    a.x = in_place ? a.y : gpu_upload(a.x, bytes);
    a.gamma = gpu_upload(a.gamma, channels);
    a.beta = gpu_upload(a.beta, channels);
    rf_layernorm_sm80((void *)gpu, &a);
    gpu_download(y, a.y, bytes);
    gpu_free_all();
}

Test(layernorm_sm80, matches_reference, .timeout = 60)
{
    for (int i = 0; i < LAYER_ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = RF_F16; dtype <= RF_BF16; dtype++) {
                const struct layer_row *r = &layer_rows[i];
                check *k = check_begin("layernorm_sm80", r->name, f, NORM_FLOP(r->m) * r->c);
                if (!k) continue;
                const rf_layernorm_args a = layer_args(k, r, (rf_dtype)dtype);
                layer_run(a, (gpu_settings){gpu_limit(f), (uint64_t)f, 0});
                expect_no_faults(r->name);
                layernorm_compare(k, &a);
                CHECK_END(k);
            }
}

/* In place, under any schedule, and a row alone: the same bits. */
Test(layernorm_sm80, bits_depend_on_the_row_alone, .timeout = 60)
{
    for (int i = 0; i < 7; i++)
        for (int dtype = RF_F16; dtype <= RF_BF16; dtype++) {
            check            *k = check_begin("layernorm_sm80", layer_rows[i].name, 0, 0);
            rf_layernorm_args a = layer_args(k, &layer_rows[i], (rf_dtype)dtype), b = a, last = a;
            const size_t      elems = (size_t)a.m * (size_t)a.c, before = elems - (size_t)a.c;
            layer_run(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
            b.x = b.y = check_output_from(k, a.dtype, a.x, elems);
            layer_run(b, (gpu_settings){GPU_SHARED_H100, 3, 0});
            check_compare_bits(k, b.y, a.y, "row c", a.m, a.c);
            last.m = 1;
            last.x = (const uint16_t *)a.x + before;
            last.y = check_output(k, a.dtype, 1, (size_t)a.c, (size_t)a.c);
            layer_run(last, (gpu_settings){GPU_SHARED_H100, 0, 0});
            check_compare_bits(k, last.y, (uint16_t *)a.y + before, "c", a.c);
            CHECK_END(k);
        }
}

Test(layernorm_sm80, planted_defects_are_caught)
{
    GPU_EMULATED_ONLY();
    enum { SHORT_BUTTERFLY = 1, UNGUARDED_ROW, PADDING_COUNTED, DEFECTS };
    static const struct layer_row row = {"defect", 3, 520};
    for (int defect = 0; defect < DEFECTS; defect++) {
        if (defect == UNGUARDED_ROW && !gpu_checked())
            continue; /* a fault of 16 bytes all the same */
        check                  *k = check_begin("layernorm_sm80", row.name, CHECK_NORMAL, 0);
        const rf_layernorm_args a = layer_args(k, &row, RF_F16);
        layer_run(a, (gpu_settings){GPU_SHARED_SMALL, 0, defect});
        layernorm_compare(k, &a);
        const bool wrong = check_end(k).wrong_value, fault = gpu_faults()[0];
        cr_expect_eq(wrong || fault, defect != 0, "defect %d", defect);
        if (defect == UNGUARDED_ROW) cr_expect(strstr(gpu_faults(), "bounds"));
    }
}

/* x once, y once; gamma and beta for every row. */
Test(layernorm_sm80, reads_a_row_once)
{
    GPU_EMULATED_ONLY();
    static const struct layer_row row = {"traffic", 40, 1280};
    check                        *k = check_begin("layernorm_sm80", row.name, CHECK_NORMAL, 0);
    const rf_layernorm_args       a = layer_args(k, &row, RF_BF16);
    layer_run(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const emu_counters *c = gpu_counts();
    const uint64_t      elems = (uint64_t)row.m * (uint64_t)row.c;
    cr_expect_eq(c->global_written_bytes, 2 * elems);
    cr_expect_eq(c->global_read_bytes, (2 + 8) * elems);
    cr_expect_eq(c->global_accesses_16, c->global_accesses);
    CHECK_END(k);
}

Test(layernorm_sm80, rejects_bad_sizes)
{
    const rf_gpu           *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_layernorm_args good = {.m = 1, .c = 8, .dtype = RF_F16};
    rf_layernorm_args       a = good;
    a.m = 0;
    cr_expect_eq(rf_layernorm_sm80((void *)gpu, &a), RF_E_SHAPE);
    a = good, a.c = 0;
    cr_expect_eq(rf_layernorm_sm80((void *)gpu, &a), RF_E_SHAPE);
    a = good, a.dtype = RF_F32;
    cr_expect_eq(rf_layernorm_sm80((void *)gpu, &a), RF_E_SHAPE);
}

/* ---- groupnorm ---------------------------------------------------------------------------------
 */

#define GROUP_ROW(name, n, hw, c, c1, groups, why) {#name, n, hw, c, c1, groups},
static const struct group_row {
    const char *name;
    int         n, hw, c, c1, groups;
} group_rows[] = {RF_GROUPNORM_SHAPES(GROUP_ROW){"sm80_slabs", 2, 600, 64, 24, 4},
                  {"sm80_long_slabs", 1, 9001, 8, 0, 2}};
enum { GROUP_ROWS = sizeof group_rows / sizeof *group_rows };

static rf_groupnorm_args group_args(check *k, const struct group_row *r, rf_dtype dtype, int silu)
{
    const size_t      pixels = (size_t)r->n * (size_t)r->hw, c = (size_t)r->c;
    const size_t      c1 = r->c1 ? (size_t)r->c1 : c;
    rf_groupnorm_args a = {.n = r->n, .hw = r->hw, .c = r->c, .c1 = r->c1, .groups = r->groups};
    a.eps = 1e-5f, a.silu = silu, a.dtype = dtype;
    a.x = check_input(k, dtype, pixels * c1);
    if (r->c1) a.x2 = check_input(k, dtype, pixels * (c - c1));
    a.gamma = check_input_of(k, RF_F32, c, CHECK_NORMAL);
    a.beta = check_input_of(k, RF_F32, c, CHECK_NORMAL);
    a.y = check_output(k, dtype, pixels, c, c);
    return a;
}

static void group_run(rf_groupnorm_args a, gpu_settings s)
{
    const rf_gpu *gpu = gpu_use(s);
    const size_t  pixels = (size_t)a.n * (size_t)a.hw, c = (size_t)a.c;
    const size_t  c1 = a.c1 ? (size_t)a.c1 : c;
    size_t        workspace_bytes;
    void         *y = a.y;
    const bool    in_place = a.x == y;
    cr_assert_eq(rf_groupnorm_prepare_sm80((void *)gpu, &a, &workspace_bytes), RF_OK);
    a.y = gpu_upload(y, pixels * c * 2);
    a.x = in_place ? a.y : gpu_upload(a.x, pixels * c1 * 2);
    a.x2 = gpu_upload(a.x2, pixels * (c - c1) * 2);
    a.gamma = gpu_upload(a.gamma, c * sizeof(float));
    a.beta = gpu_upload(a.beta, c * sizeof(float));
    a.workspace = gpu_unwritten(workspace_bytes);
    rf_groupnorm_sm80((void *)gpu, &a);
    gpu_download(y, a.y, pixels * c * 2);
    gpu_free_all();
}

Test(groupnorm_sm80, matches_reference, .timeout = 120)
{
    for (int i = 0; i < GROUP_ROWS; i++)
        for (int f = 0; f < CHECK_FILLS; f++)
            for (int dtype = RF_F16; dtype <= RF_BF16; dtype++) {
                const struct group_row *r = &group_rows[i];
                check                  *k =
                    check_begin("groupnorm_sm80", r->name, f, NORM_FLOP(r->n) * r->hw * r->c);
                if (!k) continue;
                const rf_groupnorm_args a = group_args(k, r, (rf_dtype)dtype, (f + dtype) & 1);
                group_run(a, (gpu_settings){gpu_limit(f), (uint64_t)f, 0});
                expect_no_faults(r->name);
                groupnorm_compare(k, &a);
                CHECK_END(k);
            }
}

/* In place, under any schedule, and an image alone: the same bits. */
Test(groupnorm_sm80, bits_depend_on_the_image_alone, .timeout = 60)
{
    for (int i = 0; i < 11; i++) {
        const struct group_row *r = &group_rows[i];
        const rf_dtype          dtype = i % 2 ? RF_F16 : RF_BF16;
        check                  *k = check_begin("groupnorm_sm80", r->name, CHECK_NORMAL, 0);
        rf_groupnorm_args       a = group_args(k, r, dtype, 1), last = a, b = a;
        const size_t image = (size_t)a.hw * (size_t)a.c, c1 = (size_t)(a.c1 ? a.c1 : a.c);
        const size_t pixels = (size_t)(a.n - 1) * (size_t)a.hw;
        group_run(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
        last.n = 1;
        last.x = (const uint16_t *)a.x + pixels * c1;
        if (a.x2) last.x2 = (const uint16_t *)a.x2 + pixels * ((size_t)a.c - c1);
        last.y = check_output(k, dtype, 1, image, image);
        group_run(last, (gpu_settings){GPU_SHARED_H100, 5, 0});
        check_compare_bits(k, last.y, (uint16_t *)a.y + (size_t)(a.n - 1) * image, "hw c", a.hw,
                           a.c);
        if (!a.x2) {
            b.x = b.y = check_output_from(k, dtype, a.x, (size_t)a.n * image);
            group_run(b, (gpu_settings){GPU_SHARED_A100, 2, 0});
            check_compare_bits(k, b.y, a.y, "element", (int)((size_t)a.n * image));
        }
        expect_no_faults(r->name);
        CHECK_END(k);
    }
}

Test(groupnorm_sm80, planted_defects_are_caught, .timeout = 60)
{
    GPU_EMULATED_ONLY();
    enum {
        NO_BARRIER = 1,
        LAST_PIXEL_LOST,
        SQUARES_OF_SLABS,
        WRONG_SOURCE_EDGE,
        NO_SILU,
        UNGUARDED_PIXELS,
        DEFECTS
    };
    static const struct group_row row = {"defect", 1, 70, 48, 24, 2};
    for (int defect = 0; defect < DEFECTS; defect++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            check                  *k = check_begin("groupnorm_sm80", row.name, CHECK_NORMAL, 0);
            const rf_groupnorm_args a = group_args(k, &row, RF_F16, 1);
            group_run(a, (gpu_settings){GPU_SHARED_SMALL, seed, defect});
            groupnorm_compare(k, &a);
            const bool wrong = check_end(k).wrong_value, fault = gpu_faults()[0];
            cr_expect_eq(wrong || fault, defect != 0, "defect %d: %s", defect, gpu_faults());
            if (gpu_checked() && defect == NO_BARRIER) cr_expect(strstr(gpu_faults(), "race"));
            if (defect == UNGUARDED_PIXELS) cr_expect(strstr(gpu_faults(), "bounds"));
        }
}

/* x twice, y once, and statistics of 8 bytes for each slab and group. */
Test(groupnorm_sm80, reads_an_image_twice, .timeout = 60)
{
    GPU_EMULATED_ONLY();
    static const struct group_row row = {"traffic", 1, 1024, 320, 0, 32};
    check                        *k = check_begin("groupnorm_sm80", row.name, CHECK_NORMAL, 0);
    const rf_groupnorm_args       a = group_args(k, &row, RF_BF16, 1);
    group_run(a, (gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const emu_counters *c = gpu_counts();
    const double        elems = (double)row.hw * row.c;
    cr_expect_eq(c->global_accesses_16 * 16, (uint64_t)(6 * elems));
    if (gpu_checked())
        cr_expect_leq((double)c->global_written_bytes, 1.15 * 2 * elems, "%g bytes written",
                      (double)c->global_written_bytes);
    CHECK_END(k);
}

Test(groupnorm_sm80, rejects_bad_sizes)
{
    const rf_gpu           *gpu = gpu_use((gpu_settings){GPU_SHARED_SMALL, 0, 0});
    const rf_groupnorm_args good = {.n = 1, .hw = 4, .c = 8, .groups = 2, .dtype = RF_F16};
    rf_groupnorm_args       bad[] = {good, good, good, good, good};
    size_t                  bytes;
    cr_expect_eq(rf_groupnorm_prepare_sm80((void *)gpu, &good, &bytes), RF_OK);
    bad[0].n = 0;
    bad[1].groups = 3;
    bad[2].dtype = RF_F32;
    bad[3].n = 65536;
    bad[4].c = 1 << 15, bad[4].groups = 1; /* 256 KiB of channels */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(rf_groupnorm_prepare_sm80((void *)gpu, &bad[i], &bytes), RF_E_SHAPE, "%zu", i);
        cr_expect_eq(rf_groupnorm_sm80((void *)gpu, &bad[i]), RF_E_SHAPE, "%zu", i);
    }
}
