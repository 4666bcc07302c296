/* Who started this process, as far as its environment tells: looked at before MPI is touched, so
 * that a command that nobody launched pays nothing and hears nothing of it. */
#ifndef RF_SWEEP_LAUNCHER_H
#define RF_SWEEP_LAUNCHER_H

typedef struct rf_launcher {
    const char *name; /* "mpirun", "srun"; NULL: nobody */
    int         size; /* processes that it started; 1 for nobody */
    int         meet; /* it tells them how to find each other */
} rf_launcher;

/* Open MPI's mpirun, any launcher that speaks PMI (MPICH's, srun --mpi=pmi2), Slurm's srun. */
rf_launcher rf_launcher_find(void);

#endif
