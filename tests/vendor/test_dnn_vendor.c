/* conv and attention by cuDNN, against a stand-in that keeps what it was told: sizes, strides,
 * types and engines of the graphs, and what is said when cuDNN is missing or fails.  Only a GPU can
 * tell what comes of them. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <string.h>

#include "kernels/device/vendor.h"
#include "kernels/ops.h"
#include "tests/kernels/gpu_case.h"
#include "tests/vendor/fake_cudnn.h"

static fake_dnn_record  *record;
static fake_dnn_read_fn *read_values;
static fake_dnn_type_fn *type_of;
static rf_vendor        *vendor;
static rf_choice         row;
static rf_choices        pinned;
static rf_gpu            gpu;

static void start(void)
{
    rf_error err = {0};
    void    *library = dlopen(RF_FAKE_CUDNN, RTLD_NOW);
    cr_assert_not_null(library);
    record = dlsym(library, "fake_dnn");
    void *functions[] = {dlsym(library, "fake_dnn_read"), dlsym(library, "fake_dnn_type")};
    memcpy(&read_values, &functions[0], sizeof read_values);
    memcpy(&type_of, &functions[1], sizeof type_of);
    cr_assert(record && read_values && type_of);
    *record = (fake_dnn_record){0};
    cr_assert_eq(rf_vendor_create(&vendor, &err), RF_OK);
    cr_assert_eq(rf_vendor_open_cudnn(vendor, RF_FAKE_CUDNN, &err), RF_OK, "%s", err.message);
    pinned = (rf_choices){.row = &row, .count = 1, .cudnn = FAKE_DNN_VERSION};
    gpu = (rf_gpu){.vendor = vendor, .choices = &pinned, .stream = &gpu};
}

static void stop(void)
{
    rf_vendor_destroy(vendor);
    cr_expect_eq(record->handles, 0);
    cr_expect_eq(record->descriptors, 0, "%d descriptors were kept", record->descriptors);
}

static cudnnBackendDescriptor_t named(cudnnBackendDescriptor_t    of,
                                      cudnnBackendAttributeName_t attribute)
{
    cudnnBackendDescriptor_t d = NULL;
    cr_assert_eq(read_values(of, attribute, 1, &d), 1, "attribute %d", (int)attribute);
    return d;
}

static void expect_numbers(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t attribute,
                           int count, const int64_t *want)
{
    int64_t got[8] = {0};
    cr_assert_eq(read_values(of, attribute, 8, got), count, "attribute %d", (int)attribute);
    for (int i = 0; i < count; i++)
        cr_expect_eq(got[i], want[i], "attribute %d [%d]: %ld, not %ld", (int)attribute, i,
                     (long)got[i], (long)want[i]);
}

static void expect_tensor(cudnnBackendDescriptor_t t, cudnnDataType_t type, const int64_t size[4],
                          const int64_t stride[4], bool between)
{
    cudnnDataType_t got;
    bool            is_between = false;
    cr_assert_eq(type_of(t), CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    read_values(t, CUDNN_ATTR_TENSOR_DATA_TYPE, 1, &got);
    read_values(t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 1, &is_between);
    cr_expect_eq(got, type);
    cr_expect_eq(is_between, between);
    expect_numbers(t, CUDNN_ATTR_TENSOR_DIMENSIONS, 4, size);
    expect_numbers(t, CUDNN_ATTR_TENSOR_STRIDES, 4, stride);
}

/* The operations of the plan that ran last, and its engine's index. */
static int64_t operations(cudnnBackendDescriptor_t out[8], int64_t *engine_index)
{
    const cudnnBackendDescriptor_t config =
        named(record->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const cudnnBackendDescriptor_t engine = named(config, CUDNN_ATTR_ENGINECFG_ENGINE);
    read_values(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1, engine_index);
    return read_values(named(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH),
                       CUDNN_ATTR_OPERATIONGRAPH_OPS, 8, out);
}

static float memory[8]; /* nothing is computed: addresses are all that counts */

static rf_conv_args conv_call(void)
{
    return (rf_conv_args){.y = &memory[0],
                          .x = &memory[1],
                          .wt = &memory[2],
                          .n = 2,
                          .h = 5,
                          .w = 7,
                          .cin = 16,
                          .cout = 24,
                          .dtype = RF_F16,
                          .wdtype = RF_F16};
}

static void pin_conv(const rf_conv_args *a)
{
    row = (rf_choice){.key = {RF_CHOICE_CONV, a->dtype, (int)a->kind, a->cout, a->cin, a->h, a->w},
                      .level = RF_LEVEL_VENDOR,
                      .count = 5,
                      .number = {62, 2, 3, 14, 2}};
}

Test(dnn_vendor, conv_is_described_channels_last)
{
    start();
    for (int kind = RF_CONV_SAME; kind <= RF_CONV_DOWN_RB; kind++) {
        rf_conv_args a = conv_call();
        size_t       bytes = 0;
        a.kind = (rf_conv_kind)kind;
        pin_conv(&a);
        cr_assert_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_OK, "%s", rf_vendor_why(vendor));
        cr_expect_eq(bytes, FAKE_DNN_WORKSPACE);
        a.workspace = memory;
        cr_assert_eq(rf_conv_vendor(&gpu, &a), RF_OK, "%s", rf_vendor_why(vendor));

        cudnnBackendDescriptor_t op[8];
        int64_t                  engine = 0;
        cr_assert_eq(operations(op, &engine), 1);
        cr_expect_eq(engine, 62);
        cr_assert_eq(type_of(op[0]), CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
        const int64_t ho = rf_conv_out(a.kind, a.h), wo = rf_conv_out(a.kind, a.w);
        const int64_t x[4] = {2, 16, 5, 7}, x_stride[4] = {5 * 7 * 16, 1, 7 * 16, 16};
        const int64_t w[4] = {24, 16, 3, 3}, w_stride[4] = {9 * 16, 1, 3 * 16, 16};
        const int64_t y[4] = {2, 24, ho, wo}, y_stride[4] = {ho * wo * 24, 1, wo * 24, 24};
        expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), CUDNN_DATA_HALF, x,
                      x_stride, false);
        expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W), CUDNN_DATA_HALF, w,
                      w_stride, false);
        expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y), CUDNN_DATA_HALF, y,
                      y_stride, false);
        const cudnnBackendDescriptor_t how =
            named(op[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
        const int64_t stride = kind == RF_CONV_SAME ? 1 : 2, before = kind != RF_CONV_DOWN_RB;
        const int64_t strides[2] = {stride, stride}, befores[2] = {before, before},
                      ones[2] = {1, 1};
        expect_numbers(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 2, strides);
        expect_numbers(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 2, befores);
        expect_numbers(how, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, 2, ones);
        expect_numbers(how, CUDNN_ATTR_CONVOLUTION_DILATIONS, 2, ones);
        cudnnDataType_t sums;
        read_values(how, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 1, &sums);
        cr_expect_eq(sums, CUDNN_DATA_FLOAT);
    }
    stop();
}

