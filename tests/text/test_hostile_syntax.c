/* Prompts made of what the language has, a mebibyte of it: parsing answers or refuses within a
 * second and 64 MiB, whatever is nested or repeated.  Memory is what the process takes from the
 * system while it parses, so each row runs in a process of its own. */
#include "engine/text/prompt.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

enum {
    MEBIBYTE = 1 << 20,
    MEMORY_KIB = 64 << 10,
    ANSWERED = 0, /* exit codes of the children; a sanitizer's is 1 */
    REFUSED = 100,
    SLOWER,
    LARGER,
    WRONG,
};

#ifdef RF_SANITIZE /* everything takes many times as long and as much */
enum { SCALE = 10, SANITIZED = 1 };
#else
enum { SCALE = 1, SANITIZED = 0 };
#endif

typedef struct row {
    const char *head, *unit;
    size_t      times;            /* 0: as often as fits in a mebibyte */
    const char *middle, *closing; /* after it; and as often as the unit */
    bool        refused;          /* with RF_E_ARG; else answered */
} row;

static const row rows[] = {
    {"", "a", 0, "", "", false},
    {"", "(", 100000, "", "", false},
    {"", "(", 100000, "a", "", false},
    {"", "(", 100000, "a", ")", false},
    {"", "(", 0, "a", "", false},
    {"", "[", 100000, "a", "", false},
    {"", "[", 0, "a", "", false},
    {"", "[", 0, "a", "]", false},
    {"", ")", 0, "", "", false},
    {"", "]", 0, "", "", false},
    {"", "(a", 0, "", "", true}, /* as many products as pieces times brackets */
    {"", "(a", 100000, "", ")", true},
    {"", "([a", 100000, "", ")]", true},
    {"", "(a)", 0, "", "", false},
    {"", "(a)b", 0, "", "", false}, /* most pieces per byte */
    {"", "(a:1.2)(b:1.3)", 0, "", "", false},
    {"", ":", 0, "", "", false},
    {"", "|", 0, "", "", false},
    {"", "\\", 0, "", "", false},
    {"", "\\(", 0, "", "", false},
    {"", "\\\n", 0, "[a:b:5]", "", false},
    {"(a", ":1", 0, "", "", false},
    {"", ":                    1", 0, "", "", false},
    {"(a:", "1", 0, ")", "", false},
    {"(a:", "\xEF\xBC\x91", 0, ")", "", false},
    {"", "[a:b:1]", 0, "", "", false},
    {"", "[a:b:1x", 0, "", "", true},
    {"[", "a:", 0, "", "", false},
    {"", "[", 10000, "a", ":5]", false},
    {"", "[", 100000, "a", ":5]", false},
    {"", "[a:", 10000, "b", ":7]", false},
    {"", "[a:", 100000, "b", ":7]", false},
    {"", "[:", 10000, "b", ":7", false}, /* not one is closed */
    {"", "[a|", 10000, "b", "]", false},
    {"", "[a|", 100000, "b", "]", false},
    {"[a|b]", "a", 0, "", "", true}, /* 50 times a mebibyte */
    {"[a", "|a", 100000, "]", "", false},
    {"[", "|", 0, "]", "", false},
    {"", "[|]", 0, "", "", false},
    {"", "[a|b", 0, "", "", true},
    {"", "AND ", 0, "", "", true}, /* a quarter of a million prompts */
    {"", "AND ", 100000, "", "", false},
    {"", "a:1 AND ", 100000, "", "", false},
    {"", "[a|b] AND ", 0, "", "", true},
    {"", "ANDAND", 0, "", "", false},
    {"", "<lora:a:1>", 0, "", "", false},
    {"<lora", ":", 0, ">", "", false},
    {"", "<a:", 0, "", "", false},
    {"", "<", 0, "", "", false},
    {"", "<aaaaaaaa", 0, "", "", false},
    {"", "BREAK ", 0, "", "", false},
    {"", "BREAK ", 100000, "", "", false},
    {"(", "BREAK ", 100000, ")", "", false},
    {"", "BREAK", 0, "", "", false},
    {"", " ", 0, "", "", false},
    {"", "\xE3\x80\x80", 0, ":1 AND a", "", false},
    {"", "[a:b:switch]", 0, "", "", false},
    {"[a:b:", "1", 0, "]", "", false},
    {"[a:b:switch", "1", 0, "]", "", false},
    {"[a:b:", " ", 0, "5]", "", false},
    {"", "[a:b: ", 0, "", "", true},
};

static char *put(char *at, const char *unit, size_t times)
{
    for (size_t i = 0; i < times; i++) at = stpcpy(at, unit);
    return at;
}

