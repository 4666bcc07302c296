/* The CUDA device on the runtime's stand-in: what it refuses to start on, work in order, graphs,
 * and kernels that fail. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "engine/core/device.h"
#include "engine/core/program.h"
#include "engine/relay/engine.h"
#include "kernels/device/gpu.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

enum { N = 256, BYTES = N * sizeof(float) };

static void expect_nothing_held(void)
{
    const emu_held h = emu_runtime_held();
    cr_expect(!h.memory_bytes && !h.pinned_bytes, "%zu and %zu bytes", h.memory_bytes,
              h.pinned_bytes);
    cr_expect(!h.streams && !h.events && !h.graphs && !h.executables,
              "%d streams, %d events, %d "
              "graphs, %d executables",
              h.streams, h.events, h.graphs, h.executables);
}

static rf_device open_cuda(void)
{
    rf_device device;
    rf_error  err = {0};
    emu_runtime_start(&emu_gpu_h100);
    emu_clear();
    cr_assert_eq(rf_device_open_cuda(&device, 0, 1, &err), RF_OK, "%s", err.message);
    return device;
}

static void close_cuda(rf_device *device)
{
    rf_device_close(device);
    expect_nothing_held();
}

/* On a real GPU nobody counts. */
static void expect_kernels(size_t before, size_t count, const char *why)
{
    if (emu_runtime_stands_in())
        cr_expect_eq(emu_runtime_done().kernels, before + count, "%s", why);
}

static void must(rf_status st)
{
    cr_assert_eq(st, RF_OK, "%s", rf_status_name(st));
}

/* y = scale * x, and the coefficient comes from the device: what graphs must be able to change. */
typedef struct doubling {
    float     *x, *y, *coef; /* on the device */
    float     *staging;      /* [N] */
    rf_program program;
} doubling;

static doubling start(rf_device *device)
{
    doubling d = {0};
    must(rf_device_alloc(device, (void **)&d.x, BYTES, "x", NULL));
    must(rf_device_alloc(device, (void **)&d.y, BYTES, "y", NULL));
    must(rf_device_alloc(device, (void **)&d.coef, sizeof(float), "coef", NULL));
    must(rf_device_alloc_staging(device, (void **)&d.staging, BYTES, "staging", NULL));
    rf_op_call call = {.kind = RF_OP_LINCOMB, .label = "double.it"};
    call.args.lincomb = (rf_lincomb_args){.y = d.y, .x = {d.x}, .coef = d.coef, .n = 1, .e = N};
    call.args.lincomb.terms = 1;
    call.args.lincomb.xdtype[0] = call.args.lincomb.ydtype = RF_F32;
    must(rf_program_add(&d.program, &call, NULL));
    return d;
}

static void end(rf_device *device, doubling *d)
{
    rf_program_free(&d->program);
    rf_device_free_staging(device, d->staging, BYTES);
    rf_device_free(device, d->coef, sizeof(float));
    rf_device_free(device, d->y, BYTES);
    rf_device_free(device, d->x, BYTES);
    cr_expect(device->bytes_held == 0 && device->staging_held == 0);
}

/* Waits until `value` is in all of `to`. */
static void put(rf_device *device, doubling *d, float *to, int count, float value)
{
    for (int i = 0; i < count; i++) d->staging[i] = value;
    must(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_UP, to, d->staging,
                        (size_t)count * sizeof(float), NULL));
    must(rf_device_wait(device, NULL));
}

static void expect_result(rf_device *device, doubling *d, float value)
{
    must(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, d->staging, d->y, BYTES, NULL));
    must(rf_device_wait(device, NULL));
    for (int i = 0; i < N; i++) cr_assert_eq(d->staging[i], value, "element %d", i);
}

/* ---- starting -------------------------------------------------------------------------------- */

