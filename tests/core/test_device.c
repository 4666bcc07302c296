/* The host device does everything at once and counts it; the classes of CUDA's errors. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/core/device.h"
#include "engine/core/device_fault.h"
#include "engine/core/device_kind.h"
#include "engine/core/program.h"

static rf_device open_host(void)
{
    rf_device device;
    cr_assert_eq(rf_device_open_host(&device, 1, RF_LEVEL_REF, NULL), RF_OK);
    return device;
}

Test(device_host, works_at_once_and_counts)
{
    rf_device device = open_host();
    void     *a = NULL, *b = NULL, *staging = NULL, *nothing = &device;
    cr_assert_eq(rf_device_alloc(&device, &a, 100, "a", NULL), RF_OK);
    cr_assert_eq(rf_device_alloc(&device, &b, 50, "b", NULL), RF_OK);
    cr_assert_eq(rf_device_alloc(&device, &nothing, 0, "nothing", NULL), RF_OK);
    cr_expect_null(nothing);
    cr_assert_eq(rf_device_alloc_staging(&device, &staging, 100, "staging", NULL), RF_OK);
    cr_expect(device.allocations == 2 && device.bytes_held == 150 && device.staging_held == 100);

    memset(staging, 7, 100);
    cr_expect_eq(rf_device_copy(&device, RF_STREAM_COPIES, RF_COPY_UP, a, staging, 100, NULL),
                 RF_OK);
    cr_expect_eq(rf_device_fill(&device, RF_STREAM_OPS, a, 9, 10, NULL), RF_OK);
    cr_expect_eq(rf_device_copy(&device, RF_STREAM_OPS, RF_COPY_WITHIN, b, a, 50, NULL), RF_OK);
    cr_expect_eq(rf_device_wait(&device, NULL), RF_OK);
    cr_expect(((char *)b)[9] == 9 && ((char *)b)[10] == 7);

    rf_device_free(&device, b, 50);
    rf_device_free(&device, a, 100);
    rf_device_free(&device, NULL, 1);
    rf_device_free_staging(&device, staging, 100);
    cr_expect(device.bytes_held == 0 && device.bytes_peak == 150 && device.staging_held == 0);
    cr_expect(rf_device_memory_bytes(&device) > 1 << 20);
    rf_device_close(&device);
    rf_device_close(&device); /* zeroed */
}

Test(device_host, events_tell_time)
{
    rf_device device = open_host();
    rf_event *from = NULL, *to = NULL;
    float     ms = -1;
    cr_assert_eq(rf_event_create(&device, &from, NULL), RF_OK);
    cr_assert_eq(rf_event_create(&device, &to, NULL), RF_OK);
    cr_expect_eq(rf_event_record(&device, from, RF_STREAM_OPS, NULL), RF_OK);
    cr_expect_eq(rf_event_hold(&device, from, RF_STREAM_COPIES, NULL), RF_OK);
    cr_expect_eq(rf_event_record(&device, to, RF_STREAM_OPS, NULL), RF_OK);
    cr_expect_eq(rf_event_wait(&device, to, NULL), RF_OK);
    cr_expect_eq(rf_event_between(&device, from, to, &ms, NULL), RF_OK);
    cr_expect(ms >= 0 && ms < 10000);
    cr_expect_eq(rf_device_profile(&device, 1, NULL), RF_OK, "and take no orders");
    rf_event_destroy(&device, from);
    rf_event_destroy(&device, to);
    rf_event_destroy(&device, NULL);
    rf_device_close(&device);
}

Test(device_host, has_no_graphs)
{
    rf_device        device = open_host();
    rf_graph        *graph = NULL;
    const rf_program program = {0};
    rf_error         err = {0};
    cr_expect_eq(rf_program_capture(&program, &device, &graph, &err), RF_E_UNSUPPORTED);
    cr_expect_null(graph);
    cr_expect(strstr(err.message, "walked"), "%s", err.message);
    rf_graph_destroy(&device, NULL);
    rf_device_close(&device);
}

