/* Ranges nest whatever is left open, the JSON is JSON whatever the names, and it comes in pieces.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/device.h"
#include "engine/core/program.h"
#include "engine/core/trace.h"
#include "engine/core/trace_json.h"

typedef struct text {
    char  *at;
    size_t used, largest;
} text;

static void keep(void *user, const char *piece, size_t bytes)
{
    text *t = user;
    t->at = realloc(t->at, t->used + bytes + 1);
    cr_assert_not_null(t->at);
    memcpy(t->at + t->used, piece, bytes);
    t->used += bytes;
    t->at[t->used] = '\0';
    if (bytes > t->largest) t->largest = bytes;
}

static rf_trace *open_trace(text *t)
{
    rf_trace              *trace = NULL;
    const rf_trace_options options = {
        .write = keep, .user = t, .device = "a \"CPU\"", .times = "host"};
    *t = (text){0};
    cr_assert_eq(rf_trace_create(&trace, &options, NULL), RF_OK);
    cr_assert_not_null(trace);
    return trace;
}

/* The events, without the two that name process and thread; free with json_decref. */
static json_t *close_trace(rf_trace *trace, text *t)
{
    json_error_t error;
    rf_trace_destroy(trace);
    json_t *o = json_loads(t->at, 0, &error);
    cr_assert_not_null(o, "%s at %d: %.200s", error.text, error.position, t->at);
    json_t *events = json_incref(json_object_get(o, "traceEvents"));
    cr_assert(json_array_size(events) >= 2);
    for (int i = 0; i < 2; i++) {
        cr_expect_str_eq(json_string_value(json_object_get(json_array_get(events, 0), "ph")), "M");
        json_array_remove(events, 0);
    }
    json_decref(o);
    free(t->at);
    return events;
}

static const char *member(const json_t *events, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(events, i), name));
}

static double number(const json_t *events, size_t i, const char *name)
{
    return json_number_value(json_object_get(json_array_get(events, i), name));
}

Test(trace, is_nothing_where_nobody_listens)
{
    rf_trace *trace = NULL;
    unsetenv("NVTX_INJECTION64_PATH");
    cr_assert_eq(rf_trace_create(&trace, &(rf_trace_options){0}, NULL), RF_OK);
    cr_expect_null(trace);
    rf_trace_begin(trace, RF_TRACE_STEP, "step %d", 1);
    rf_trace_turn(trace, RF_TRACE_STAGE, "a");
    rf_trace_want_ops(trace, 0);
    rf_trace_end(trace, RF_TRACE_REQUEST);
    rf_trace_destroy(trace);
}

/* Opening and closing close what is inside, and the end closes all: in the order of the ends. */
Test(trace, ranges_nest_whatever_is_left_open)
{
    static const char *const expected[] = {"gemm x", "one",     "a",      "two",
                                           "b",      "denoise", "decode", "request"};
    text                     t;
    rf_trace                *trace = open_trace(&t);
    rf_trace_end(trace, RF_TRACE_OP); /* nothing is open */
    rf_trace_begin(trace, RF_TRACE_REQUEST, "request");
    rf_trace_turn(trace, RF_TRACE_PHASE, "denoise");
    rf_trace_turn(trace, RF_TRACE_STAGE, "a");
    rf_trace_begin(trace, RF_TRACE_STEP, "one");
    rf_trace_begin(trace, RF_TRACE_OP, "gemm %s", "x");
    rf_trace_turn(trace, RF_TRACE_PHASE, "denoise"); /* which it is */
    rf_trace_turn(trace, RF_TRACE_STAGE, "b");
    rf_trace_begin(trace, RF_TRACE_STEP, "two");
    rf_trace_turn(trace, RF_TRACE_PHASE, "decode");
    json_t *events = close_trace(trace, &t);
    cr_assert_eq(json_array_size(events), 8u);
    for (size_t i = 0; i < 8; i++) {
        cr_expect_str_eq(member(events, i, "name"), expected[i]);
        cr_expect_str_eq(member(events, i, "ph"), "X");
        cr_expect(number(events, i, "ts") >= 0 && number(events, i, "dur") >= 0);
    }
    cr_expect_str_eq(member(events, 0, "cat"), "op");
    cr_expect_str_eq(member(events, 7, "cat"), "request");
    const double begun = number(events, 1, "ts"), inside = number(events, 0, "ts");
    cr_expect(inside >= begun &&
              inside + number(events, 0, "dur") <= begun + number(events, 1, "dur") + 1e-6);
    json_decref(events);
}

