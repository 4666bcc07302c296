/* tests/bare/ tells every outcome of a test as Criterion does. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/spawn.h"

/* Runs bare_probe; its exit code. */
static int probe(const char *options, rf_spawned *r)
{
    rf_spawn(r, options);
    return r->code;
    rf_spawn_leave_folder();
}

Test(bare, every_outcome_is_told, .timeout = 30)
{
    static rf_spawned r;
    const char       *said = r.out;
    rf_spawn_enter_folder();
    cr_expect_eq(probe("", &r), 1);
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
    rf_spawn_leave_folder();
}

Test(bare, patterns_choose_and_success_is_success, .timeout = 30)
{
    static rf_spawned r;
    const char       *said = r.out;
    rf_spawn_enter_folder();
    cr_expect_eq(probe("'fine/*'", &r), 0);
    cr_expect(strstr(said, "Tested: 2 | Passing: 2 | Failing: 0"), "%s", said);
    cr_expect_eq(probe("--one-process fine/passes other/is_skipped", &r), 0);
    cr_expect_eq(probe("--one-process 'fine/*'", &r), 1, "both see one counter");
    cr_expect_eq(probe("--one-process wrong/expects wrong/asserts", &r), 1);
    cr_expect(strstr(said, "Tested: 2 | Passing: 0 | Failing: 2"), "%s", said);
    cr_expect_eq(probe("nothing/*", &r), 1, "no test is no success");
    cr_expect_eq(probe("--list 'wrong/*'", &r), 0);
    cr_expect_str_eq(said, "wrong/expects\nwrong/asserts\nwrong/dies\nwrong/never_ends\n");
    cr_expect_eq(probe("--what", &r), 2);
    rf_spawn_leave_folder();
}

Test(bare, without_a_gpu_it_says_so_once)
{
    static rf_spawned r;
    const char       *said = r.out;
    rf_spawn_enter_folder();
    setenv("BARE_PROBE_NO_GPU", "1", 1);
    cr_expect_eq(probe("", &r), 77);
    cr_expect_str_eq(said, "skipped: there is no GPU: buy one\n");
    cr_expect_eq(probe("--one-process", &r), 77);
    rf_spawn_leave_folder();
}
