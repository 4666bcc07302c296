/* The parts of the command that are functions: values, suggestions, patterns, the progress line. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/exit_codes.h"
#include "tools/json_writer.h"
#include "tools/progress.h"
#include "tools/recipes.h"
#include "tools/render_outputs.h"
#include "tools/signals.h"
#include "tools/suggest.h"
#include "tools/text_input.h"
#include "tools/verbs.h"
#include "tools/wrap.h"

static rf_trouble trouble;

/* ---- tables ------------------------------------------------------------------------------- */

Test(command_line, tables_are_consistent)
{
    for (int v = 0; rf_verbs[v]; v++) {
        const rf_verb   *verb = rf_verbs[v];
        const rf_option *o = NULL, *p = NULL;
        int              count = 0;
        for (; (o = rf_option_at(verb, count)); count++) {
            const char *who = o->name;
            cr_expect(o->help && o->group, "%s has no help", who);
            cr_expect(o->kind == RF_OPTION_FLAG || o->value, "%s: its value has no name", who);
            cr_expect(o->kind != RF_OPTION_CHOICE || o->choices, "%s has no choices", who);
            cr_expect_leq(strlen(o->help), 56u, "%s: the help is too long for a line", who);
            for (int i = 0; i < count && (p = rf_option_at(verb, i)); i++) {
                cr_expect_str_neq(p->name, o->name);
                cr_expect(!o->letter || p->letter != o->letter, "-%c twice", o->letter);
                cr_expect(!rf_option_has_alias(p->aliases, o->name), "%s is an alias too", who);
                cr_expect(!rf_option_has_alias(o->aliases, p->name), "%s is an alias too", p->name);
            }
        }
        cr_expect_leq(count, RF_OPTIONS_MAX);
        cr_expect(verb->summary && verb->examples && verb->usage);
    }
}

/* ---- values ------------------------------------------------------------------------------- */

static rf_status to_real(const char *text, double *out)
{
    const rf_option o = {.name = "x", .kind = RF_OPTION_REAL, .min = -2, .max = 1000};
    return rf_option_convert(&o, "--x", text, out, &trouble);
}

Test(command_line, numbers_are_read_strictly)
{
    static const char *const BAD[] = {"",   "nan", "NaN",   "inf", "-inf", "1e999", "0x1p3",
                                      " 5", "5 ",  "5x",    "1,5", "--1",  "+",     ".",
                                      "e",  "1e",  "1.2.3", "-3",  "1001", "1e-",   "infinity"};
    double                   x = 77;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        cr_expect_eq(to_real(BAD[i], &x), RF_E_ARG, "'%s' was taken", BAD[i]);
        cr_expect_eq(x, 77);
    }
    cr_expect(to_real("0.5", &x) == RF_OK && x == 0.5);
    cr_expect(to_real("-2", &x) == RF_OK && x == -2);
    cr_expect(to_real("1e2", &x) == RF_OK && x == 100);
    cr_expect(to_real(".25", &x) == RF_OK && x == 0.25);
}

Test(command_line, seeds_are_numbers_or_random)
{
    const rf_option o = {.name = "seed", .kind = RF_OPTION_SEED};
    int64_t         seed = 0;
    cr_expect_eq(rf_option_convert(&o, "-s", "random", &seed, &trouble), RF_OK);
    cr_expect_eq(seed, RF_SEED_RANDOM);
    cr_expect_eq(rf_option_convert(&o, "-s", "9223372036854775807", &seed, &trouble), RF_OK);
    cr_expect_eq(seed, INT64_MAX);
    cr_expect_eq(rf_option_convert(&o, "-s", "9223372036854775808", &seed, &trouble), RF_E_ARG);
    cr_expect_eq(rf_option_convert(&o, "-s", "1.0", &seed, &trouble), RF_E_ARG);
    cr_expect_eq(rf_option_convert(&o, "-s", "", &seed, &trouble), RF_E_ARG);
}

typedef struct both {
    rf_common   common;
    int         number;
    const char *text;
} both;

