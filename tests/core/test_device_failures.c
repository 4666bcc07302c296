/* Every call of the CUDA runtime fails in turn, in every way: the caller gets an error that says
 * something, nothing leaks, and what loses the device is said again by every later call. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/core/device.h"
#include "engine/core/program.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/runtime.h"

enum { N = 64, BYTES = N * sizeof(float), CALLS_MOST = 200 };

/* All that a scenario holds, so that it can end anywhere. */
typedef struct holding {
    rf_device  device;
    void      *x, *staging;
    rf_event  *from, *to;
    rf_graph  *graph;
    rf_program program;
    float      got; /* 0 if all went well */
} holding;

static rf_status work(holding *h, rf_error *err)
{
    rf_device *device = &h->device;
    rf_status  st = RF_OK;
    float      ms = 0;
    RF_TRY(rf_device_open_cuda(device, 0, 1, err));
    RF_TRY(rf_device_alloc(device, &h->x, BYTES, "x", err));
    RF_TRY(rf_device_alloc_staging(device, &h->staging, BYTES, "staging", err));
    RF_TRY(rf_event_create(device, &h->from, err));
    RF_TRY(rf_event_create(device, &h->to, err));
    for (int i = 0; i < N; i++) ((float *)h->staging)[i] = 1;
    RF_TRY(rf_event_record(device, h->from, RF_STREAM_COPIES, err));
    RF_TRY(rf_device_copy(device, RF_STREAM_COPIES, RF_COPY_UP, h->x, h->staging, BYTES, err));
    RF_TRY(rf_event_record(device, h->to, RF_STREAM_COPIES, err));
    RF_TRY(rf_event_hold(device, h->to, RF_STREAM_OPS, err));

    rf_op_call       call = {.kind = RF_OP_LINCOMB, .label = "add"};
    rf_lincomb_args *a = &call.args.lincomb; /* x = 1 * x + 1 * x, with coefficients out of x */
    *a = (rf_lincomb_args){.y = h->x, .x = {h->x, h->x}, .coef = h->x, .n = 1, .e = N, .terms = 2};
    a->xdtype[0] = a->xdtype[1] = a->ydtype = RF_F32;
    a->x[1] = a->x[0];
    a->coef = (const float *)h->x;
    RF_TRY(rf_program_add(&h->program, &call, err));
    RF_TRY(rf_program_capture(&h->program, device, &h->graph, err));
    RF_TRY(rf_graph_launch(device, h->graph, "adding", err));
    RF_TRY(rf_event_wait(device, h->to, err));
    RF_TRY(rf_event_between(device, h->from, h->to, &ms, err));
    RF_TRY(rf_program_run(&h->program, device, err));
    RF_TRY(rf_device_fill(device, RF_STREAM_OPS, h->x, 0, BYTES / 2, err));
    RF_TRY(rf_device_copy(device, RF_STREAM_OPS, RF_COPY_DOWN, h->staging, h->x, BYTES, err));
    RF_TRY(rf_device_wait(device, err));
    h->got = ((float *)h->staging)[0];
done:
    return st;
}

static void end(holding *h)
{
    rf_device *device = &h->device;
    rf_program_free(&h->program);
    rf_graph_destroy(device, h->graph);
    rf_event_destroy(device, h->to);
    rf_event_destroy(device, h->from);
    rf_device_free_staging(device, h->staging, BYTES);
    rf_device_free(device, h->x, BYTES);
    cr_expect(device->bytes_held == 0 && device->staging_held == 0);
    rf_device_close(device);
    const emu_held held = emu_runtime_held();
    cr_expect(!held.memory_bytes && !held.pinned_bytes && !held.streams && !held.events &&
                  !held.graphs && !held.executables,
              "something leaked");
}

/* Fails call n with `code`.  False once n is past the last call. */
static bool fail_call(size_t n, int code, bool sticky)
{
    holding  h = {.got = -1};
    rf_error err = {0}, again = {0};
    emu_runtime_start(&emu_gpu_rtx4090);
    emu_runtime_fail(n, code);
    emu_clear();
    const rf_status st = work(&h, &err);
    const bool      reached = emu_runtime_calls() >= n;
    if (st == RF_OK) { /* a call that gives back may fail, if the result is right */
        cr_expect_not(reached && sticky, "call %zu with %d was not noticed", n, code);
        cr_expect_eq(h.got, 0);
    } else {
        cr_expect(strlen(err.message) > 20, "call %zu with %d: \"%s\"", n, code, err.message);
        cr_expect_null(strchr(err.message, '\n'));
    }
    if (reached && h.device.kind) {
        cr_expect_eq(rf_device_wait(&h.device, &again), sticky ? RF_E_LOST : RF_OK, "call %zu", n);
        if (sticky) cr_expect_str_eq(again.message, err.message);
    }
    end(&h);
    cr_expect_eq(emu_reports(), 0, "call %zu with %d: %s", n, code,
                 emu_reports() ? emu_report_at(0).text : "");
    return reached || emu_runtime_calls() >= n; /* those that give back fail as well */
}

Test(device_failures, every_call_can_fail, .timeout = 120)
{
    static const struct {
        int  code;
        bool sticky;
    } ways[] = {{1, false}, {2, false}, {46, false}, {214, true}, {700, true}, {719, true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        size_t n = 1;
        while (fail_call(n, ways[i].code, ways[i].sticky)) cr_assert_lt(++n, CALLS_MOST);
        cr_expect_gt(n, 40, "only %zu calls: the scenario ended early", n);
    }
}
