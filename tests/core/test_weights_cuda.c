/* A small network on the emulated GPU, from a file to its output: weights through pinned buffers,
 * packed on the device, the program walked and as a graph.  The reference level on the host says
 * what is right; every call of the runtime fails once on the way. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/recorder.h"
#include "engine/core/upload.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

/* VOCAB rows of C in f16 are more than one upload buffer holds. */
enum { M = 5, C = 72, OUT = 48, TURNED = 24, VOCAB = 60000 };

/* ---- a file whose bytes follow from their place ---------------------------------------------- */

static rf_status read_made_up(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                              size_t bytes, rf_error *err)
{
    (void)self, (void)err;
    const size_t size = rf_filetype_bytes(t->type);
    cr_assert(from % size == 0 && from + bytes <= t->bytes, "%s: outside the tensor", t->name);
    for (size_t i = 0; i < bytes / size; i++) {
        const uint64_t at = from / size + i;
        const float value = (float)((int)((at * 2654435761u + t->offset) >> 7 & 0xFF) - 128) / 256;
        rf_store(dst, t->type == RF_FILE_F16 ? RF_F16 : RF_F32, i, value);
    }
    return RF_OK;
}

#define TENSOR(label, rows, cols, filetype, size, salt)                                            \
    {                                                                                              \
        .name = label, .type = filetype, .ndim = (cols) == 1 ? 1 : 2, .dim = {rows, cols},         \
        .elems = (uint64_t)(rows) * (cols), .bytes = (uint64_t)(rows) * (cols) * (size),           \
        .offset = salt                                                                             \
    }

/* As a reader sorts them. */
static const rf_tensor item[] = {
    TENSOR("a.bias", OUT / 2, 1, RF_FILE_F32, 4, 111),
    TENSOR("a.weight", OUT / 2, C, RF_FILE_F32, 4, 222),
    TENSOR("b.bias", OUT / 2, 1, RF_FILE_F16, 2, 333),
    TENSOR("b.weight", OUT / 2, C, RF_FILE_F16, 2, 444),
    TENSOR("norm.bias", C, 1, RF_FILE_F16, 2, 555),
    TENSOR("norm.weight", C, 1, RF_FILE_F16, 2, 666),
    TENSOR("place", M, C, RF_FILE_F32, 4, 777),
    TENSOR("turned", OUT, TURNED, RF_FILE_F16, 2, 888),
    TENSOR("words", VOCAB, C, RF_FILE_F16, 2, 999),
};

static const rf_tensors file = {
    .item = item, .count = sizeof item / sizeof *item, .path = "made up", .read = read_made_up};

/* ---- a network ------------------------------------------------------------------------------- */

typedef struct net_args {
    const int32_t *id; /* [M] */
    void          *y;  /* [M, TURNED] */
} net_args;

static void net(rf_recorder *r, const void *arg)
{
    const net_args *a = arg;
    void           *x = rf_take(r, (size_t)M * C), *t = rf_take(r, (size_t)M * OUT);
    rf_do_embedding(
        r, (rf_embedding_args){.y = x, .id = a->id, .m = M, .c = C, .vocab = VOCAB, .seq = M},
        "words", "place");
    rf_do_layernorm(r, (rf_layernorm_args){.y = x, .x = x, .m = M, .c = C, .eps = 1e-5f}, "norm");
    rf_do_gemm(r, (rf_gemm_args){.y = t, .x = x, .m = M, .n = OUT, .k = C, .act = RF_ACT_SILU},
               &(rf_gemm_layer){.weight = {"a.weight", "b.weight"}, .bias = {"a.bias", "b.bias"}});
    rf_do_gemm(r, (rf_gemm_args){.y = a->y, .x = t, .m = M, .n = TURNED, .k = OUT},
               &(rf_gemm_layer){.weight = {"turned"}, .transpose = 1});
}