Test(device_host, builds_without_cuda_say_so)
{
    rf_device device;
    rf_error  err = {0};
    if (rf_ops_of(RF_LEVEL_SM80)) cr_skip_test("this build has CUDA");
    cr_expect_eq(rf_device_open_cuda(&device, 0, 0, &err), RF_E_DEVICE);
    cr_expect(strstr(err.message, "--device cpu"), "%s", err.message);
    rf_device_close(&device);
}

/* The first cause stays, and names what was launched last. */
Test(device, lost_says_the_first_cause_ever_after)
{
    rf_device device = open_host();
    rf_error  err = {0};
    void     *p = NULL;
    for (int i = 0; i < 5; i++)
        rf_device_note(&device, (const char *[]){"a1", "b2", "c3", "d4", "e5"}[i]);
    rf_device_lose(&device, "it broke");
    rf_device_lose(&device, "another cause");
    cr_expect_eq(rf_device_alloc(&device, &p, 1, "x", &err), RF_E_LOST);
    cr_expect_str_eq(err.message, "it broke (launched last: c3, d4, e5)");
    cr_expect_eq(rf_device_wait(&device, NULL), RF_E_LOST);
    cr_expect_eq(rf_device_check(&device, NULL), RF_E_LOST);
    rf_device_close(&device);
}

/* A level that lacks an op is an error that names both; nothing else takes its place. */
Test(device, missing_ops_are_named)
{
    rf_device    device = open_host();
    const rf_ops none = {.level = RF_LEVEL_SM80};
    rf_op_call   call = {.label = "mid.attn"};
    size_t       bytes = 1;
    rf_error     err = {0};
    device.ops = &none;
    for (int kind = 0; kind < RF_OP_KINDS; kind++) {
        call.kind = (rf_op_kind)kind;
        cr_expect_eq(rf_call_prepare(&device, &call, &bytes, &err), RF_E_UNSUPPORTED);
        cr_expect(strstr(err.message, "mid.attn: the sm80 level has no"), "%s", err.message);
        cr_expect(strstr(err.message, rf_op_name(call.kind)), "%s", err.message);
    }
    rf_device_close(&device);
}

/* ---- classes of errors ----------------------------------------------------------------------- */

Test(device_fault, codes_have_their_class_and_words)
{
    static const struct {
        int      code;
        rf_fault fault;
    } rows[] = {
        {35, RF_FAULT_START},       {46, RF_FAULT_START},     {100, RF_FAULT_START},
        {209, RF_FAULT_START},      {222, RF_FAULT_START},    {803, RF_FAULT_START},
        {804, RF_FAULT_START},      {2, RF_FAULT_MEMORY},     {1, RF_FAULT_CALL},
        {9, RF_FAULT_CALL},         {701, RF_FAULT_CALL},     {900, RF_FAULT_CALL},
        {700, RF_FAULT_SOFTWARE},   {702, RF_FAULT_SOFTWARE}, {710, RF_FAULT_SOFTWARE},
        {715, RF_FAULT_SOFTWARE},   {716, RF_FAULT_SOFTWARE}, {717, RF_FAULT_SOFTWARE},
        {718, RF_FAULT_SOFTWARE},   {719, RF_FAULT_SOFTWARE}, {721, RF_FAULT_SOFTWARE},
        {214, RF_FAULT_HARDWARE},   {220, RF_FAULT_HARDWARE}, {226, RF_FAULT_HARDWARE},
        {714, RF_FAULT_HARDWARE},   {911, RF_FAULT_HARDWARE}, {999, RF_FAULT_SOFTWARE},
        {12345, RF_FAULT_SOFTWARE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(rf_fault_of(rows[i].code), rows[i].fault, "code %d", rows[i].code);
        cr_expect(rf_fault_remedy(rows[i].code)[0], "code %d", rows[i].code);
        if (rows[i].fault != RF_FAULT_CALL && rows[i].code < 900)
            cr_expect_not_null(rf_fault_cause(rows[i].code), "code %d", rows[i].code);
    }
}