static char *made(const row *r)
{
    const size_t unit = strlen(r->unit), closing = strlen(r->closing);
    const size_t times = (r->times ? r->times : MEBIBYTE / (unit + closing)) / SCALE;
    char        *text = malloc(strlen(r->head) + times * (unit + closing) + strlen(r->middle) + 1);
    cr_assert(text);
    char *at = put(text, r->head, 1);
    at = put(put(at, r->unit, times), r->middle, 1);
    *put(at, r->closing, times) = '\0';
    return text;
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void on_warning(void *user, const char *message)
{
    *(size_t *)user += strlen(message);
}

/* In a child: an exit code for what went wrong. */
static int attempt(const row *r, int exact, int steps)
{
    static const int        handover = 7;
    size_t                  told = 0;
    const rf_prompt_options options = {
        .exact_a1111 = exact,
        .clock = {.nominal = steps, .calls = steps, .handover = &handover, .handovers = 1},
        .warn = on_warning,
        .user = &told};
    const rf_prompt *prompt;
    rf_error         err = {0};
    char            *text = made(r);
    const long       before = peak_kib();
    const clock_t    start = clock();
    const rf_status  st = rf_prompt_parse(&prompt, text, &options, &err);
    const double     seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    const long       took = peak_kib() - before;
    if (seconds > 0.5 || took > MEMORY_KIB)
        fprintf(stderr, "%s%s... exact %d, %d steps: %.3f s, %ld KiB, %s\n", r->head, r->unit,
                exact, steps, seconds, took, rf_status_name(st));
    rf_prompt_free(prompt);
    free(text);
    if (seconds > (SANITIZED ? 5 : 1)) return SLOWER;
    if (took > MEMORY_KIB && !SANITIZED) return LARGER;
    if (st != RF_OK && (st != RF_E_ARG || !err.message[0])) return WRONG;
    return st == RF_OK ? ANSWERED : REFUSED;
}

static void try_all(int exact)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const pid_t child = fork();
        if (child == 0) _exit(attempt(&rows[i], exact, 50));
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status), "row %zu (%s) crashed", i, rows[i].unit);
        const int  code = WEXITSTATUS(status);
        const bool fits = exact || SANITIZED; /* exactly A1111, a stray '|' disables edits */
        cr_expect(code == (rows[i].refused ? REFUSED : ANSWERED) ||
                      (fits && (code == REFUSED || code == ANSWERED)),
                  "row %zu (%s%s): code %d", i, rows[i].head, rows[i].unit, code);
    }
}

Test(hostile_syntax, is_answered_or_refused, .timeout = 300)
{
    try_all(0);
}

Test(hostile_syntax, is_answered_or_refused_exactly_as_a1111, .timeout = 300)
{
    try_all(1);
}

Test(hostile_syntax, many_steps_times_many_edits, .timeout = 60)
{
    static const row many[] = {
        {"", "[", 10000, "a", ":5]", false},
        {"[a", "|a", 100000, "]", "", false},
        {"", "[a|b|c]", 10000, "", "", true},
        {"[a|b]", "", 1, "", "", false},
    };
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        for (size_t k = 0; k < 3; k++) {
            static const int steps[] = {1000, 1000000, 1000000000};
            const pid_t      child = fork();
            if (child == 0) _exit(attempt(&many[i], 0, steps[k]));
            int status;
            cr_assert_eq(waitpid(child, &status, 0), child);
            cr_expect(WIFEXITED(status) &&
                          (WEXITSTATUS(status) == ANSWERED || WEXITSTATUS(status) == REFUSED),
                      "row %zu, %d steps: %d", i, steps[k], WEXITSTATUS(status));
        }
}

Test(hostile_syntax, edits_that_end_at_different_steps, .timeout = 60)
{
    enum { EDITS = 50000 / SCALE };
    char *text = malloc(EDITS * 16), *at = text;
    cr_assert(text);
    for (int i = 1; i <= EDITS; i++) at += sprintf(at, "[a:b:%d]", i);
    rf_prompt_options options = {.clock = {.nominal = 150, .calls = 150}};
    const rf_prompt  *prompt;
    rf_error          err = {0};
    clock_t           start = clock();
    cr_assert_eq(rf_prompt_parse(&prompt, text, &options, &err), RF_OK, "%s", err.message);
    cr_expect_eq(prompt->part->entries, 149);
    rf_prompt_free(prompt);
    options.clock.nominal = options.clock.calls = 100000;
    cr_expect_eq(rf_prompt_parse(&prompt, text, &options, &err), RF_E_ARG);
    cr_expect(strstr(err.message, "16 MiB"), "%s", err.message);
    cr_expect_lt((double)(clock() - start) / CLOCKS_PER_SEC, 2);
    free(text);
}