Test(device_cuda, what_it_will_not_start_on_is_one_clear_sentence)
{
    const struct {
        const char *says[3];
        int         ordinal;
        emu_gpu     gpu;
    } rows[] = {
        {{"no NVIDIA driver", "--device cpu"}, 0, {1, 0, "x", 9, 0, 80u << 20, 0, 0}},
        {{"too old", "CUDA 12.4", "13.0"}, 0, {1, 12040, "x", 9, 0, (size_t)8 << 30, 0, 0}},
        {{"no NVIDIA GPU", "nvidia-smi"}, 0, {0, 13000, "x", 9, 0, (size_t)8 << 30, 0, 0}},
        {{"no GPU 2", "has 2"}, 2, {2, 13000, "x", 9, 0, (size_t)8 << 30, 0, 0}},
        {{"no GPU -1"}, -1, {2, 13000, "x", 9, 0, (size_t)8 << 30, 0, 0}},
        {{"Tesla T4", "7.5", "8.0, 8.6, 8.9"},
         0,
         {1, 13000, "Tesla T4", 7, 5, (size_t)16 << 30, 0, 64 << 10}},
        {{"Thor", "11.0", "12.0"}, 0, {1, 13000, "Thor", 11, 0, (size_t)64 << 30, 0, 227 << 10}},
        {{"too little memory", "500 of its 8192 MiB", "1024"},
         0,
         {1, 13000, "x", 8, 9, (size_t)8 << 30, (size_t)7692 << 20, 99 << 10}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_device device;
        rf_error  err = {0};
        emu_runtime_start(&rows[i].gpu);
        cr_expect_eq(rf_device_open_cuda(&device, rows[i].ordinal, 1, &err), RF_E_DEVICE);
        for (int j = 0; j < 3 && rows[i].says[j]; j++)
            cr_expect(strstr(err.message, rows[i].says[j]), "no \"%s\" in: %s", rows[i].says[j],
                      err.message);
        cr_expect_null(device.kind);
        rf_device_close(&device);
        expect_nothing_held();
    }
}

Test(device_cuda, starts_where_there_are_kernels)
{
    static const struct {
        int major, minor, shared_kib;
    } rows[] = {{8, 0, 163},  {8, 6, 99},   {8, 7, 163}, {8, 9, 99},  {9, 0, 227},
                {10, 0, 227}, {10, 3, 227}, {12, 0, 99}, {12, 1, 99}, {13, 0, 227}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        emu_gpu   gpu = {3, 13010, "GPU", rows[i].major, rows[i].minor, (size_t)8 << 30, 0, 0};
        rf_device device;
        rf_error  err = {0};
        gpu.shared_bytes_max = (size_t)rows[i].shared_kib << 10;
        emu_runtime_start(&gpu);
        cr_assert_eq(rf_device_open_cuda(&device, 2, 3, &err), RF_OK, "%d.%d: %s", rows[i].major,
                     rows[i].minor, err.message);
        const rf_gpu *ops = device.stream;
        cr_expect(ops->stream && ops->shared_bytes_max == rows[i].shared_kib << 10);
        cr_expect_eq(device.ops->level, RF_LEVEL_SM80);
        cr_expect_eq(rf_device_threads(&device), 3);
        cr_expect_eq(rf_device_memory_bytes(&device), (size_t)8 << 30);
        cr_expect_str_eq(device.name, "cuda:2 GPU");
        close_cuda(&device);
    }
}

/* As a user meets it. */
Test(device_cuda, engines_say_what_keeps_them_from_a_gpu)
{
    static const struct {
        const char *device, *says;
        rf_status   status;
        int         devices;
    } rows[] = {
        {"cuda", "no NVIDIA GPU", RF_E_DEVICE, 0},
        {"cuda:7", "no GPU 7", RF_E_DEVICE, 1},
        {"cuda:", "cuda:N", RF_E_ARG, 1},
        {"cuda:-1", "cuda:N", RF_E_ARG, 1},
        {"cuda:99999999999999999999", "cuda:N", RF_E_ARG, 1},
        {"cuda:0x", "cuda:N", RF_E_ARG, 1},
        {"gpu", "cuda:N", RF_E_ARG, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        emu_gpu    gpu = emu_gpu_h100;
        rf_engine *engine = NULL;
        rf_error   err = {0};
        gpu.devices = rows[i].devices;
        emu_runtime_start(&gpu);
        cr_expect_eq(rf_engine_create(&engine, &(rf_options){.device = rows[i].device}, &err),
                     rows[i].status, "%s: %s", rows[i].device, err.message);
        cr_expect_null(engine);
        cr_expect(strstr(err.message, rows[i].says), "%s: %s", rows[i].device, err.message);
        expect_nothing_held();
    }
}

Test(device_cuda, engines_tell_their_gpu_and_types)
{
    static const struct {
        const char *device, *dtype, *level, *tells, *computes;
        rf_status   status;
    } rows[] = {
        {"cuda", NULL, NULL, "cuda:0 NVIDIA H100 80GB HBM3, 3 threads", "f16", RF_OK},
        {"cuda:1", "auto", NULL, "cuda:1 NVIDIA H100 80GB HBM3, 3 threads", "f16", RF_OK},
        {"emulated", "bf16", NULL, "cuda:0 NVIDIA H100", "bf16", RF_OK},
        {"cuda", "f32", NULL, "a GPU cannot compute in f32: use dtype f16", "", RF_E_UNSUPPORTED},
        {"cuda", "f16", "ref", "only on the device cpu", "", RF_E_ARG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        emu_gpu          gpu = emu_gpu_h100;
        rf_engine       *engine = NULL;
        rf_error         err = {0};
        const rf_options options = {
            .device = rows[i].device, .dtype = rows[i].dtype, .level = rows[i].level, .threads = 3};
        gpu.devices = 2;
        emu_runtime_start(&gpu);
        cr_expect_eq(rf_engine_create(&engine, &options, &err), rows[i].status);
        const char *tells = engine ? rf_engine_device(engine) : err.message;
        cr_expect(strstr(tells, rows[i].tells), "%s: %s", rows[i].device, tells);
        if (engine) {
            cr_expect_str_eq(rf_engine_dtype(engine), rows[i].computes);
            cr_expect_eq(engine->vae_dtype, RF_BF16, "f16 overflows in SDXL's VAE");
        }
        rf_engine_destroy(engine);
        expect_nothing_held();
    }
}

/* Without a machine of the test's own. */
Test(device_cuda, the_emulated_gpu_says_that_it_is)
{
    if (!emu_runtime_stands_in()) return;
    rf_engine *engine = NULL;
    rf_error   err = {0};
    cr_assert_eq(rf_engine_create(&engine, &(rf_options){.device = "emulated"}, &err), RF_OK, "%s",
                 err.message);
    cr_expect(strstr(rf_engine_device(engine), "cuda:0 emulated GPU"));
    rf_engine_destroy(engine);
    expect_nothing_held();
}

/* ---- work in order --------------------------------------------------------------------------- */

Test(device_cuda, work_is_done_when_somebody_waits)
{
    rf_device device = open_cuda();
    doubling  d = start(&device);
    put(&device, &d, d.x, N, 21);
    put(&device, &d, d.coef, 1, 2);
    const size_t before = emu_runtime_done().kernels;
    must(rf_program_run(&d.program, &device, NULL));
    expect_kernels(before, 0, "the stand-in puts off what it can");
    expect_result(&device, &d, 42);
    expect_kernels(before, 1, "done");

    /* What a copy has yet to read must stay: the stand-in shows it, a GPU may have read it. */
    const float late = emu_runtime_stands_in() ? 6 : 5;
    d.staging[0] = 5;
    must(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_UP, d.coef, d.staging, 4, NULL));
    d.staging[0] = late;
    must(rf_program_run(&d.program, &device, NULL));
    expect_result(&device, &d, 21 * late);
    must(rf_device_fill(&device, RF_STREAM_OPS, d.x, 0, BYTES, NULL));
    must(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_WITHIN, d.y, d.x, BYTES, NULL));
    expect_result(&device, &d, 0);
    end(&device, &d);
    cr_expect_eq(emu_reports(), 0);
    close_cuda(&device);
}

Test(device_cuda, events_order_streams_and_tell_time)
{
    rf_device device = open_cuda();
    doubling  d = start(&device);
    rf_event *arrived = NULL, *later = NULL;
    float     ms = -1;
    must(rf_event_create(&device, &arrived, NULL));
    must(rf_event_create(&device, &later, NULL));
    must(rf_event_hold(&device, arrived, RF_STREAM_OPS, NULL)); /* without a mark: nothing */
    put(&device, &d, d.coef, 1, 2);
    for (int i = 0; i < N; i++) d.staging[i] = 4;
    must(rf_device_copy(&device, RF_STREAM_COPIES, RF_COPY_UP, d.x, d.staging, BYTES, NULL));
    must(rf_event_record(&device, arrived, RF_STREAM_COPIES, NULL));
    must(rf_event_hold(&device, arrived, RF_STREAM_OPS, NULL));
    must(rf_program_run(&d.program, &device, NULL));
    must(rf_event_record(&device, later, RF_STREAM_OPS, NULL));
    must(rf_event_wait(&device, later, NULL));
    must(rf_event_between(&device, arrived, later, &ms, NULL));
    cr_expect(ms >= 0, "%f", (double)ms);
    expect_result(&device, &d, 8);
    rf_event_destroy(&device, arrived);
    rf_event_destroy(&device, later);
    end(&device, &d);
    close_cuda(&device);
}

/* The fault that the test above would show, if it forgot to hold. */
Test(device_cuda, streams_without_an_event_are_not_ordered)
{
    if (!emu_checked()) return;
    rf_device device = open_cuda();
    doubling  d = start(&device);
    put(&device, &d, d.coef, 1, 2);
    must(rf_device_copy(&device, RF_STREAM_COPIES, RF_COPY_UP, d.x, d.staging, BYTES, NULL));
    must(rf_program_run(&d.program, &device, NULL));
    cr_expect_eq(rf_device_wait(&device, NULL), RF_E_LOST);
    cr_expect(emu_reported("uninitialised"));
    end(&device, &d);
    close_cuda(&device);
}

Test(device_cuda, copies_want_pinned_memory)
{
    if (!emu_runtime_stands_in()) return; /* a GPU takes them, and waits */
    rf_device device = open_cuda();
    doubling  d = start(&device);
    float     on_the_stack[N] = {0};
    rf_error  err = {0};
    cr_expect_eq(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_UP, d.x, on_the_stack, BYTES, &err),
                 RF_E_DEVICE);
    cr_expect(strstr(err.message, "please report"), "%s", err.message);
    must(rf_device_wait(&device, NULL));
    end(&device, &d);
    close_cuda(&device);
}

