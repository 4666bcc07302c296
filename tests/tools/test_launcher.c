/* A command that nobody launched, or that was built without MPI. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/launcher.h"
#include "tools/sweep/ranks.h"

static void forget(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK",
                                        "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

static rf_launcher with(const char *name, const char *value)
{
    setenv(name, value, 1);
    return rf_launcher_find();
}

Test(launcher, is_known_by_its_variables, .timeout = 20)
{
    forget();
    cr_expect_eq(rf_launcher_find().size, 1);
    cr_expect_null(rf_launcher_find().name);
    cr_expect_eq(with("SLURM_NTASKS", "8").size, 1, "a batch script is one process");
    cr_expect_eq(with("SLURM_STEP_NUM_TASKS", "1").size, 1);
    rf_launcher l = with("SLURM_STEP_NUM_TASKS", "8");
    cr_expect(l.size == 8 && !l.meet);
    cr_expect_str_eq(l.name, "srun");
    l = with("PMIX_RANK", "0");
    cr_expect(l.size == 8 && l.meet);
    forget();
    l = with("PMI_SIZE", "4");
    cr_expect(l.size == 4 && l.meet);
    l = with("OMPI_COMM_WORLD_SIZE", "3");
    cr_expect(l.size == 3 && l.meet);
    cr_expect_str_eq(l.name, "mpirun");
    forget();
    static const char *const wrong[] = {"", "0", "-3", "+3", "3x", " 3", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(with("OMPI_COMM_WORLD_SIZE", wrong[i]).size, 1, "'%s'", wrong[i]);
}

Test(launcher, who_cannot_meet_hears_what_to_do, .timeout = 20)
{
    rf_ranks ranks;
    rf_error err = {0};
    forget();
    setenv("SLURM_STEP_NUM_TASKS", "8", 1);
    cr_expect_eq(rf_ranks_begin(&ranks, &err), RF_E_UNSUPPORTED);
    cr_expect_str_eq(err.message, "srun started 8 processes without telling them how to meet: use "
                                  "srun --mpi=pmix, or give each process a --shard");
    setenv("PMIX_RANK", "0", 1); /* this program is linked without MPI */
    cr_expect_eq(rf_ranks_begin(&ranks, &err), RF_E_UNSUPPORTED);
    cr_expect(strstr(err.message, "built without MPI"), "%s", err.message);
    cr_expect(ranks.size == 1 && ranks.inside == NULL);
    rf_ranks_end(&ranks);
}

static rf_status keep(void *user, int cell, const rf_cell_record *record, rf_error *err)
{
    int *seen = user;
    (void)err;
    cr_expect_eq(record->state, RF_CELL_DONE);
    *seen = 10 * *seen + cell;
    return cell == 9 ? rf_fail(err, RF_E_NO_SPACE, "the disk is full") : RF_OK;
}

Test(launcher, alone_everything_is_local, .timeout = 20)
{
    rf_ranks             ranks = {0};
    rf_error             err = {0};
    const rf_cell_record record = {.state = RF_CELL_DONE, .sha256 = "00"};
    int                  group = 7, seen = 0;
    char                 shared[] = "mine";
    rf_ranks_end(&ranks);
    forget();
    setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
    cr_assert_eq(rf_ranks_begin(&ranks, &err), RF_OK, "%s", err.message);
    cr_expect(ranks.rank == 0 && ranks.size == 1);
    cr_expect(ranks.local_rank == 0 && ranks.local_size == 1);
    cr_expect_eq(rf_ranks_threads(&ranks), 0);
    cr_expect_eq(rf_ranks_share(&ranks, shared, sizeof shared, &err), RF_OK);
    cr_expect_str_eq(shared, "mine");
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(rf_ranks_next(&ranks, 3, &group, &err), RF_OK);
        cr_expect_eq(group, i < 3 ? i : -1);
    }
    cr_expect_eq(rf_ranks_tell(&ranks, 1, &record, keep, &seen, &err), RF_OK);
    cr_expect_eq(rf_ranks_serve(&ranks, 3, keep, &seen, &err), RF_OK);
    cr_expect_eq(rf_ranks_tell(&ranks, 2, &record, keep, &seen, &err), RF_OK);
    cr_expect_eq(rf_ranks_tell(&ranks, 9, &record, keep, &seen, &err), RF_E_NO_SPACE);
    cr_expect_eq(rf_ranks_finish(&ranks, 3, keep, &seen, &err), RF_OK);
    cr_expect_eq(seen, 129);
    rf_ranks_end(&ranks);
    rf_ranks_end(&ranks);

    ranks = (rf_ranks){.size = 1, .local_size = 1}; /* without a beginning, as a shard */
    cr_expect_eq(rf_ranks_tell(&ranks, 3, &record, keep, &seen, &err), RF_OK);
    cr_expect_eq(rf_ranks_serve(&ranks, 3, keep, &seen, &err), RF_OK);
    cr_expect_eq(rf_ranks_next(&ranks, 1, &group, &err), RF_OK);
    cr_expect_eq(group, 0);
    cr_expect_eq(rf_ranks_finish(&ranks, 1, keep, &seen, &err), RF_OK);
    cr_expect_eq(seen, 1293);
    rf_ranks_end(&ranks);
}
