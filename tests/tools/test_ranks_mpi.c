/* Three ranks under a real mpirun (ranks_probe.c).  The test itself is no rank: Criterion's
 * processes and MPI's do not mix. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/tools/spawn.h"

/* Skips the test if there is no mpirun, or one that starts nothing here. */
static void enter(void)
{
    static rf_spawned result;
    const char       *asan = getenv("ASAN_OPTIONS");
    char              options[1000];
    rf_spawn_enter_folder();
    rf_spawn(&result, "true");
    if (result.code) {
        rf_spawn_leave_folder();
        cr_skip_test("mpirun (openmpi-bin) is missing or starts nothing here: %s", result.err);
    }
    /* MPI's leaks are not ours, and containers forbid its way of copying between processes */
    snprintf(options, sizeof options, "%s%sdetect_leaks=0", asan ? asan : "", asan ? ":" : "");
    setenv("ASAN_OPTIONS", options, 1);
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 1);
}

static void expect_lines(const rf_spawned *result, const char *first, const char *second,
                         const char *third)
{
    const char *const lines[] = {first, second, third};
    for (int i = 0; i < 3; i++)
        cr_expect(strstr(result->err, lines[i]), "no '%s' in: %s", lines[i], result->err);
}

Test(ranks_mpi, every_group_once_and_every_record, .timeout = 120)
{
    static rf_spawned result;
    enter();
    rf_spawn(&result, RF_PROBE " work");
    cr_expect_eq(result.code, 0, "%d: %s", result.code, result.err);
    cr_expect_str_eq(result.out, "written 60, doubled 0, damaged 0, torn groups 0, ranks 7\n");
    expect_lines(&result, "rank 0: well", "rank 1: well", "rank 2: well");
    rf_spawn_leave_folder();
}

/* The others take what is left; of the group it had, one cell was told. */
Test(ranks_mpi, a_rank_that_gives_up_leaves_its_group_open, .timeout = 120)
{
    static rf_spawned result;
    enter();
    rf_spawn(&result, RF_PROBE " leave");
    cr_expect_eq(result.code, 0, "%d: %s", result.code, result.err);
    cr_expect_str_eq(result.out, "written 58, doubled 0, damaged 0, torn groups 0, ranks 7\n");
    expect_lines(&result, "rank 0: well", "rank 1: this rank is ordered to leave", "rank 2: well");
    cr_expect(strstr(result.err, "rank 1 gave up: this rank is ordered to leave"), "%s",
              result.err);
    rf_spawn_leave_folder();
}

Test(ranks_mpi, all_stop_with_rank_0, .timeout = 120)
{
    static rf_spawned result;
    enter();
    rf_spawn(&result, RF_PROBE " stop");
    cr_expect_eq(result.code, 0, "%d: %s", result.code, result.err);
    cr_expect(strstr(result.out, "doubled 0, damaged 0"), "%s", result.out);
    expect_lines(&result, "rank 0: rank 0 is ordered to stop",
                 "rank 1: rank 0 has stopped, and so does this one",
                 "rank 2: rank 0 has stopped, and so does this one");
    rf_spawn(&result, RF_PROBE " early");
    cr_expect_eq(result.code, 0, "%d: %s", result.code, result.err);
    cr_expect_str_eq(result.out, "written 0, doubled 0, damaged 0, torn groups 0, ranks 0\n");
    expect_lines(&result, "rank 0: rank 0 is ordered to stop",
                 "rank 1: rank 0 has stopped, and so does this one",
                 "rank 2: rank 0 has stopped, and so does this one");
    rf_spawn_leave_folder();
}

/* Whether a rank that does `what` is still at work: the dead that nobody has buried have no words.
 */
static int is_alive(const char *what)
{
    DIR           *proc = opendir("/proc");
    struct dirent *entry = NULL;
    int            found = 0;
    cr_assert_not_null(proc);
    while ((entry = readdir(proc))) {
        char path[300], words[4096] = "";
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE        *file = fopen(path, "rb");
        const size_t bytes = file ? fread(words, 1, sizeof words - 1, file) : 0;
        const size_t own = strlen(words);
        if (file) fclose(file);
        found |= own >= 11 && strcmp(words + own - 11, "ranks_probe") == 0 && own + 1 < bytes &&
                 strcmp(words + own + 1, what) == 0;
    }
    closedir(proc);
    return found;
}

/* Open MPI's mpirun can go wrong in its own last act when a rank has failed, after all ranks have
 * gone: two of its threads wait for each other (PMIx_server_finalize of PMIx 4.2), and `timeout`
 * ends it, or it crashes itself.  That is no rank's doing. */
static int mpirun_failed(const rf_spawned *result, const char *what)
{
    const int hung = result->code == 124;
    if (!hung && !(result->code == 128 + SIGSEGV && strstr(result->err, "] mpirun("))) return 0;
    cr_expect_not(is_alive(what), "mpirun went wrong, and left its ranks: %s", result->err);
    return 1;
}

/* Rank 0 waits for one that does not answer, and ends all with the signal's exit code. */
Test(ranks_mpi, a_signal_ends_all, .timeout = 120)
{
    static rf_spawned result;
    enter();
    const time_t begun = time(NULL);
    rf_spawn(&result, RF_PROBE " signal");
    cr_expect(strstr(result.err, "rank 0: interrupted while it waited"), "%s", result.err);
    if (!mpirun_failed(&result, "signal")) {
        cr_expect_eq(result.code, 128 + SIGALRM, "%d: %s", result.code, result.err);
        cr_expect_lt(time(NULL) - begun, 30);
    }
    rf_spawn_leave_folder();
}

/* mpirun ends the others: nobody waits for the dead. */
Test(ranks_mpi, a_killed_rank_ends_all, .timeout = 120)
{
    static rf_spawned result;
    enter();
    rf_spawn(&result, RF_PROBE " die");
    if (!mpirun_failed(&result, "die")) cr_expect_neq(result.code, 0);
    cr_expect_null(strstr(result.err, "well"), "%s", result.err);
    rf_spawn_leave_folder();
}
