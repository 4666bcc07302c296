/* gemm by cuBLASLt, against a stand-in for it: what the library is asked for, what comes of it, and
 * what is said when it is missing or fails.  Only a GPU can tell whether cuBLASLt agrees. */
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device/vendor.h"
#include "tests/kernels/gemm_case.h"
#include "tests/kernels/gpu_case.h"
#include "tests/vendor/fake_cublaslt.h"

static fake_lt_record *record; /* the stand-in's */
static rf_vendor      *vendor;
static rf_choices      pinned;
static rf_choice       row;
static rf_gpu          gpu;

static void start(void)
{
    rf_error err = {0};
    void    *library = dlopen(RF_FAKE_CUBLASLT, RTLD_NOW);
    cr_assert_not_null(library);
    record = dlsym(library, "fake_lt");
    cr_assert_not_null(record);
    *record = (fake_lt_record){0};
    cr_assert_eq(rf_vendor_create(&vendor, &err), RF_OK);
    cr_assert_eq(rf_vendor_open_cublaslt(vendor, RF_FAKE_CUBLASLT, &err), RF_OK, "%s", err.message);
    gpu = *gpu_use((gpu_settings){GPU_SHARED_H100, 0, 0});
    gpu.vendor = vendor;
    gpu.choices = &pinned;
}

static void stop(void)
{
    rf_vendor_destroy(vendor);
    cr_expect_eq(record->handles, 0);
}

/* The table's one row: this algorithm for calls like `a`. */
static void pin(const rf_gemm_args *a, int id)
{
    row = (rf_choice){.key = {.op = RF_CHOICE_GEMM,
                              .dtype = a->dtype,
                              .variant = (int)a->act,
                              .n = a->n,
                              .k = a->k},
                      .level = RF_LEVEL_VENDOR,
                      .count = 9,
                      .number = {id, 20, 10, 1, 0, 1, 3, 2, 7}};
    pinned = (rf_choices){.row = &row, .count = 1, .cublaslt = FAKE_LT_VERSION};
}

static rf_status run(rf_gemm_args a)
{
    const size_t               m = (size_t)a.m, n = (size_t)a.n, k = (size_t)a.k;
    const rf_gemm_weight_shape shape = {a.n, a.k, a.dtype, a.wdtype, a.act};
    size_t                     packed_bytes = 0, workspace_bytes = 0;
    void                      *y = a.y;
    rf_status                  st = rf_gemm_prepare_vendor(&gpu, &a, &workspace_bytes);
    if (st != RF_OK) return st;
    cr_assert_eq(rf_gemm_pack_bytes_vendor(&gpu, &shape, &packed_bytes), RF_OK);
    void *packed = gpu_unwritten(packed_bytes);
    cr_assert_eq(rf_gemm_pack_vendor(&gpu, &shape, packed, gpu_upload(a.w, n * k * 2)), RF_OK);
    a.w = packed;
    a.x = gpu_upload(a.x, m * k * 2);
    a.bias = gpu_upload(a.bias, n * sizeof(float));
    a.residual = gpu_upload(a.residual, m * n * 2);
    a.y = gpu_upload(y, m * n * 2);
    a.workspace = workspace_bytes ? gpu_unwritten(workspace_bytes) : NULL;
    st = rf_gemm_vendor(&gpu, &a);
    gpu_download(y, a.y, m * n * 2);
    gpu_free_all();
    return st;
}