static const rf_option ROWS[] = {
    {.name = "number",
     .letter = 'N',
     .kind = RF_OPTION_INT,
     .offset = offsetof(both, number),
     .value = "N",
     .fallback = "3",
     .help = "h",
     .group = "g",
     .aliases = "count how-many",
     .max = 9},
    {.name = "text",
     .letter = 't',
     .kind = RF_OPTION_TEXT,
     .offset = offsetof(both, text),
     .value = "T",
     .help = "h",
     .group = "g"},
    RF_COMMON_OPTIONS(both, RF_PLACE_HELP),
};
static const rf_option *const TABLES[] = {ROWS, NULL};
static const rf_verb VERB = {.name = "try", .usage = "", .options = TABLES, .operands_max = 3};

static rf_status parse(both *values, rf_args *args, const char *line)
{
    static char  words[256];
    static char *argv[32];
    int          argc = 0;
    strcpy(words, line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    memset(values, 0, sizeof *values);
    trouble = (rf_trouble){.hint = ""};
    return rf_options_parse(&VERB, argc, argv, values, args, &trouble);
}

Test(command_line, every_way_to_write_an_option)
{
    static const char *const LINES[] = {"--number 7", "--number=7", "-N7",
                                        "-N 7",       "--count=7",  "--how_many 7",
                                        "-qN7",       "-qvN 7",     "--number 1 --number 7"};
    both                     v;
    rf_args                  args;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        cr_expect_eq(parse(&v, &args, LINES[i]), RF_OK, "%s: %s", LINES[i], trouble.error.message);
        cr_expect_eq(v.number, 7, "%s", LINES[i]);
        cr_expect(rf_args_given(&VERB, &args, "number"));
    }
    cr_assert_eq(parse(&v, &args, "one -t -N two -- -N"), RF_OK);
    cr_expect_eq(v.number, 3);
    cr_expect_not(rf_args_given(&VERB, &args, "number"));
    cr_expect_str_eq(v.text, "-N");
    cr_assert_eq(args.operand_count, 3);
    cr_expect_str_eq(args.operands[0], "one");
    cr_expect_str_eq(args.operands[1], "two");
    cr_expect_str_eq(args.operands[2], "-N");
    cr_expect_eq(parse(&v, &args, "a b c d"), RF_E_ARG);
    cr_expect_eq(parse(&v, &args, "--numbre 7"), RF_E_ARG);
    cr_expect_str_eq(trouble.hint, "did you mean --number?");
    cr_expect(parse(&v, &args, "--nonsense -h") == RF_OK && args.help);
}

Test(command_line, suggestions_are_near_or_none)
{
    static const char *const KNOWN[] = {"steps", "sampler", "size", "switch-at"};
    static const struct {
        const char *typed, *best;
    } CASES[] = {{"stpes", "steps"},
                 {"step", "steps"},
                 {"smapler", "sampler"},
                 {"switch", "switch-at"},
                 {"SIZE", "size"},
                 {"prompt", NULL},
                 {"", NULL},
                 {"x", NULL}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        rf_suggest s = rf_suggest_begin(CASES[i].typed);
        for (int k = 0; k < 4; k++) rf_suggest_offer(&s, KNOWN[k]);
        if (CASES[i].best)
            cr_expect_str_eq(s.best ? s.best : "", CASES[i].best);
        else
            cr_expect_null(s.best, "'%s' gave '%s'", CASES[i].typed, s.best);
    }
}

