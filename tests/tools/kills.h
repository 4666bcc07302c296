/* A sweep of the real program that is killed at random moments, and goes on; for a test and for a
 * measurement, hence without Criterion. */
#ifndef RF_TEST_KILLS_H
#define RF_TEST_KILLS_H

typedef struct rf_kills {
    const char *command;        /* the refinery program */
    const char *base, *refiner; /* checkpoints */
    const char *folder;         /* to work in; exists, and is empty */
    int         kills;          /* SIGKILLs to give */
    unsigned    seed;           /* of their moments */
} rf_kills;

typedef struct rf_killed {
    int kills;    /* that hit a running process */
    int finished; /* sweeps that came to their end in between, and were compared */
    int wrong;    /* pictures that were not those of an undisturbed sweep, at any moment */
    int lost;     /* pictures that a finished sweep lacked */
    int stray;    /* files in a finished sweep that do not belong there */
    int refused;  /* resumes that failed */
} rf_killed;

/* Sweeps once undisturbed; then again and again, killed at a random moment of about as long as that
 * took, and resumed, until `kills` have been given.  -1 with a line on stderr if even the first
 * does not work. */
int rf_kills_run(const rf_kills *k, rf_killed *out);

#endif