Test(device_cuda, memory_that_is_not_there_is_an_error_of_the_call)
{
    rf_device device = open_cuda();
    doubling  d = start(&device);
    void     *p = &device;
    rf_error  err = {0};
    cr_expect_eq(rf_device_alloc(&device, &p, (size_t)1 << 45, "weights", &err), RF_E_NOMEM);
    cr_expect_null(p);
    cr_expect(strstr(err.message, "weights: cannot get 33554432.0 MiB, the GPU has "), "%s",
              err.message);
    cr_expect_eq(device.allocations, 3);
    put(&device, &d, d.x, N, 1);
    end(&device, &d);
    close_cuda(&device);
}

/* ---- profiling ------------------------------------------------------------------------------- */

/* All that was queued before is done first, on both sides. */
/* CUDA would start the GPU that is the thread's own, and in another thread that is the first. */
Test(device_cuda, what_is_given_back_is_given_to_its_own_gpu)
{
    enum { GPUS = 2 };
    emu_gpu   two = emu_gpu_a100;
    rf_device device[GPUS];
    void     *memory[GPUS], *staging[GPUS];
    rf_event *event[GPUS];
    rf_graph *graph[GPUS];
    two.devices = GPUS;
    emu_runtime_start(&two);
    for (int i = 0; i < GPUS; i++) {
        rf_error   err = {0};
        rf_device *d = &device[i];
        cr_assert_eq(rf_device_open_cuda(d, i, 1, &err), RF_OK, "%s", err.message);
        cr_assert_eq(rf_device_alloc(d, &memory[i], BYTES, "test", &err), RF_OK);
        cr_assert_eq(rf_device_alloc_staging(d, &staging[i], BYTES, "test", &err), RF_OK);
        cr_assert_eq(rf_event_create(d, &event[i], &err), RF_OK);
        cr_assert_eq(rf_capture_begin(d, &err), RF_OK);
        cr_assert_eq(rf_capture_end(d, &graph[i], &err), RF_OK);
    }
    for (int what = 0; what < 4; what++)
        for (int i = 0; i < GPUS; i++) {
            if (what == 0) rf_device_free(&device[i], memory[i], BYTES);
            if (what == 1) rf_device_free_staging(&device[i], staging[i], BYTES);
            if (what == 2) rf_event_destroy(&device[i], event[i]);
            if (what == 3) rf_graph_destroy(&device[i], graph[i]);
            cr_expect_eq(emu_runtime_device(), i, "%d", what);
        }
    for (int i = 0; i < GPUS; i++) rf_device_close(&device[i]);
}