/* Rows that the level takes, with and without what is added. */
static void check_row(const gemm_row *r, rf_dtype dtype, int biased, int residual)
{
    check *k = check_begin("gemm_vendor", r->name, CHECK_NORMAL, 2.0 * r->m * r->n * r->k);
    if (!k) return;
    rf_gemm_args a = {.m = r->m, .n = r->n, .k = r->k, .dtype = dtype, .wdtype = dtype};
    a.x = check_input(k, dtype, (size_t)r->m * (size_t)r->k);
    a.w = check_input(k, dtype, (size_t)r->n * (size_t)r->k);
    if (biased) a.bias = check_input(k, RF_F32, (size_t)r->n);
    if (residual) a.residual = check_input(k, dtype, (size_t)r->m * (size_t)r->n);
    a.y = check_output(k, dtype, 1, (size_t)r->m * (size_t)r->n, (size_t)r->m * (size_t)r->n);
    /* The bias is rounded to the storage type on its way. */
    const double      unit = dtype == RF_F16 ? CHECK_UNIT_F16 : CHECK_UNIT_BF16;
    const check_bound bound = {.ref = gemm_reference(k, a, a.residual, RF_ACT_NONE, CHECK_EXACT),
                               .magnitude = gemm_magnitude(k, &a, a.residual),
                               .rel =
                                   check_sum_error(r->k + 2, CHECK_UNIT_F32) + (biased ? unit : 0)};
    pin(&a, 66);
    cr_assert_eq(run(a), RF_OK, "%s: %s", r->name, rf_vendor_why(vendor));
    check_compare(k, a.y, &bound, "m n", r->m, r->n);
    CHECK_END(k);

    const int            type = dtype == RF_F16 ? CUDA_R_16F : CUDA_R_16BF;
    const uint64_t       m = (uint64_t)r->m, n = (uint64_t)r->n, depth = (uint64_t)r->k;
    const fake_lt_matrix w = {type, depth, n, (r->k + 7) / 8 * 8}, x = {type, depth, m, r->k},
                         y = {type, n, m, r->n};
    const fake_lt_matrix got[] = {record->a, record->b, record->c, record->d},
                         want[] = {w, x, y, y};
    for (int i = 0; i < 4; i++)
        cr_expect(got[i].type == want[i].type && got[i].rows == want[i].rows &&
                      got[i].cols == want[i].cols && got[i].ld == want[i].ld,
                  "%s: matrix %c", r->name, "abcd"[i]);
    cr_expect(record->transposed_a == CUBLAS_OP_T && record->transposed_b == CUBLAS_OP_N);
    cr_expect_eq(record->epilogue, biased ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
    cr_expect(record->alpha > 0 && (record->beta > 0) == (residual > 0));
    for (int i = 0; i < 9; i++) cr_expect_eq(record->algorithm[i], (uint32_t)row.number[i]);
}

Test(gemm_vendor, matches_reference, .timeout = 60)
{
    start();
    for (int i = 0; i < gemm_rows_count; i++) {
        const gemm_row *r = &gemm_rows[i];
        if (r->act != RF_ACT_NONE || r->k1 || 2.0 * r->m * r->n * r->k > 2e7) continue;
        for (int mode = 0; mode < 4; mode++)
            check_row(r, mode % 2 ? RF_BF16 : RF_F16, mode & 1, mode & 2);
    }
    cr_expect_gt(record->products, 12);
    stop();
}

static rf_gemm_args some_call(void)
{
    static float bias[24];
    return (rf_gemm_args){
        .m = 9, .n = 24, .k = 40, .dtype = RF_F16, .wdtype = RF_F16, .bias = bias};
}

Test(gemm_vendor, workspace_is_the_bias_and_what_the_algorithm_wants)
{
    start();
    rf_gemm_args a = some_call();
    size_t       bytes = 0;
    pin(&a, 67);
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_OK);
    cr_expect_eq(bytes, 256 + FAKE_LT_WORKSPACE);
    a.bias = NULL;
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_OK);
    cr_expect_eq(bytes, FAKE_LT_WORKSPACE);
    stop();
}

Test(gemm_vendor, what_the_library_lacks_is_refused)
{
    start();
    size_t bytes;
    for (int act = RF_ACT_SILU; act <= RF_ACT_GEGLU; act++) {
        rf_gemm_args a = some_call();
        a.act = (rf_act)act;
        pin(&a, 66);
        cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
        cr_expect_not_null(strstr(rf_vendor_why(vendor), "no such activation"));
    }
    rf_gemm_args a = some_call();
    a.k1 = 16;
    pin(&a, 66);
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    a = some_call();
    a.dtype = a.wdtype = RF_F32;
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_SHAPE);
    stop();
}

Test(gemm_vendor, runs_only_pinned_algorithms_that_leave_k_whole)
{
    start();
    rf_gemm_args a = some_call();
    size_t       bytes;
    pinned = (rf_choices){.count = 0};
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor),
                     "the choice table pins no vendor algorithm for gemm f16 none 24 40 0 0");
    const struct {
        int at, value;
    } faults[] = {{3, 2}, {4, 1}, {0, 5}, {7, 70000}}; /* parts, reduction, no such id, too big */
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        pin(&a, 66);
        row.number[faults[i].at] = faults[i].value;
        cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED, "fault %zu", i);
    }
    pin(&a, 66);
    row.count = 8;
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    stop();
}