/* What is added stays f32 on its way, and each address reaches its tensor. */
Test(dnn_vendor, conv_adds_bias_and_residual)
{
    start();
    for (int mode = 0; mode < 4; mode++) {
        rf_conv_args a = conv_call();
        size_t       bytes;
        a.dtype = a.wdtype = RF_BF16;
        if (mode & 1) a.bias = &memory[3];
        if (mode & 2) a.residual = &memory[4];
        pin_conv(&a);
        cr_assert_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_OK);
        cr_assert_eq(rf_conv_vendor(&gpu, &a), RF_OK);
        cudnnBackendDescriptor_t op[8];
        int64_t                  engine;
        const int64_t            added = (mode & 1) + (mode >> 1);
        cr_assert_eq(operations(op, &engine), 1 + added);
        cr_expect_eq(record->ids, 3 + added);
        cudnnBackendDescriptor_t before = named(op[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
        const int64_t            y[4] = {2, 24, 5, 7}, y_stride[4] = {5 * 7 * 24, 1, 7 * 24, 24};
        const int64_t            flat[4] = {1, 24, 1, 1}, flat_stride[4] = {24, 1, 24, 24};
        for (int64_t i = 1; i <= added; i++) {
            const bool is_bias = (mode & 1) && i == 1;
            expect_tensor(before, CUDNN_DATA_FLOAT, y, y_stride, true);
            cr_expect_eq(named(op[i], CUDNN_ATTR_OPERATION_POINTWISE_XDESC), before);
            expect_tensor(named(op[i], CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                          is_bias ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16, is_bias ? flat : y,
                          is_bias ? flat_stride : y_stride, false);
            before = named(op[i], CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
        }
        expect_tensor(before, CUDNN_DATA_BFLOAT16, y, y_stride, false);
        const void *const want[] = {a.x, a.wt, a.bias, a.residual, a.y}; /* in the order of ids */
        for (int64_t i = 0; i < record->ids; i++)
            cr_expect_eq(record->data[i], want[record->id[i] - 1]);
        cr_expect_eq(record->stream, gpu.stream);
    }
    stop();
}

static rf_attention_args attention_call(void)
{
    return (rf_attention_args){.o = &memory[0],
                               .q = &memory[1],
                               .k = &memory[2],
                               .v = &memory[3],
                               .n = 2,
                               .sq = 40,
                               .skv = 77,
                               .heads = 3,
                               .d = 64,
                               .q_stride = 3 * 192,
                               .kv_stride = 2 * 192,
                               .o_stride = 192,
                               .scale = 0.125f,
                               .dtype = RF_F16};
}

static void pin_attention(const rf_attention_args *a)
{
    row = (rf_choice){.key = {RF_CHOICE_ATTENTION, a->dtype, a->causal, a->heads, a->d, a->sq,
                              a->table ? 0 : a->skv},
                      .level = RF_LEVEL_VENDOR,
                      .count = 3,
                      .number = {7, 24, 21}};
}

Test(dnn_vendor, attention_is_described_with_the_projections_strides)
{
    start();
    rf_attention_args a = attention_call();
    size_t            bytes = 0;
    pin_attention(&a);
    cr_assert_eq(rf_attention_prepare_vendor(&gpu, &a, &bytes), RF_OK, "%s", rf_vendor_why(vendor));
    cr_expect_eq(bytes, FAKE_DNN_WORKSPACE);
    cr_assert_eq(rf_attention_vendor(&gpu, &a), RF_OK);
    cudnnBackendDescriptor_t op[8];
    int64_t                  engine = 0;
    cr_assert_eq(operations(op, &engine), 1);
    cr_expect_eq(engine, 7);
    cr_assert_eq(type_of(op[0]), CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    const int64_t q[4] = {2, 3, 40, 64}, q_stride[4] = {40 * 576, 64, 576, 1};
    const int64_t kv[4] = {2, 3, 77, 64}, kv_stride[4] = {77 * 384, 64, 384, 1};
    const int64_t o_stride[4] = {40 * 192, 64, 192, 1}, one[4] = {1, 1, 1, 1};
    expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC), CUDNN_DATA_HALF, q, q_stride,
                  false);
    expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC), CUDNN_DATA_HALF, kv, kv_stride,
                  false);
    expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC), CUDNN_DATA_HALF, kv, kv_stride,
                  false);
    expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC), CUDNN_DATA_HALF, q, o_stride,
                  false);
    expect_tensor(named(op[0], CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC), CUDNN_DATA_FLOAT, one, one,
                  false);
    cr_expect_eq(record->ids, 5);
    const void *const want[] = {a.q, a.k, a.v, a.o};
    for (int i = 0; i < 4; i++) cr_expect_eq(record->data[i], want[record->id[i] - 1]);
    stop();
}

