/* The benches against stand-ins for the vendor's libraries: what is compared, what is refused, a
 * table that is chosen and read back; algorithms whose bytes depend on the batch are not pinned. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device_bench.h"
#include "tests/emulator/runtime.h"
#include "tests/vendor/bench_case.h"

#define VENDOR "--cublaslt", RF_FAKE_CUBLASLT, "--cudnn", RF_FAKE_CUDNN, "--runs", "2"

Test(bench_vendor, gemm_against_the_vendor, .timeout = 60)
{
    const char *csv = bench_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_k4_n4", "--csv", csv, VENDOR), 0);
    char *text = bench_text(csv);
    cr_expect_not_null(strstr(text, "\ngemm,edge_k4_n4,f16,sm80,2,"));
    cr_expect_not_null(strstr(text, ",x w' + bias,\n"));
    cr_expect_not_null(strstr(text, "\ngemm,edge_k4_n4,f16,vendor,2,"));
    free(text);
}

/* Where the vendor has no epilogue or one source, its product alone is the yardstick. */
Test(bench_vendor, what_the_vendor_lacks_is_said, .timeout = 60)
{
    const char *csv = bench_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_geglu", "--csv", csv, VENDOR), 0);
    char *text = bench_text(csv);
    cr_expect_not_null(strstr(text, "with activation against x w' + bias alone"));
    free(text);
    csv = bench_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_two", "--dtype", "bf16", "--csv", csv, VENDOR), 0);
    text = bench_text(csv);
    cr_expect_not_null(strstr(text, "two sources against one"));
    free(text);
}

/* The stand-in cuDNN computes nothing: its result is refused. */
Test(bench_vendor, a_wrong_result_is_refused, .timeout = 60)
{
    cr_expect_eq(BENCH("conv", "--row", "edge_sm80_thin", VENDOR), 1);
    cr_expect_eq(BENCH("attention", "--row", "tiny_self", VENDOR), 1);
}

/* Algorithm 71 may not be pinned: it sums backwards in a batch. */
Test(bench_vendor, a_table_is_chosen_and_read_back, .timeout = 120)
{
    const char *out = bench_file();
    cr_expect_eq(BENCH("choose", "--row", "edge_sm80_square", "--out", out, VENDOR), 0);
    char      *text = bench_text(out);
    rf_choices c;
    rf_error   err = {0};
    cr_assert_eq(rf_choices_read(&c, text, strlen(text), "chosen", &err), RF_OK, "%s", err.message);
    cr_expect_str_eq(c.device_class, "sm90");
    cr_assert_eq(c.count, 4, "gemm and conv, of both types");
    for (int i = 0; i < 4; i++) {
        const rf_choice *row = &c.row[i];
        cr_expect_eq(row->key.n, 136);
        if (row->key.op == RF_CHOICE_GEMM)
            cr_expect(row->level == RF_LEVEL_SM80 || row->number[0] != 71);
        else
            cr_expect_eq(row->level, RF_LEVEL_SM80, "the stand-in cuDNN computes nothing");
    }
    rf_choices_free(&c);
    free(text);
}

/* A device with the stand-in cuBLASLt, whose table has one row. */
static device_bench small_device(rf_choice *row, rf_choices *pinned)
{
    device_bench b = {.batch = 2, .runs = 1, .dtype = RF_F16, .staging_bytes = 4096, .random = 7};
    *row = (rf_choice){.key = {RF_CHOICE_GEMM, RF_F16, RF_ACT_NONE, 8, 40, 0, 0},
                       .level = RF_LEVEL_VENDOR,
                       .count = 9,
                       .number = {66, 20, 10, 1}};
    *pinned = (rf_choices){.row = row, .count = 1};
    emu_runtime_start(&emu_gpu_h100);
    cr_assert_eq(rf_device_open_cuda(&b.device, 0, 1, &b.err), RF_OK);
    b.gpu = b.device.stream;
    cr_assert_eq(rf_vendor_create(&b.vendor, &b.err), RF_OK);
    cr_assert_eq(rf_vendor_open_cublaslt(b.vendor, RF_FAKE_CUBLASLT, &b.err), RF_OK);
    b.gpu->vendor = b.vendor;
    b.gpu->choices = b.device.choices = pinned;
    cr_assert_eq(rf_device_alloc_staging(&b.device, &b.staging, b.staging_bytes, "s", &b.err),
                 RF_OK);
    return b;
}