typedef struct bench {
    rf_device               device;
    rf_weights              weights;
    rf_program              program;
    rf_graph               *graph;
    rf_upload               upload;
    const rf_weights_patch *patch;                          /* or NULL */
    void                   *memory, *slab, *staging, *down; /* memory: ids, then y */
    size_t                  slab_bytes, staging_bytes;
} bench;

enum { Y_AT = 256, Y_BYTES = M * TURNED * 2, MEMORY = Y_AT + Y_BYTES };

static const int32_t ids[M] = {3, VOCAB - 1, 0, 57777, 12};

/* Everything up to a program that can run. */
static rf_status build(bench *b, rf_error *err)
{
    rf_device *device = &b->device;
    rf_status  st = RF_OK;
    b->weights = (rf_weights){.file = &file, .prefix = "", .dtype = RF_F16, .patch = b->patch};
    RF_TRY(rf_device_alloc(device, &b->memory, MEMORY, "memory", err));
    RF_TRY(rf_record_list(device, &b->weights, net, &(net_args){0}, err));
    b->staging_bytes = b->weights.staging_bytes;
    RF_TRY(rf_device_alloc(device, &b->staging, b->staging_bytes, "staging", err));
    RF_TRY(rf_weights_load(&b->weights, device, b->staging, NULL, err));
    size_t slab_bytes = 0;
    RF_TRY(rf_record_count(device, &b->weights, 0, net, &(net_args){0}, &slab_bytes, err));
    RF_TRY(rf_device_alloc(device, &b->slab, slab_bytes, "slab", err));
    b->slab_bytes = slab_bytes;
    const net_args args = {b->memory, (char *)b->memory + Y_AT};
    RF_TRY(rf_record_place(device, &b->weights, 0, net, &args, b->slab, b->slab_bytes, &b->program,
                           err));
done:
    return st;
}

static void end(bench *b)
{
    rf_device *device = &b->device;
    if (!device->kind) return;
    rf_graph_destroy(device, b->graph);
    rf_device_free_staging(device, b->down, Y_BYTES);
    rf_upload_end(&b->upload);
    rf_program_free(&b->program);
    rf_weights_free(&b->weights, device);
    rf_device_free(device, b->staging, b->staging_bytes);
    rf_device_free(device, b->slab, b->slab_bytes);
    rf_device_free(device, b->memory, MEMORY);
    cr_expect(device->bytes_held == 0 && device->staging_held == 0);
    rf_device_close(device);
}

/* y of the walked program and of its graph, on the GPU. */
static rf_status run_cuda(bench *b, uint16_t *walked, uint16_t *by_graph, rf_error *err)
{
    rf_device *device = &b->device;
    rf_status  st = RF_OK;
    RF_TRY(rf_device_open_cuda(device, 0, 1, err));
    RF_TRY(build(b, err));
    RF_TRY(rf_device_alloc_staging(device, &b->down, Y_BYTES, "down", err));
    RF_TRY(rf_upload_start(&b->upload, device, err));
    RF_TRY(rf_upload_all(&b->upload, b->memory, ids, sizeof ids, err));
    RF_TRY(rf_upload_before_ops(&b->upload, err));
    RF_TRY(rf_program_capture(&b->program, device, &b->graph, err));
    for (int graph = 0; graph < 2; graph++) {
        char *y = (char *)b->memory + Y_AT;
        RF_TRY(rf_device_fill(device, RF_STREAM_OPS, y, 0xFF, Y_BYTES, err));
        if (graph)
            RF_TRY(rf_graph_launch(device, b->graph, "net", err));
        else
            RF_TRY(rf_program_run(&b->program, device, err));
        RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, b->down, y, Y_BYTES, err));
        RF_TRY(rf_device_wait(device, err));
        memcpy(graph ? by_graph : walked, b->down, Y_BYTES);
    }
done:
    return st;
}