Test(dnn_vendor, plans_are_made_once_and_per_engine)
{
    start();
    rf_conv_args a = conv_call();
    size_t       bytes;
    pin_conv(&a);
    cr_expect_eq(rf_conv_vendor(&gpu, &a), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor), "conv: it was not prepared");
    cr_assert_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_OK);
    const int descriptors = record->descriptors;
    cr_assert_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_OK);
    cr_assert_eq(rf_conv_vendor(&gpu, &a), RF_OK);
    cr_expect_eq(record->descriptors, descriptors);
    row.number[4] = 3; /* another knob is another plan */
    cr_expect_eq(rf_conv_vendor(&gpu, &a), RF_E_UNSUPPORTED);
    a.n = 4;
    row.number[4] = 2;
    cr_expect_eq(rf_conv_vendor(&gpu, &a), RF_E_UNSUPPORTED, "and so is another batch");
    stop();
}

Test(dnn_vendor, lists_what_computes_in_order)
{
    start();
    const rf_conv_args      a = conv_call();
    const rf_attention_args b = attention_call();
    rf_choice               found[8];
    int                     count = 0;
    cr_assert_eq(rf_conv_list_vendor(&gpu, &a, found, 8, &count), RF_OK);
    cr_assert_eq(count, 2);
    const int first[5] = {62, 2, 3, 14, 2}, second[3] = {7, 24, 21};
    cr_assert_eq(found[0].count, 5);
    cr_assert_eq(found[1].count, 3);
    for (int i = 0; i < 5; i++) cr_expect_eq(found[0].number[i], first[i]);
    for (int i = 0; i < 3; i++) cr_expect_eq(found[1].number[i], second[i]);
    cr_expect(found[1].key.h == a.h && found[1].key.n == a.cout);
    cr_assert_eq(rf_attention_list_vendor(&gpu, &b, found, 8, &count), RF_OK);
    cr_expect_eq(count, 2);
    cr_expect(found[0].key.h == b.sq && found[0].key.w == b.skv && found[0].key.k == b.d);
    stop();
}