Test(device_cuda, a_profiler_sees_what_was_queued_in_between)
{
    if (!emu_runtime_stands_in()) return;
    rf_device device = open_cuda();
    doubling  d = start(&device);
    rf_graph *graph = NULL;
    must(rf_program_capture(&d.program, &device, &graph, NULL));
    put(&device, &d, d.x, N, 1);
    put(&device, &d, d.coef, 1, 2);
    must(rf_program_run(&d.program, &device, NULL));
    must(rf_device_profile(&device, 1, NULL));
    must(rf_program_run(&d.program, &device, NULL));
    must(rf_program_run(&d.program, &device, NULL));
    must(rf_graph_launch(&device, graph, "the doubling", NULL));
    must(rf_device_profile(&device, 0, NULL));
    must(rf_program_run(&d.program, &device, NULL));
    must(rf_device_wait(&device, NULL));
    const emu_done done = emu_runtime_done();
    cr_expect(done.profile_starts == 1 && done.profile_stops == 1);
    cr_expect_eq(done.kernels, 5, "%zu", done.kernels);
    cr_expect_eq(done.profiled_kernels, 3, "%zu", done.profiled_kernels);
    cr_expect_eq(done.profiled_launches, 1, "%zu", done.profiled_launches);

    rf_error err = {0};
    emu_runtime_fail(4, 999); /* after choosing the GPU and two waits */
    cr_expect_eq(rf_device_profile(&device, 1, &err), RF_E_LOST);
    cr_expect(strstr(err.message, "cudaProfilerStart"), "%s", err.message);
    rf_graph_destroy(&device, graph);
    end(&device, &d);
    close_cuda(&device);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

Test(device_cuda, graphs_run_again_with_what_lies_in_memory)
{
    rf_device device = open_cuda();
    doubling  d = start(&device);
    rf_graph *graph = NULL;
    put(&device, &d, d.x, N, 10);
    const size_t before = emu_runtime_done().kernels;
    must(rf_program_capture(&d.program, &device, &graph, NULL));
    must(rf_device_wait(&device, NULL));
    expect_kernels(before, 0, "captured, not run");
    if (emu_runtime_stands_in())
        cr_expect(emu_runtime_held().graphs == 0 && emu_runtime_held().executables == 1);
    const size_t allocations = device.allocations;
    for (int i = 1; i < 4; i++) {
        put(&device, &d, d.coef, 1, (float)i);
        must(rf_graph_launch(&device, graph, "the doubling", NULL));
        expect_result(&device, &d, (float)(10 * i));
    }
    if (emu_runtime_stands_in()) cr_expect_eq(emu_runtime_done().graph_launches, 3);
    cr_expect_eq(device.allocations, allocations);
    rf_graph_destroy(&device, graph);
    rf_graph_destroy(&device, NULL);
    end(&device, &d);
    close_cuda(&device);
}

Test(device_cuda, a_capture_that_fails_leaves_the_device_as_it_was)
{
    rf_device device = open_cuda();
    doubling  d = start(&device);
    rf_graph *graph = NULL;
    rf_error  err = {0};
    must(rf_capture_begin(&device, NULL));
    cr_expect_eq(rf_device_wait(&device, &err), RF_E_DEVICE, "waiting would never end");
    cr_expect_eq(rf_capture_end(&device, &graph, &err), RF_E_DEVICE);
    cr_expect_null(graph);
    must(rf_capture_begin(&device, NULL));
    rf_capture_abandon(&device);

    d.program.call[0].args.lincomb.n = 0; /* refused by the op, in the middle of a capture */
    cr_expect_eq(rf_program_capture(&d.program, &device, &graph, &err), RF_E_SHAPE);
    cr_expect(strstr(err.message, "double.it: the lincomb op failed"), "%s", err.message);
    d.program.call[0].args.lincomb.n = 1;
    must(rf_program_capture(&d.program, &device, &graph, NULL));
    rf_graph_destroy(&device, graph);
    end(&device, &d);
    close_cuda(&device);
}

/* What a captured preview shows is read when it runs: the map, the scale and the row of the pool.
 */
Test(device_cuda, a_captured_preview_follows_its_tables)
{
    enum { MAP = 15, TABLES = MAP + 2, HW = N / 8 }; /* x is a pool of two rows */
    static const struct {
        float   bias, scale;
        int32_t row;
        uint8_t byte;
    } times[] = {{0, 1, 0, 51}, {0, 1, 1, 102}, {0, 0.5f, 1, 51}, {0.2f, 2, 0, 153}};
    rf_device device = open_cuda();
    doubling  d = start(&device);
    rf_graph *graph = NULL;
    float    *tables = NULL;
    must(rf_device_alloc(&device, (void **)&tables, TABLES * sizeof *tables, "tables", NULL));
    put(&device, &d, d.x, N / 2, 0.2f);
    put(&device, &d, d.x + N / 2, N / 2, 0.4f);
    rf_op_call *call = &d.program.call[0];
    *call = (rf_op_call){.kind = RF_OP_LATENT_RGB, .label = "preview"};
    call->args.latent_rgb = (rf_latent_rgb_args){.y = (uint8_t *)d.y, .x = d.x, .map = tables};
    call->args.latent_rgb.scale = tables + MAP;
    call->args.latent_rgb.xrow = (const int32_t *)(tables + MAP + 1);
    call->args.latent_rgb.n = 1, call->args.latent_rgb.hw = HW;
    must(rf_program_capture(&d.program, &device, &graph, NULL));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        for (int m = 0; m < MAP; m++) d.staging[m] = m < 3 ? 1 : m < 12 ? 0 : times[i].bias;
        d.staging[MAP] = times[i].scale;
        memcpy(&d.staging[MAP + 1], &times[i].row, sizeof times[i].row);
        must(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_UP, tables, d.staging,
                            TABLES * sizeof *tables, NULL));
        must(rf_graph_launch(&device, graph, "preview", NULL));
        must(rf_device_wait(&device, NULL));
        must(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_DOWN, d.staging, d.y, BYTES, NULL));
        must(rf_device_wait(&device, NULL));
        for (int e = 0; e < HW * 3; e++)
            cr_assert_eq(((const uint8_t *)d.staging)[e], times[i].byte, "time %zu, %d", i, e);
    }
    rf_graph_destroy(&device, graph);
    rf_device_free(&device, tables, TABLES * sizeof *tables);
    end(&device, &d);
    close_cuda(&device);
}