Test(command_line, utf8_is_checked_by_the_table)
{
    static const struct {
        const char *text;
        size_t      length;
    } CASES[] = {{"a", 1},
                 {"\xC3\xA9", 2},
                 {"\xE2\x82\xAC", 3},
                 {"\xF0\x9F\x98\x80", 4},
                 {"\xC0\x80", 0},         /* overlong */
                 {"\xE0\x80\x80", 0},     /* overlong */
                 {"\xED\xA0\x80", 0},     /* surrogate */
                 {"\xF4\x90\x80\x80", 0}, /* past the end */
                 {"\x80", 0},
                 {"\xE2\x82", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        cr_expect_eq(rf_utf8_length(CASES[i].text, strlen(CASES[i].text)), CASES[i].length,
                     "case %zu", i);
}

Test(command_line, patterns_expand)
{
    char *path = NULL;
    cr_assert_eq(rf_pattern_expand(&path, "a{seed}-{index}{index}.png", 5, 12, &trouble), RF_OK);
    cr_expect_str_eq(path, "a5-1212.png");
    free(path);
    cr_expect_eq(rf_pattern_expand(&path, "a{seed.png", 5, 12, &trouble), RF_E_ARG);
    cr_expect_null(path);
}

Test(command_line, every_status_has_an_exit_code)
{
    for (int st = RF_OK; st <= RF_E_BUG; st++) {
        const int code = rf_exit_code((rf_status)st);
        cr_expect((code == 0) == (st == RF_OK));
        cr_expect(code <= 2 || (code >= 64 && code <= 78) || code == 130, "%d", code);
    }
}

/* ---- recipes ------------------------------------------------------------------------------ */

static rf_status edit_of(char **out, const char *tags)
{
    const rf_recipe_tags t = {.base = tags,
                              .base_flag = "--base-tags",
                              .refiner_flag = "--refiner-tags",
                              .when = "switch"};
    trouble = (rf_trouble){.hint = ""};
    return rf_recipe_text(out, "[a, {base}:b, {refiner}:{switch}], {common}", &t, &trouble);
}

Test(command_line, tags_cannot_break_the_edit_around_them)
{
    static const struct {
        const char *tags, *text;
    } CASES[] = {
        {"cat", "[a, cat:b:switch]"},
        {" cat, , ", "[a, cat:b:switch]"},
        {", ,", "[a:b:switch]"},
        {"", "[a:b:switch]"},
        {":3, rating:safe", "[a, \\:3, rating\\:safe:b:switch]"},
        {"|_|", "[a, \\|_\\|:b:switch]"},
        {"(cat:1.2)", "[a, (cat:1.2):b:switch]"},
        {"(re:zero:1.2)", "[a, (re\\:zero:1.2):b:switch]"},
        {"(x|y)", "[a, (x\\|y):b:switch]"},
        {"[x:y:0.3], [x|y]", "[a, [x:y:0.3], [x|y]:b:switch]"},
        {"saber \\(fate\\), \\:d", "[a, saber \\(fate\\), \\:d:b:switch]"},
        {"hand, BRAND, AND_1", "[a, hand, BRAND, AND_1:b:switch]"},
        {"\xE9\x9B\xA8:x", "[a, \xE9\x9B\xA8\\:x:b:switch]"},
        {"x\\,", "[a, x\\,:b:switch]"},
    };
    char *text = NULL;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        cr_assert_eq(edit_of(&text, CASES[i].tags), RF_OK, "%s", trouble.error.message);
        cr_expect_str_eq(text, CASES[i].text);
        free(text);
    }
}

Test(command_line, tags_that_cannot_be_meant_are_refused)
{
    static const struct {
        const char *tags, *said;
    } CASES[] = {
        {"cat]", "--base-tags: ']' at byte 4 closes nothing"},
        {":)", "--base-tags: ')' at byte 2 closes nothing"},
        {"a, :(", "--base-tags: '(' at byte 5 is never closed"},
        {"[x)", "')' at byte 3 closes nothing"},
        {"x\\", "escapes nothing"},
        {"x\\\ny", "escapes nothing"},
        {"cat AND dog", "'A' at byte 5 begins AND"},
    };
    char *text = NULL;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        cr_expect_eq(edit_of(&text, CASES[i].tags), RF_E_ARG, "%s", CASES[i].tags);
        cr_expect_null(text);
        cr_expect(strstr(trouble.error.message, CASES[i].said), "%s", trouble.error.message);
        cr_expect(*trouble.hint);
    }
}

Test(command_line, tags_of_a_megabyte_take_no_time, .timeout = 10)
{
    enum { BYTES = 1 << 20 };
    static const char FILLS[] = "(:|a";
    char             *tags = malloc(BYTES + 1), *text = NULL;
    for (size_t f = 0; f < sizeof FILLS - 1; f++) {
        memset(tags, FILLS[f], BYTES);
        tags[BYTES] = '\0';
        cr_expect_eq(edit_of(&text, tags), FILLS[f] == '(' ? RF_E_ARG : RF_OK);
        free(text);
    }
    free(tags);
}

/* ---- JSON, columns ------------------------------------------------------------------------ */