Test(trace, names_of_hostile_files_are_made_harmless)
{
    static const struct {
        const char *name, *shown;
    } rows[] = {
        {"say \"hi\" \\ here", "say \"hi\" \\ here"},
        {"a\nb\t\x1b[31mc\x7f", "a?b??[31mc?"},
        {"\xff\xfe", "??"},
        {"h\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x8a", "h\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x8a"},
        {"\xc0\xaf overlong", "?? overlong"},
        {"\xed\xa0\x80 surrogate", "??? surrogate"},
        {"\xf4\x90\x80\x80 too high", "???? too high"},
        {"cut \xe2\x82", "cut ??"},
        {"%s%n", "%s%n"},
        {"", ""},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    text      t;
    rf_trace *trace = open_trace(&t);
    for (size_t i = 0; i < ROWS; i++) {
        rf_trace_turn(trace, RF_TRACE_STAGE, rows[i].name);
        rf_trace_turn(trace, RF_TRACE_STAGE, rows[i].name); /* the same: one range */
    }
    json_t *events = close_trace(trace, &t);
    cr_assert_eq(json_array_size(events), (size_t)ROWS);
    for (size_t i = 0; i < ROWS; i++)
        cr_expect_str_eq(member(events, i, "name"), rows[i].shown, "row %zu", i);
    json_decref(events);
}

Test(trace, long_names_are_cut_between_characters)
{
    char      name[2000] = "";
    text      t;
    rf_trace *trace = open_trace(&t);
    memset(name, '"', sizeof name - 1); /* each takes two bytes in JSON */
    rf_trace_begin(trace, RF_TRACE_STAGE, "%s", name);
    for (size_t i = 0; i + 2 < sizeof name; i += 2) name[i] = '\xc3', name[i + 1] = '\xa9';
    rf_trace_begin(trace, RF_TRACE_STAGE, "%s", name); /* 255 bytes: half a character at the end */
    json_t *events = close_trace(trace, &t);
    cr_expect_eq(strlen(member(events, 0, "name")), 255u);
    cr_expect_eq(strlen(member(events, 1, "name")), 255u);
    cr_expect_eq(member(events, 1, "name")[254], '?');
    json_decref(events);
}

/* 60,000 ops: a render of 30 steps.  What is held is a piece. */
Test(trace, comes_in_pieces_of_bounded_size, .timeout = 60)
{
    enum { OPS = 60000 };
    text      t;
    rf_trace *trace = open_trace(&t);
    rf_trace_begin(trace, RF_TRACE_STEP, "step");
    for (int i = 0; i < OPS; i++)
        rf_trace_begin(trace, RF_TRACE_OP, "gemm input_blocks.8.1.transformer_blocks.%d.proj", i);
    cr_expect(t.used > (OPS - 2000) * 100u, "it is handed on while the ranges come");
    const size_t used = t.used;
    json_t      *events = close_trace(trace, &t);
    cr_expect_eq(json_array_size(events), OPS + 1u);
    cr_expect(used < 12u << 20, "%zu bytes: docs/profiling.md says how much it is", used);
    cr_expect(t.largest <= RF_TRACE_PIECE);
    json_decref(events);
}

/* Ops of a program, when they are wanted; one that fails leaves nothing open that matters. */
Test(trace, a_program_tells_its_ops)
{
    float      x[4] = {1, 2, 3, 4}, y[4], coef = 2;
    rf_device  device;
    rf_program program = {0};
    text       t;
    rf_op_call call = {.kind = RF_OP_LINCOMB, .label = "double.it"};
    call.args.lincomb = (rf_lincomb_args){.y = y, .x = {x}, .coef = &coef, .n = 1, .e = 4};
    call.args.lincomb.terms = 1;
    call.args.lincomb.xdtype[0] = call.args.lincomb.ydtype = RF_F32;
    cr_assert_eq(rf_program_add(&program, &call, NULL), RF_OK);
    call.args.lincomb.terms = -1;
    cr_assert_eq(rf_program_add(&program, &call, NULL), RF_OK);

    cr_assert_eq(rf_device_open_host(&device, 1, RF_LEVEL_REF, NULL), RF_OK);
    cr_expect_eq(rf_program_run_range(&program, 0, 1, &device, NULL), RF_OK, "without a trace");
    device.trace = open_trace(&t);
    rf_trace_begin(device.trace, RF_TRACE_STEP, "step");
    cr_expect_eq(rf_program_run_range(&program, 0, 1, &device, NULL), RF_OK);
    rf_trace_want_ops(device.trace, 0);
    cr_expect_eq(rf_program_run_range(&program, 0, 1, &device, NULL), RF_OK);
    rf_trace_want_ops(device.trace, 1);
    cr_expect_neq(rf_program_run(&program, &device, NULL), RF_OK);
    json_t *events = close_trace(device.trace, &t);
    cr_assert_eq(json_array_size(events), 4u, "two, the one that failed, and the step");
    for (size_t i = 0; i < 3; i++) cr_expect_str_eq(member(events, i, "name"), "lincomb double.it");
    cr_expect_str_eq(member(events, 3, "name"), "step");
    json_decref(events);
    rf_program_free(&program);
    rf_device_close(&device);
}
