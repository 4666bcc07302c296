/* The benches' way over a GPU, on the emulated one with stand-ins for the vendor's libraries: rows
 * of a few numbers run through, a table is chosen and read back, algorithms whose bytes depend on
 * the batch are not pinned.  The times that are printed mean nothing. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/device_bench.h"
#include "engine/core/program.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"
#include "tests/model/golden.h"

#define VENDOR "--cublaslt", RF_FAKE_CUBLASLT, "--cudnn", RF_FAKE_CUDNN, "--runs", "2"

static int bench(const char *const *arguments)
{
    char *argv[32] = {"refinery-bench"};
    int   argc = 1;
    while (arguments[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
        argc++;
    }
    emu_gpu gpu = emu_gpu_h100;
    gpu.memory_bytes = (size_t)2 << 30; /* what overwrites L2 is a share of it */
    emu_runtime_start(&gpu);
    emu_configure(&(emu_settings){.no_races = true}); /* of each kernel: tests/kernels */
    const int      code = bench_on_device(argc, argv);
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.streams && !held.events &&
              !held.graphs && !held.executables);
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
    return code;
}

#define BENCH(...) bench((const char *const[]){__VA_ARGS__, NULL})

static char path[] = "/tmp/refinery-bench-XXXXXX";

/* A new file's name; its text, freed by the caller. */
static const char *new_file(void)
{
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    return path;
}

static char *text_of(const char *name)
{
    FILE  *f = fopen(name, "rb");
    char  *text = calloc(1, 1 << 16);
    size_t used;
    cr_assert(f && text);
    used = fread(text, 1, (1 << 16) - 1, f);
    cr_assert_gt(used, 0);
    fclose(f);
    unlink(name);
    return text;
}

Test(bench_device, gemm_against_the_vendor, .timeout = 60)
{
    const char *json = new_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_k4_n4", "--json", json, VENDOR), 0);
    char *text = text_of(json);
    cr_expect_not_null(strstr(text, "\"level\":\"sm80\",\"images\":2"));
    cr_expect_not_null(strstr(text, "\"level\":\"vendor\""));
    cr_expect_not_null(strstr(text, "\"compared\":\"x w' + bias\""));
    free(text);
}

/* Where the vendor has no epilogue or one source, its product alone is the yardstick. */
Test(bench_device, what_the_vendor_lacks_is_said, .timeout = 60)
{
    const char *json = new_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_geglu", "--json", json, VENDOR), 0);
    char *text = text_of(json);
    cr_expect_not_null(strstr(text, "with activation against x w' + bias alone"));
    free(text);
    strcpy(path, "/tmp/refinery-bench-XXXXXX");
    json = new_file();
    cr_expect_eq(BENCH("gemm", "--row", "edge_two", "--dtype", "bf16", "--json", json, VENDOR), 0);
    text = text_of(json);
    cr_expect_not_null(strstr(text, "two sources against one"));
    free(text);
}

/* The stand-in cuDNN computes nothing: its result is refused. */
Test(bench_device, a_wrong_result_is_refused, .timeout = 60)
{
    cr_expect_eq(BENCH("conv", "--row", "edge_sm80_thin", VENDOR), 1);
    cr_expect_eq(BENCH("attention", "--row", "tiny_self", VENDOR), 1);
}

Test(bench_device, without_the_vendor, .timeout = 60)
{
    cr_expect_eq(
        BENCH("conv", "--row", "edge_up", "--runs", "2", "--cublaslt", "no.so", "--cudnn", "no.so"),
        0);
    cr_expect_eq(BENCH("attention", "--row", "edge_odd", "--runs", "2", "--cublaslt", "no.so",
                       "--cudnn", "no.so"),
                 0);
}

/* Algorithm 71 may not be pinned: it sums backwards in a batch. */
Test(bench_device, a_table_is_chosen_and_read_back, .timeout = 120)
{
    const char *out = new_file();
    cr_expect_eq(BENCH("choose", "--row", "edge_sm80_square", "--out", out, VENDOR), 0);
    char      *text = text_of(out);
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

/* Cross attention finds its row whatever the prompt's length, which is not the row's to know. */
Test(bench_device, cross_attention_is_chosen_for_prompts_of_any_length, .timeout = 120)
{
    const char *out = new_file();
    cr_expect_eq(BENCH("choose", "--row", "edge_cross_1", "--out", out, "--runs", "1", "--cublaslt",
                       "no.so", "--cudnn", "no.so"),
                 0);
    char      *text = text_of(out);
    rf_choices c;
    rf_error   err = {0};
    cr_assert_eq(rf_choices_read(&c, text, strlen(text), "chosen", &err), RF_OK, "%s", err.message);
    cr_assert_eq(c.count, 2);
    cr_expect(c.row[0].key.h == 33 && c.row[0].key.w == 0 && c.row[0].level == RF_LEVEL_SM80);
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

Test(bench_device, bytes_that_depend_on_the_batch_are_found, .timeout = 60)
{
    rf_choice    row;
    rf_choices   pinned;
    device_bench b = small_device(&row, &pinned);
    device_call  c = {.op = RF_CHOICE_GEMM, .row = "here", .images = 8, .out_bytes = 20 * 8 * 2};
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
Test(bench_device, call_sites_follow_their_rows, .timeout = 60)
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

Test(bench_device, a_call_of_the_unet_and_the_flip, .timeout = 120)
{
    char       *base = make_tiny(7), *refiner = make_tiny(8);
    const char *json = new_file();
    cr_expect_eq(BENCH("network", base, refiner, "--size", "32", "--batch", "1", "--flips", "1",
                       "--runs", "1", "--cublaslt", "no.so", "--cudnn", "no.so", "--json", json),
                 0);
    char *text = text_of(json);
    cr_expect_not_null(strstr(text, "{\"call\":\"unet\""));
    cr_expect_not_null(strstr(text, "{\"flip_us\":"));
    free(text);
    remove_tiny(base);
    remove_tiny(refiner);
}

Test(bench_device, wrong_options)
{
    char *const wrong[][4] = {{"refinery-bench", "gemms"},
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
