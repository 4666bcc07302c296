/* Runs the tests of a program that was built with tests/bare/criterion/criterion.h.
 *
 *     test_x_gpu [--one-process] [--list] [PATTERN...]      patterns of SUITE/NAME, as a shell's
 *
 * Each test is a process of its own, as in Criterion: a GPU that one of them loses is whole again
 * in the next.  --one-process is for compute-sanitizer, which does not follow forks.
 * Exit code 77, with one sentence: there is no GPU. */
#include <criterion/criterion.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kernels/gpu_case.h"

enum outcome { PASSED, FAILED, SKIPPED = 77 };

static bare_test *first, **end_of_tests = &first;
static jmp_buf    out_of_test;
static bool       failed;

void bare_add(bare_test *test)
{
    *end_of_tests = test;
    end_of_tests = &test->next;
}

void bare_failed(int ends_test, const char *file, int line, const char *condition,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s:%d: failed: %s:", file, line, condition);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    failed = true;
    if (ends_test) longjmp(out_of_test, FAILED);
}

void bare_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("skipped:");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    longjmp(out_of_test, SKIPPED);
}

static int run_here(const bare_test *test)
{
    failed = false;
    const int out = setjmp(out_of_test);
    if (!out) test->run();
    gpu_free_all(); /* of a test that was given up */
    fflush(NULL);
    return out ? out : failed ? FAILED : PASSED;
}

/* The exit status of a child that does `work`; -1 if it was killed. */
static int run_apart(int (*work)(const bare_test *), const bare_test *test)
{
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) return perror("fork"), -1;
    if (child == 0) {
        alarm(test ? (unsigned)test->timeout : 60); /* 0: none */
        _exit(work(test));
    }
    if (waitpid(child, &status, 0) != child) return perror("waitpid"), -1;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WTERMSIG(status) == SIGALRM)
        printf("took longer than %g seconds\n", test ? test->timeout : 60);
    else
        printf("died of signal %d\n", WTERMSIG(status));
    return -1;
}

static int look_for_gpu(const bare_test *none)
{
    (void)none;
    const char *why = gpu_missing();
    if (why[0]) printf("skipped: %s\n", why);
    fflush(stdout);
    return why[0] ? SKIPPED : PASSED;
}

static bool wanted(const bare_test *test, char **patterns, int count)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
    for (int i = 0; i < count; i++)
        if (fnmatch(patterns[i], name, 0) == 0) return true;
    return count == 0;
}

int main(int argc, char **argv)
{
    bool one_process = false, list = false;
    int  at = 1, tested = 0, passing = 0, failing = 0, crashing = 0;
    for (; at < argc && argv[at][0] == '-'; at++) {
        one_process |= !strcmp(argv[at], "--one-process");
        list |= !strcmp(argv[at], "--list");
        if (!one_process && !list) {
            fprintf(stderr, "usage: %s [--one-process] [--list] [PATTERN...]\n", argv[0]);
            return 2;
        }
    }
    if (!list) {
        const int gpu = one_process ? look_for_gpu(NULL) : run_apart(look_for_gpu, NULL);
        if (gpu != PASSED) return gpu == SKIPPED ? SKIPPED : 1;
    }
    for (const bare_test *test = first; test; test = test->next) {
        if (!wanted(test, argv + at, argc - at)) continue;
        printf("%s/%s\n", test->suite, test->name);
        if (list) continue;
        const int out = one_process ? run_here(test) : run_apart(run_here, test);
        if (out == SKIPPED) continue;
        tested++;
        passing += out == PASSED;
        failing += out == FAILED;
        crashing += out != PASSED && out != FAILED;
    }
    if (list) return 0;
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d\n", tested,
           passing, failing, crashing);
    return tested == passing && tested > 0 ? 0 : 1;
}