/* ---- the sm80 level -------------------------------------------------------------------------- */

Test(device_cuda, the_level_has_every_op)
{
    rf_device device = open_cuda();
    for (int kind = 0; kind < RF_OP_KINDS; kind++) {
        rf_op_call call = {.kind = (rf_op_kind)kind, .label = "here"};
        size_t     bytes = 0;
        rf_error   err = {0};
        cr_expect_neq(rf_call_prepare(&device, &call, &bytes, &err), RF_E_UNSUPPORTED, "%s",
                      err.message);
    }
    close_cuda(&device);
}

/* ---- kernels that fail ----------------------------------------------------------------------- */

/* The error surfaces where somebody waits, names the op, and is what every later call says.  A
 * process that lost a real GPU cannot open it again. */
Test(device_cuda, a_broken_kernel_is_the_first_cause_of_everything_after)
{
    const int ways = emu_runtime_stands_in() ? 2 : 1;
    const int beyond = emu_runtime_stands_in() ? N + 64 : 1 << 30; /* of x and y */
    for (int by_graph = 0; by_graph < ways; by_graph++) {
        rf_device device = open_cuda();
        doubling  d = start(&device);
        rf_graph *graph = NULL;
        rf_event *event = NULL;
        rf_error  first = {0}, later = {0};
        void     *p = NULL;
        must(rf_event_create(&device, &event, NULL));
        put(&device, &d, d.coef, 1, 2);
        rf_op_call *call = &d.program.call[0];
        call->args.lincomb.e = beyond;
        if (by_graph) {
            must(rf_program_capture(&d.program, &device, &graph, NULL));
            must(rf_graph_launch(&device, graph, "double.it, batch 2", NULL));
        } else {
            must(rf_program_run(&d.program, &device, NULL));
        }
        cr_expect_eq(rf_device_wait(&device, &first), RF_E_LOST);
        cr_expect(strstr(first.message, "cuda:0 "), "%s", first.message);
        cr_expect(strstr(first.message, "outside its memory"), "%s", first.message);
        cr_expect(strstr(first.message, "(launched last: double.it"), "%s", first.message);
        cr_expect(strstr(first.message, "restart refinery"), "%s", first.message);
        cr_expect_eq(rf_device_alloc(&device, &p, 4, "x", &later), RF_E_LOST);
        cr_expect_str_eq(later.message, first.message);
        cr_expect_eq(rf_program_run(&d.program, &device, &later), RF_E_LOST);
        cr_expect_str_eq(later.message, first.message);
        rf_event_destroy(&device, event);
        rf_graph_destroy(&device, graph);
        end(&device, &d);
        close_cuda(&device);
    }
}