Test(dnn_vendor, what_cudnn_lacks_is_refused)
{
    start();
    static const rf_attention_kv table[2];
    size_t                       bytes;
    for (int i = 0; i < 6; i++) {
        rf_conv_args a = conv_call();
        if (i == 5) a.relu = 1;
        if (i == 0) a.cin1 = 8;
        if (i == 1) a.temb = memory, a.temb_stride = 24;
        if (i == 2) a.kind = RF_CONV_UP2;
        if (i == 3) a.cin = 4;
        if (i == 4) a.cout = 3;
        pin_conv(&a);
        cr_expect_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED, "case %d", i);
        cr_expect_not_null(strstr(rf_vendor_why(vendor), "no other level takes its place"));
    }
    for (int i = 0; i < 2; i++) {
        rf_attention_args a = attention_call();
        a.skv = a.sq;
        if (i == 0) a.table = table;
        if (i == 1) a.causal = 1;
        pin_attention(&a);
        cr_expect_eq(rf_attention_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    }
    rf_conv_args a = conv_call();
    pin_conv(&a);
    row.number[1] = CUDNN_KNOB_TYPE_SPLIT_K_SLC;
    cr_expect_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor), "conv: its row is no engine that leaves sums whole");
    pinned.count = 0;
    cr_expect_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor),
                     "the choice table pins no vendor algorithm for conv f16 same 24 16 5 7");
    stop();
}

/* Nothing is kept, and nothing but the call fails. */
Test(dnn_vendor, every_call_may_fail, .timeout = 30)
{
    start();
    int failures = 0;
    for (int n = 1;; n++) {
        rf_conv_args a = conv_call();
        size_t       bytes;
        a.n = n; /* a plan of its own each time */
        a.bias = a.residual = memory;
        pin_conv(&a);
        const int descriptors = record->descriptors;
        record->calls = 0;
        record->fail_at = n;
        rf_status st = rf_conv_prepare_vendor(&gpu, &a, &bytes);
        if (st != RF_OK) cr_expect_eq(record->descriptors, descriptors, "call %d", n);
        if (st == RF_OK) st = rf_conv_vendor(&gpu, &a);
        if (st == RF_OK) break;
        failures++;
        cr_expect_eq(st, RF_E_UNSUPPORTED);
        cr_expect_not_null(strstr(rf_vendor_why(vendor), "cuDNN"));
        cr_assert_lt(n, 400);
    }
    cr_expect_gt(failures, 100);
    for (int n = 1; n < 250; n++) {
        const rf_attention_args a = attention_call();
        rf_choice               found[8];
        int                     count = 0;
        const int               descriptors = record->descriptors;
        record->calls = 0;
        record->fail_at = n;
        rf_attention_list_vendor(&gpu, &a, found, 8, &count); /* may do with fewer */
        cr_expect_eq(record->descriptors, descriptors, "call %d", n);
    }
    record->fail_at = 0;
    stop();
}

Test(dnn_vendor, a_missing_library_is_one_sentence)
{
    rf_error           err = {0};
    size_t             bytes;
    const rf_conv_args a = conv_call();
    cr_assert_eq(rf_vendor_create(&vendor, &err), RF_OK);
    cr_expect_eq(rf_vendor_open_cudnn(vendor, "libnothing.so.9", &err), RF_E_UNSUPPORTED);
    cr_expect_not_null(strstr(err.message, "needs libnothing.so.9"));
    cr_expect_eq(rf_vendor_open_cudnn(vendor, "libm.so.6", &err), RF_E_UNSUPPORTED);
    cr_expect_not_null(strstr(err.message, "libm.so.6 has no cudnnCreate"));
    gpu = (rf_gpu){.vendor = vendor, .choices = &pinned};
    cr_expect_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor), "conv: cuDNN is not open");
    rf_vendor_destroy(vendor);
}

Test(dnn_vendor, opened_for_a_described_gpu_it_plans_and_does_not_run)
{
    start();
    rf_error     err = {0};
    rf_conv_args a = conv_call();
    size_t       bytes;
    cr_assert_eq(rf_vendor_open_cudnn_for(vendor, RF_FAKE_CUDNN, "{}", &err), RF_OK);
    cr_expect_eq(record->handles, 0);
    pin_conv(&a);
    cr_expect_eq(rf_conv_prepare_vendor(&gpu, &a, &bytes), RF_OK);
    cr_expect_eq(rf_conv_vendor(&gpu, &a), RF_E_UNSUPPORTED);
    cr_expect_str_eq(rf_vendor_why(vendor), "conv: cuDNN was opened to plan only");
    stop();
}

Test(dnn_vendor, the_table_of_ops_has_three)
{
    const rf_ops *ops = rf_ops_of(RF_LEVEL_VENDOR);
    cr_assert_not_null(ops);
    cr_expect_eq(ops->level, RF_LEVEL_VENDOR);
    cr_expect(ops->gemm && ops->conv && ops->attention && !ops->groupnorm && !ops->lincomb);
}