static void end(device_bench *b)
{
    device_give_all(b);
    rf_device_free_staging(&b->device, b->staging, b->staging_bytes);
    b->gpu->vendor = NULL;
    rf_device_close(&b->device);
    rf_vendor_destroy(b->vendor);
}

Test(bench_vendor, bytes_that_depend_on_the_batch_are_found, .timeout = 60)
{
    rf_choice    row;
    rf_choices   pinned;
    device_bench b = small_device(&row, &pinned);
    device_call  c = {.op = RF_OP_GEMM, .row = "here", .images = 8, .out_bytes = 20 * 8 * 2};
    c.args.gemm = (rf_gemm_args){.m = 160, .n = 8, .k = 40, .dtype = RF_F16, .wdtype = RF_F16};
    c.args.gemm.x = device_random(&b, RF_F16, 160 * 40);
    c.args.gemm.w = device_random(&b, RF_F16, 8 * 40);
    c.args.gemm.y = device_take(&b, 160 * 8 * 2);
    cr_expect(device_same_bytes(&b, RF_LEVEL_VENDOR, &c), "%s", rf_vendor_why(b.vendor));
    row.number[0] = 71;
    cr_expect_not(device_same_bytes(&b, RF_LEVEL_VENDOR, &c));
    end(&b);
}

/* A call of a program works with the level of its row, whatever its batch. */
Test(bench_vendor, call_sites_follow_their_rows, .timeout = 60)
{
    rf_choice    row;
    rf_choices   pinned;
    device_bench b = small_device(&row, &pinned);
    rf_op_call   call = {.kind = RF_OP_GEMM, .label = "here"};
    rf_program   program = {.call = NULL};
    size_t       bytes;
    uint16_t     y[8] = {0};
    call.args.gemm = (rf_gemm_args){.m = 1, .n = 8, .k = 40, .dtype = RF_F16, .wdtype = RF_F16};
    call.args.gemm.x = device_random(&b, RF_F16, 40);
    call.args.gemm.w = device_random(&b, RF_F16, 8 * 40);
    call.args.gemm.y = device_take(&b, sizeof y);
    call.by_vendor = rf_call_by_vendor(&b.device, &call);
    cr_expect(call.by_vendor);
    cr_assert_eq(rf_call_prepare(&b.device, &call, &bytes, &b.err), RF_OK, "%s", b.err.message);
    cr_assert_eq(rf_program_add(&program, &call, &b.err), RF_OK);
    cr_expect_eq(rf_program_run(&program, &b.device, &b.err), RF_OK, "%s", b.err.message);
    device_get(&b, y, call.args.gemm.y, sizeof y);
    cr_expect(y[0] || y[1] || y[2]);
    rf_program_free(&program);
    call.args.gemm.m = 300;
    cr_expect(rf_call_by_vendor(&b.device, &call));
    call.args.gemm.n = 16;
    cr_expect_not(rf_call_by_vendor(&b.device, &call), "no row: the device's own level");
    call.args.gemm.n = 8;
    row.number[3] = 2; /* a row that splits k is refused when it is planned */
    cr_expect_eq(rf_call_prepare(&b.device, &call, &bytes, &b.err), RF_E_UNSUPPORTED);
    cr_expect_not_null(strstr(b.err.message, "here: the gemm op refuses"));
    row.level = RF_LEVEL_SM80;
    cr_expect_not(rf_call_by_vendor(&b.device, &call));
    end(&b);
}