Test(command_line, reals_are_short_and_exact)
{
    static const struct {
        double      value;
        const char *text;
    } CASES[] = {{1, "1.0"},     {1.1, "1.1"},       {0.1 + 0.2, "0.30000000000000004"},
                 {-0.0, "-0.0"}, {1e300, "1e+300"},  {1e6, "1000000.0"},
                 {NAN, "null"},  {INFINITY, "null"}, {1.1 * 1.1, "1.2100000000000002"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char          *text = NULL;
        size_t         bytes = 0;
        rf_json_writer w = {.out = open_memstream(&text, &bytes)};
        rf_json_put_real(&w, NULL, CASES[i].value);
        fclose(w.out);
        cr_expect_str_eq(text, CASES[i].text);
        free(text);
    }
}

Test(command_line, json_text_is_escaped)
{
    char          *text = NULL;
    size_t         bytes = 0;
    rf_json_writer w = {.out = open_memstream(&text, &bytes)};
    rf_json_open(&w, NULL, '{');
    rf_json_put_text(&w, "a", "\"\\\n\001\xFF\xC3\xA9");
    rf_json_put_null(&w, "b");
    rf_json_open(&w, "c", '[');
    rf_json_put_int(&w, NULL, -1);
    rf_json_put_bool(&w, NULL, 2);
    rf_json_close(&w, ']');
    rf_json_close(&w, '}');
    fclose(w.out);
    cr_expect_str_eq(text, "{\"a\":\"\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA9\",\"b\":null,\"c\":[-1,"
                           "true]}");
    free(text);
}

Test(command_line, long_texts_are_wrapped)
{
    char  *text = NULL, line[400] = "";
    size_t bytes = 0;
    FILE  *out = open_memstream(&text, &bytes);
    for (int i = 0; i < 30; i++) strcat(line, "word, ");
    rf_text_wrap(out, line, 4, 0);
    rf_text_wrap(out, "one\ntwo\033[2J", 2, 0);
    rf_text_wrap(out, "", 2, 0);
    fclose(out);
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
        cr_expect_leq(strlen(p), RF_PAGE_COLUMNS);
        cr_expect_eq(strncmp(p, "  ", 2), 0, "'%s'", p);
        cr_expect_null(strchr(p, '\033'));
    }
    free(text);
}

/* ---- progress ----------------------------------------------------------------------------- */

/* 30 steps, half of them each expert's; 5 pictures in batches of 2. */
static rf_meter some_meter(void)
{
    rf_meter m = {.mode = RF_METER_NONE, .steps = 30, .count = 5, .batch = 2, .stage_count = 2};
    strcpy(m.stages[0].name, "pony");
    strcpy(m.stages[1].name, "animagine");
    m.stages[0].steps = m.stages[1].steps = m.stages[1].first_step = 15;
    return m;
}

static void feed(rf_meter *m, rf_phase phase, int image, int step, double at)
{
    const rf_progress p = {.phase = phase,
                           .stage = step >= 15,
                           .done = step,
                           .total = 30,
                           .image = image,
                           .images = image < 4 ? 2 : 1,
                           .step = step,
                           .steps = 30};
    rf_meter_update(m, &p, at);
}

Test(command_line, progress_line_tells_who_speed_and_time_left)
{
    char     line[200];
    rf_meter m = some_meter();
    m.count = m.batch = 1;
    for (int step = 0; step <= 12; step++) feed(&m, RF_PHASE_DENOISE, 0, step, 10 + 1.9 * step);
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_str_eq(line, "pony 12/15 | animagine 0/15 | 1.9 s/step | 0:34 left");
    rf_meter_line(&m, line, sizeof line, 10);
    cr_expect_str_eq(line, "pony 12/15");
    feed(&m, RF_PHASE_LOAD, 0, 0, 100); /* the other expert is read: not a step's time */
    feed(&m, RF_PHASE_DENOISE, 0, 15, 200);
    feed(&m, RF_PHASE_DENOISE, 0, 16, 201.9);
    feed(&m, RF_PHASE_DENOISE, 0, 17, 203.8);
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_str_eq(line, "pony 15/15 | animagine 2/15 | 1.9 s/step | 0:25 left");
}

Test(command_line, time_left_counts_the_batches_to_come)
{
    rf_meter m = some_meter();
    cr_expect_lt(rf_meter_left(&m), 0);
    for (int step = 0; step <= 30; step++) feed(&m, RF_PHASE_DENOISE, 0, step, 0.5 * step);
    /* two batches of 30 steps at 0.5 s; decoding is not known yet */
    cr_expect_float_eq(rf_meter_left(&m), 30, 0.01);
    char line[200];
    feed(&m, RF_PHASE_DENOISE, 4, 15, 100);
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_str_eq(line, "5/5: pony 15/15 | animagine 0/15 | 2.0 steps/s | 0:08 left");
}

