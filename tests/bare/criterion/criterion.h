/* As much of Criterion as the tests of CUDA kernels use, for programs that run on bare GPU machines
 * and under compute-sanitizer: no library, and all tests in one process if that is asked for.
 *
 * The same test sources are built with Criterion (everywhere) and with this (for GPUs), by the
 * order of include folders.  Included as a system header, as Criterion's own is. */
#ifndef RF_BARE_CRITERION_H
#define RF_BARE_CRITERION_H

#include <stdio.h>
#include <string.h>

#ifdef __clang__ /* a message may be left out: an empty `...`, which C23 allows */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

typedef struct bare_test {
    const char *suite, *name;
    void (*run)(void);
    double            timeout; /* seconds; 0: none */
    struct bare_test *next;
} bare_test;

void bare_add(bare_test *test);
/* Tells a failed condition; one of cr_assert ends the test. */
void bare_failed(int ends_test, const char *file, int line, const char *condition,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void bare_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define Test(suite_, name_, ...)                                                                   \
    static void      suite_##_##name_##_run(void);                                                 \
    static bare_test suite_##_##name_##_test = {                                                   \
        .suite = #suite_, .name = #name_, .run = suite_##_##name_##_run, __VA_ARGS__};             \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)                          \
    {                                                                                              \
        bare_add(&suite_##_##name_##_test);                                                        \
    }                                                                                              \
    static void suite_##_##name_##_run(void)

/* " " before the format: there may be none. */
#define BARE_TELL_(ends, ok, text, ...)                                                            \
    do {                                                                                           \
        if (!(ok)) bare_failed(ends, __FILE__, __LINE__, text, " " __VA_ARGS__);                   \
    } while (0)

#define cr_skip_test(...) bare_skip(" " __VA_ARGS__)
#define cr_log_info(...)  ((void)(fprintf(stderr, __VA_ARGS__), fputc('\n', stderr)))

#define cr_assert(c, ...)           BARE_TELL_(1, c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...)       BARE_TELL_(1, !(c), "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)     BARE_TELL_(1, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)     BARE_TELL_(1, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)    BARE_TELL_(1, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)     BARE_TELL_(1, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)    BARE_TELL_(1, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(p, ...)      BARE_TELL_(1, !(p), #p " is NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)  BARE_TELL_(1, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_assert_fail(...)         BARE_TELL_(1, 0, "failure", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) BARE_TELL_(1, !strcmp(a, b), #a " is " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, bytes, ...)                                                         \
    BARE_TELL_(1, !memcmp(a, b, bytes), #a " equals " #b, __VA_ARGS__)

#define cr_expect(c, ...)           BARE_TELL_(0, c, #c, __VA_ARGS__)
#define cr_expect_not(c, ...)       BARE_TELL_(0, !(c), "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)     BARE_TELL_(0, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)    BARE_TELL_(0, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)     BARE_TELL_(0, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)    BARE_TELL_(0, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)     BARE_TELL_(0, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)    BARE_TELL_(0, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(p, ...)      BARE_TELL_(0, !(p), #p " is NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...)  BARE_TELL_(0, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_expect_fail(...)         BARE_TELL_(0, 0, "failure", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) BARE_TELL_(0, !strcmp(a, b), #a " is " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, bytes, ...)                                                         \
    BARE_TELL_(0, !memcmp(a, b, bytes), #a " equals " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, e, ...)                                                           \
    BARE_TELL_(0, (a) - (b) <= (e) && (b) - (a) <= (e), #a " is near " #b, __VA_ARGS__)

#endif