static void run_reference(uint16_t *y, const rf_weights_patch *patch)
{
    bench b = {.patch = patch};
    cr_assert_eq(rf_device_open_host(&b.device, 1, RF_LEVEL_REF, NULL), RF_OK);
    cr_assert_eq(build(&b, NULL), RF_OK);
    memcpy(b.memory, ids, sizeof ids);
    cr_assert_eq(rf_program_run(&b.program, &b.device, NULL), RF_OK);
    memcpy(y, (char *)b.memory + Y_AT, Y_BYTES);
    end(&b);
}

/* Both levels round to f16 after every op.  A rounding that falls the other way is half an ulp of a
 * value below 4, and the ops after it add up at most some tens of those with weights below 1/2. */
static void expect_reference(const rf_weights_patch *patch, uint16_t walked[M * TURNED])
{
    bench    b = {.patch = patch};
    rf_error err = {0};
    uint16_t by_graph[M * TURNED], right[M * TURNED];
    emu_runtime_start(&emu_gpu_a100);
    cr_assert_eq(run_cuda(&b, walked, by_graph, &err), RF_OK, "%s", err.message);
    run_reference(right, b.patch);
    float most = 0, largest = 0;
    for (int i = 0; i < M * TURNED; i++) {
        const float want = rf_f32_from_f16(right[i]);
        most = fmaxf(most, fabsf(rf_f32_from_f16(walked[i]) - want));
        largest = fmaxf(largest, fabsf(want));
        cr_expect_eq(walked[i], by_graph[i], "element %d", i);
    }
    cr_expect(largest > 0.5f && most < 0x1p-8f, "off by %g of %g", (double)most, (double)largest);
    cr_expect_eq(emu_reports(), 0, "%s", emu_reports() ? emu_report_at(0).text : "");
    end(&b);
}

Test(weights_cuda, a_network_from_its_file_to_its_output, .timeout = 60)
{
    uint16_t y[M * TURNED];
    expect_reference(NULL, y);
}

/* ---- patches --------------------------------------------------------------------------------- */

/* One of every kind of slot, and one of two parts. */
static int is_patched(const void *user, const char *tensor)
{
    static const char *const names[] = {"b.weight", "norm.bias", "turned", "words"};
    (void)user;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(tensor, names[i]) == 0) return 1;
    return 0;
}

static rf_status add_pattern(const void *user, const rf_tensor *t, float *whole, int threads,
                             rf_error *err)
{
    (void)user, (void)threads, (void)err;
    for (uint64_t i = 0; i < t->elems; i++) whole[i] += (float)(i % 7) / 32;
    return RF_OK;
}

static rf_status refuse(const void *user, const rf_tensor *t, float *whole, int threads,
                        rf_error *err)
{
    (void)user, (void)whole, (void)threads;
    return rf_fail(err, RF_E_IO, "%s cannot be patched", t->name);
}

static const rf_weights_patch pattern = {.touches = is_patched, .apply = add_pattern};
static const rf_weights_patch broken = {.touches = is_patched, .apply = refuse};

Test(weights_cuda, a_patch_changes_what_it_touches, .timeout = 60)
{
    uint16_t plain[M * TURNED], patched[M * TURNED];
    int      same = 0;
    expect_reference(NULL, plain);
    expect_reference(&pattern, patched);
    for (int i = 0; i < M * TURNED; i++) same += plain[i] == patched[i];
    cr_expect_lt(same, M * TURNED / 4);
}

static rf_status list_again(bench *b, rf_weights *w, const rf_weights_patch *patch, rf_error *err)
{
    *w = (rf_weights){.file = &file, .prefix = "", .dtype = RF_F16, .patch = patch};
    return rf_record_list(&b->device, w, net, &(net_args){0}, err);
}

/* Loaded over, forth and back: the bytes of a fresh load, in the memory that was there.  The
 * emulated device's memory is the program's own. */