static void feed_call(rf_meter *m, rf_phase phase, int call, int picture, double at)
{
    const rf_progress p = {.phase = phase,
                           .expert = call < 3 ? "pony" : "animagine",
                           .done = 9,
                           .total = 10,
                           .calls_done = call,
                           .calls = 12,
                           .pictures_done = picture,
                           .pictures = 2};
    rf_meter_update(m, &p, at);
}

Test(command_line, progress_of_many_jobs_counts_cells_and_calls)
{
    char       line[200];
    rf_console console = {0};
    rf_meter   m;
    rf_meter_begin_many(&m, &console, RF_METER_NONE, 4, 1, 1, 0);
    rf_meter_plan(&m, 8);
    feed_call(&m, RF_PHASE_LOAD, 0, 0, 5);
    cr_expect_lt(rf_meter_left(&m), 0);
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_str_eq(line, "cells 1/4 | reading pony 90 %");
    for (int call = 0; call <= 4; call++) feed_call(&m, RF_PHASE_DENOISE, call, 0, 10 + 2 * call);
    rf_meter_line(&m, line, sizeof line, 200); /* 8 calls here, 8 in the plan that follows */
    cr_expect_str_eq(line, "cells 1/4 | animagine | calls 4/20 | 2.0 s/call | 0:32 left");
    feed_call(&m, RF_PHASE_DECODE, 5, 0, 20);
    feed_call(&m, RF_PHASE_DECODE, 5, 0, 22); /* it waits for a hash */
    rf_meter_finished(&m, 2);
    feed_call(&m, RF_PHASE_DENOISE, 5, 1, 23);
    cr_expect_float_eq(rf_meter_left(&m), 15 * 2 + 2 * 3, 0.01);
    feed_call(&m, RF_PHASE_LOAD, 5, 1, 24); /* another expert is read: not a call's time */
    feed_call(&m, RF_PHASE_DENOISE, 5, 1, 100);
    feed_call(&m, RF_PHASE_DENOISE, 7, 1, 104); /* two calls at once */
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_str_eq(line, "cells 2/4 | animagine | calls 7/20 | 2.0 s/call | 0:32 left");
}

Test(command_line, sizes_in_bytes)
{
    static const rf_option   O = {.name = "memory", .kind = RF_OPTION_BYTES};
    static const char *const BAD[] = {"",    "G",   "-1",  "1.2.3G",   "5X",
                                      "1GG", "1 G", "nan", "99999999T"};
    static const struct {
        const char *text;
        uint64_t    bytes;
    } GOOD[] = {{"0", 0},
                {"1000", 1000},
                {"1k", 1024},
                {"1.5G", 3ull << 29},
                {"2GiB", 2ull << 30},
                {"800MB", 800ull << 20}};
    uint64_t bytes = 77;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        cr_expect_eq(rf_option_convert(&O, "--memory", BAD[i], &bytes, &trouble), RF_E_ARG, "%s",
                     BAD[i]);
    cr_expect_eq(bytes, 77u);
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        cr_expect_eq(rf_option_convert(&O, "--memory", GOOD[i].text, &bytes, &trouble), RF_OK);
        cr_expect_eq(bytes, GOOD[i].bytes, "%s", GOOD[i].text);
    }
}

Test(command_line, names_cannot_harm_the_terminal)
{
    char     line[200];
    rf_meter m = some_meter();
    m.count = 1;
    strcpy(m.stages[0].name, "a\033[2Jb");
    feed(&m, RF_PHASE_DENOISE, 0, 1, 0);
    rf_meter_line(&m, line, sizeof line, 200);
    cr_expect_null(strchr(line, '\033'));
}

/* A second signal quits at once, but not while a file is being written. */
Test(signals, the_second_waits_for_a_file, .exit_code = 130)
{
    rf_error err = {0};
    cr_assert_eq(rf_signals_install(&err), RF_OK, "%s", err.message);
    rf_signals_hold();
    raise(SIGINT);
    raise(SIGINT);
    rf_signals_release();
    cr_assert_fail("it did not quit");
}
