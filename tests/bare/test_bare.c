/* tests/bare/ tells every outcome of a test as Criterion does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Runs bare_probe; its exit code, and what it said in `said`. */
static int probe(const char *options, char *said, size_t size)
{
    char command[1024];
    snprintf(command, sizeof command, "%s %s 2>&1", RF_PROBE, options);
    FILE *out = popen(command, "r");
    cr_assert_not_null(out);
    said[fread(said, 1, size - 1, out)] = '\0';
    const int status = pclose(out);
    cr_assert(WIFEXITED(status), "%s", said);
    return WEXITSTATUS(status);
}

Test(bare, every_outcome_is_told, .timeout = 30)
{
    char said[8192];
    cr_expect_eq(probe("", said, sizeof said), 1);
    static const char *const lines[] = {
        "fine/passes\n",
        "bare_probe.c:",
        "failed: one == 2: of numbers\nwent on\n",
        "failed: NULL is not NULL:",
        "died of signal 6",
        "took longer than 1 seconds",
        "skipped: this needs something",
        "Synthesis: Tested: 6 | Passing: 2 | Failing: 2 | Crashing: 2",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect(strstr(said, lines[i]), "no \"%s\" in: %s", lines[i], said);
    cr_expect(!strstr(said, "never\n"), "%s", said);
}

Test(bare, patterns_choose_and_success_is_success, .timeout = 30)
{
    char said[8192];
    cr_expect_eq(probe("'fine/*'", said, sizeof said), 0);
    cr_expect(strstr(said, "Tested: 2 | Passing: 2 | Failing: 0"), "%s", said);
    cr_expect_eq(probe("--one-process fine/passes other/is_skipped", said, sizeof said), 0);
    cr_expect_eq(probe("--one-process 'fine/*'", said, sizeof said), 1, "both see one counter");
    cr_expect_eq(probe("--one-process wrong/expects wrong/asserts", said, sizeof said), 1);
    cr_expect(strstr(said, "Tested: 2 | Passing: 0 | Failing: 2"), "%s", said);
    cr_expect_eq(probe("nothing/*", said, sizeof said), 1, "no test is no success");
    cr_expect_eq(probe("--list 'wrong/*'", said, sizeof said), 0);
    cr_expect_str_eq(said, "wrong/expects\nwrong/asserts\nwrong/dies\nwrong/never_ends\n");
    cr_expect_eq(probe("--what", said, sizeof said), 2);
}

Test(bare, without_a_gpu_it_says_so_once)
{
    char said[8192];
    setenv("BARE_PROBE_NO_GPU", "1", 1);
    cr_expect_eq(probe("", said, sizeof said), 77);
    cr_expect_str_eq(said, "skipped: there is no GPU: buy one\n");
    cr_expect_eq(probe("--one-process", said, sizeof said), 77);
}