Test(gemm_vendor, lists_what_computes_in_order)
{
    start();
    const rf_gemm_args a = some_call();
    rf_choice          found[8];
    int                count;
    cr_assert_eq(rf_gemm_list_vendor(&gpu, &a, found, 8, &count), RF_OK);
    cr_assert_eq(count, 3);
    cr_expect(found[0].number[0] == 71 && found[1].number[0] == 66 && found[2].number[0] == 67);
    const int whole[9] = {66, 20, 10, 1, 0, 1, 3, 2, 7};
    for (int i = 0; i < 9; i++) cr_expect_eq(found[1].number[i], whole[i]);
    cr_expect(found[1].key.n == a.n && found[1].key.k == a.k && found[1].count == 9);
    cr_expect_eq(record->reductions, 0);
    for (int i = 0; i < 4; i++) cr_expect_eq(record->alignment[i], 16);
    cr_assert_eq(rf_gemm_list_vendor(&gpu, &a, found, 2, &count), RF_OK);
    cr_expect_eq(count, 2);
    stop();
}

Test(gemm_vendor, every_call_may_fail)
{
    start();
    float        x[9 * 40] = {0}; /* also of w: large enough for either's 16-bit elements */
    float        w[24 * 40] = {0}, y[9 * 24];
    rf_gemm_args a = some_call();
    a.x = x;
    a.w = w;
    a.y = y;
    pin(&a, 67);
    int failures = 0;
    for (int n = 1;; n++) {
        record->calls = 0;
        record->fail_at = n;
        const rf_status st = run(a);
        if (st == RF_OK) break;
        failures++;
        cr_expect_eq(st, RF_E_UNSUPPORTED);
        cr_expect_not_null(strstr(rf_vendor_why(vendor), "CUBLAS_STATUS_INTERNAL_ERROR"));
        cr_assert_lt(n, 100);
    }
    cr_expect_gt(failures, 30);
    for (int n = 1;; n++) {
        rf_choice found[8];
        int       count;
        record->calls = 0;
        record->fail_at = n;
        if (rf_gemm_list_vendor(&gpu, &a, found, 8, &count) == RF_OK) break;
        cr_assert_lt(n, 100);
    }
    stop();
}

Test(gemm_vendor, a_missing_library_is_one_sentence)
{
    rf_error err = {0};
    cr_assert_eq(rf_vendor_create(&vendor, &err), RF_OK);
    cr_expect_eq(rf_vendor_open_cublaslt(vendor, "libnothing.so.1", &err), RF_E_UNSUPPORTED);
    cr_expect_str_eq(err.message, "the vendor level needs libnothing.so.1, which this machine does "
                                  "not have or cannot load: install it, or put its folder in "
                                  "LD_LIBRARY_PATH");
    cr_expect_eq(rf_vendor_open_cublaslt(vendor, "libm.so.6", &err), RF_E_UNSUPPORTED);
    cr_expect_not_null(strstr(err.message, "libm.so.6 has no cublasLtCreate"));
    const rf_gemm_args a = some_call();
    size_t             bytes;
    gpu = (rf_gpu){.vendor = vendor, .choices = &pinned};
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor), "gemm: cuBLASLt is not open");
    gpu.vendor = NULL;
    cr_expect_eq(rf_gemm_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    rf_vendor_destroy(vendor);
}

Test(gemm_vendor, a_library_that_does_not_start_or_is_another_version)
{
    start();
    rf_error     err = {0};
    rf_gemm_args a = some_call();
    record->calls = 0;
    record->fail_at = 1;
    cr_expect_eq(rf_vendor_open_cublaslt(vendor, RF_FAKE_CUBLASLT, &err), RF_E_DEVICE);
    cr_expect_not_null(strstr(err.message, "cuBLASLt does not start on this GPU"));
    record->fail_at = 0;
    pin(&a, 66);
    cr_expect_eq(rf_vendor_open_for(vendor, &pinned, &err), RF_OK);
    pinned.cublaslt = 120000;
    cr_expect_eq(rf_vendor_open_for(vendor, &pinned, &err), RF_E_UNSUPPORTED);
    cr_expect_str_eq(err.message, "cuBLASLt is version 130002, and the choice table pins "
                                  "algorithms of version 120000: install that one");
    row.level = RF_LEVEL_SM80;
    cr_expect_eq(rf_vendor_open_for(vendor, &pinned, &err), RF_OK, "no row needs it");
    stop();
}