Test(weights_cuda, loading_over_leaves_no_trace, .timeout = 60)
{
    bench      plain = {0}, patched = {.patch = &pattern};
    rf_weights over = {0}, back = {0}, bad = {0};
    rf_error   err = {0};
    emu_runtime_start(&emu_gpu_a100);
    cr_assert_eq(rf_device_open_cuda(&plain.device, 0, 1, &err), RF_OK);
    cr_assert_eq(build(&plain, &err), RF_OK, "%s", err.message);
    patched.device = plain.device;
    cr_assert_eq(build(&patched, &err), RF_OK, "%s", err.message);
    rf_device   *device = &patched.device;
    const size_t bytes = plain.weights.bytes, largest = (size_t)VOCAB * C * sizeof(float);
    char        *want = malloc(bytes), *block = plain.weights.base;
    memcpy(want, block, bytes);
    cr_expect_eq(patched.weights.host_bytes, largest);
    cr_expect_eq(patched.weights.staging_bytes, plain.weights.staging_bytes);

    cr_assert_eq(list_again(&patched, &over, &pattern, &err), RF_OK);
    cr_assert_eq(list_again(&patched, &back, NULL, &err), RF_OK);
    cr_assert_eq(list_again(&patched, &bad, &broken, &err), RF_OK);
    cr_assert_eq(rf_weights_load_over(&over, &plain.weights, device, patched.staging, NULL, &err),
                 RF_OK);
    cr_expect_null(plain.weights.base);
    cr_expect_eq(over.base, block);
    cr_expect_eq(memcmp(over.base, patched.weights.base, bytes), 0);
    cr_assert_eq(rf_weights_load_over(&back, &over, device, patched.staging, NULL, &err), RF_OK);
    cr_expect_eq(memcmp(back.base, want, bytes), 0);
    cr_expect_eq(rf_weights_load_over(&bad, &back, device, patched.staging, NULL, &err), RF_E_IO);
    cr_expect(!bad.base && !back.base, "half a patch is not kept");
    free(want);
    rf_weights_free(&over, device), rf_weights_free(&back, device), rf_weights_free(&bad, device);
    rf_program_free(&plain.program), rf_weights_free(&plain.weights, device);
    rf_device_free(device, plain.staging, plain.staging_bytes);
    rf_device_free(device, plain.slab, plain.slab_bytes);
    rf_device_free(device, plain.memory, MEMORY);
    end(&patched);
}

/* The same memory again and again: nothing is left of a load. */
Test(weights_cuda, loading_again_takes_nothing_more)
{
    bench    b = {0};
    rf_error err = {0};
    emu_runtime_start(&emu_gpu_a100);
    cr_assert_eq(rf_device_open_cuda(&b.device, 0, 1, &err), RF_OK);
    cr_assert_eq(build(&b, &err), RF_OK, "%s", err.message);
    const emu_held held = emu_runtime_held();
    for (int i = 0; i < 3; i++) {
        rf_weights_unload(&b.weights, &b.device);
        cr_assert_eq(rf_weights_load(&b.weights, &b.device, b.staging, NULL, &err), RF_OK);
        const emu_held now = emu_runtime_held();
        cr_expect(now.memory_bytes == held.memory_bytes && now.pinned_bytes == 0 &&
                  now.events == held.events);
    }
    end(&b);
}

Test(weights_cuda, every_call_can_fail, .timeout = 120)
{
    uint16_t walked[M * TURNED], by_graph[M * TURNED];
    for (size_t n = 1;; n += 1 + n / 8) { /* ever larger steps: a load repeats itself */
        bench    b = {0};
        rf_error err = {0};
        emu_runtime_start(&emu_gpu_a100);
        emu_runtime_fail(n, n % 2 ? 700 : 2);
        const rf_status st = run_cuda(&b, walked, by_graph, &err);
        const bool      reached = emu_runtime_calls() >= n;
        if (st != RF_OK) cr_expect_gt(strlen(err.message), 20u, "call %zu", n);
        cr_expect(st == RF_OK || reached, "%s", err.message);
        end(&b);
        const emu_held held = emu_runtime_held();
        cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.streams && !held.events &&
                      !held.graphs && !held.executables,
                  "call %zu: something leaked", n);
        if (!reached) break;
    }
}
