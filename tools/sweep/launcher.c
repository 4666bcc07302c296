/* The variables are those of Open MPI 4, of PMI 1 and 2, of PMIx, and of Slurm's job steps. */
#include "tools/sweep/launcher.h"

#include <limits.h>
#include <stdlib.h>

/* 0 unless it is there and a positive number. */
static int number_of(const char *variable)
{
    const char *text = getenv(variable);
    char       *end;
    if (!text || *text < '0' || *text > '9') return 0;
    const long value = strtol(text, &end, 10);
    return *end == '\0' && value <= INT_MAX ? (int)value : 0;
}

rf_launcher rf_launcher_find(void)
{
    const int mpirun = number_of("OMPI_COMM_WORLD_SIZE");
    const int pmi = number_of("PMI_SIZE");
    /* not SLURM_NTASKS, which a batch script has too, before any srun */
    const int srun = number_of("SLURM_STEP_NUM_TASKS");
    if (mpirun) return (rf_launcher){"mpirun", mpirun, 1};
    if (srun > 1) return (rf_launcher){"srun", srun, pmi || getenv("PMIX_RANK")};
    if (pmi) return (rf_launcher){"the launcher", pmi, 1};
    return (rf_launcher){.size = 1};
}
