/* Tests of every outcome, for test_bare.c. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/kernels/gpu_case.h"

const char *gpu_missing(void)
{
    return getenv("BARE_PROBE_NO_GPU") ? "there is no GPU: buy one" : "";
}

void gpu_free_all(void)
{
}

static int leftover;

Test(fine, passes)
{
    cr_expect_eq(leftover++, 0, "each test is a process of its own");
    cr_assert(1);
    cr_expect_float_eq(1.0, 1.5, 0.5);
}

Test(fine, passes_too, .timeout = 5)
{
    cr_expect_eq(leftover++, 0);
    cr_expect_str_eq("a", "a");
}

Test(wrong, expects)
{
    const int one = 1;
    cr_expect_eq(one, 2, "of %s", "numbers");
    puts("went on");
}

Test(wrong, asserts)
{
    cr_assert_not_null(NULL);
    puts("never");
}

Test(wrong, dies)
{
    abort();
}

Test(wrong, never_ends, .timeout = 1)
{
    for (;;) pause();
}

Test(other, is_skipped)
{
    cr_skip_test("this needs %s", "something");
    puts("never");
}
