/* The benches' way over a GPU, on the emulated one: rows of a few numbers run through, and a wrong
 * result is refused.  The times that are printed mean nothing. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device_bench.h"
#include "kernels/ops.h"
#include "tests/emulator/runtime.h"
#include "tests/model/golden.h"
#include "tests/vendor/bench_case.h"

#define ALONE "--cublaslt", "no.so", "--cudnn", "no.so"

/* The lines of figures of rows of an op, each within a type's error of the reference. */
static void expect_rows(const char *op, const char *pattern, const char *dtype, int count)
{
    const char *csv = bench_file();
    int         lines = 0;
    cr_expect_eq(BENCH(op, "--row", pattern, "--dtype", dtype, "--runs", "2", "--csv", csv, ALONE),
                 0, "%s %s", op, dtype);
    char *text = bench_text(csv);
    for (const char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n')) {
        const char *field = at + 1;
        cr_expect(!strncmp(field, op, strlen(op)), "%s", field);
        for (int i = 0; i < 10; i++) field = strchr(field, ',') + 1;
        const double error = strtod(field, NULL);
        cr_expect(*field != ',' && error >= 0 && error < 0x1p-5, "%s %s: %s", op, dtype, at + 1);
        lines++;
    }
    cr_expect_eq(lines, count, "%s %s: %s", op, dtype, text);
    free(text);
}

Test(bench_device, every_op_is_checked_and_timed, .timeout = 120)
{
    const struct {
        const char *op, *pattern;
        int         count;
    } rows[] = {{"gemm", "edge_geglu", 1},    {"gemm", "edge_two", 1},
                {"conv", "edge_up", 1},       {"conv", "edge_above", 1},
                {"attention", "edge_odd", 1}, {"groupnorm", "edge_o*", 3},
                {"layernorm", "edge_o*", 1},  {"lincomb", "edge_*", 3},
                {"pixels", "edge_r*", 1},     {"latent_rgb", "edge_*", 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_rows(rows[i].op, rows[i].pattern, "f16", rows[i].count);
        expect_rows(rows[i].op, rows[i].pattern, "bf16", rows[i].count);
    }
}

/* A product by other weights than the reference's: refused, and nothing is timed. */
Test(bench_device, what_differs_from_the_reference_is_refused, .timeout = 60)
{
    device_bench  b = {.batch = 1, .runs = 1, .dtype = RF_F16, .staging_bytes = 4096, .random = 7};
    const rf_ops *ops = rf_ops_of(RF_LEVEL_SM80);
    double        error;
    size_t        bytes;
    emu_runtime_start(&emu_gpu_h100);
    cr_assert_eq(rf_device_open_cuda(&b.device, 0, 1, &b.err), RF_OK);
    b.gpu = b.device.stream;
    cr_assert_eq(rf_device_alloc_staging(&b.device, &b.staging, b.staging_bytes, "s", &b.err),
                 RF_OK);
    device_call c = {.op = RF_OP_GEMM, .row = "here", .images = 1, .out_bytes = 3 * 8 * 2};
    c.args.gemm = (rf_gemm_args){.m = 3, .n = 8, .k = 40, .dtype = RF_F16, .wdtype = RF_F16};
    c.args.gemm.x = device_random(&b, RF_F16, 3 * 40);
    c.args.gemm.y = device_take(&b, c.out_bytes);
    c.weights = device_random(&b, RF_F16, 8 * 40);
    const rf_gemm_weight_shape shape = {8, 40, RF_F16, RF_F16, RF_ACT_NONE};
    cr_assert_eq(ops->gemm_pack_bytes(b.gpu, &shape, &bytes), RF_OK);
    void *packed = device_take(&b, bytes);
    cr_assert_eq(ops->gemm_pack(b.gpu, &shape, packed, c.weights), RF_OK);
    c.args.gemm.w = packed;
    cr_expect(device_right(&b, &c, &error) && !b.wrong, "error %g", error);
    c.weights = device_random(&b, RF_F16, 8 * 40);
    cr_expect(!device_right(&b, &c, &error) && b.wrong, "error %g", error);
    device_give_all(&b);
    rf_device_free_staging(&b.device, b.staging, b.staging_bytes);
    rf_device_close(&b.device);
}

/* 77, as every program that wants a GPU. */
Test(bench_device, without_a_gpu, .timeout = 60)
{
    char *argv[] = {(char[]){"refinery-bench"}, (char[]){"gemm"}};
    cr_expect_eq(bench_on_device(2, argv), 77, "the runtime was not started: there is no driver");
}

/* Cross attention finds its row whatever the prompt's length, which is not the row's to know. */
Test(bench_device, cross_attention_is_chosen_for_prompts_of_any_length, .timeout = 120)
{
    const char *out = bench_file();
    cr_expect_eq(BENCH("choose", "--row", "edge_cross_1", "--out", out, "--runs", "1", "--cublaslt",
                       "no.so", "--cudnn", "no.so"),
                 0);
    char      *text = bench_text(out);
    rf_choices c;
    rf_error   err = {0};
    cr_assert_eq(rf_choices_read(&c, text, strlen(text), "chosen", &err), RF_OK, "%s", err.message);
    cr_assert_eq(c.count, 2);
    cr_expect(c.row[0].key.h == 33 && c.row[0].key.w == 0 && c.row[0].level == RF_LEVEL_SM80);
    rf_choices_free(&c);
    free(text);
}

Test(bench_device, a_call_of_the_unet_and_the_flip, .timeout = 120)
{
    char       *base = make_tiny(7), *refiner = make_tiny(8);
    const char *csv = bench_file();
    cr_expect_eq(BENCH("network", base, refiner, "--size", "32", "--batch", "1", "--flips", "1",
                       "--runs", "1", ALONE, "--csv", csv),
                 0);
    char *text = bench_text(csv);
    cr_expect_not_null(strstr(text, "\nnetwork,unet_32x32,f16,graph,1,"));
    cr_expect_not_null(strstr(text, "\nnetwork,flip,f16,graph,1,"));
    free(text);
    remove_tiny(base);
    remove_tiny(refiner);
}

Test(bench_device, wrong_options)
{
    char *const wrong[][4] = {{"refinery-bench", "gemms"},
                              {"refinery-bench", "resize"},
                              {"refinery-bench", "choose"},
                              {"refinery-bench", "network"},
                              {"refinery-bench", "gemm", "file"},
                              {"refinery-bench", "gemm", "--batch", "17"},
                              {"refinery-bench", "gemm", "--runs", "x"},
                              {"refinery-bench", "gemm", "--dtype", "f32"},
                              {"refinery-bench", "gemm", "--device", "cuda:"},
                              {"refinery-bench", "gemm", "--row"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int argc = 0;
        while (argc < 4 && wrong[i][argc]) argc++;
        cr_expect_eq(bench_on_device(argc, (char **)(uintptr_t)wrong[i]), 2, "case %zu", i);
    }
}
