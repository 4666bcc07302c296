/* bench-kills: a sweep that is killed at random moments, and resumed: how much is lost.
 *
 *     refinery-bench-kills REFINERY BASE REFINER FOLDER [KILLS [SEED]]
 *
 * FOLDER exists and is empty; 200 kills, seed 1.  Exit code 1 if anything was lost. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/tools/kills.h"

int main(int argc, char **argv)
{
    rf_killed r;
    if (argc < 5) {
        fprintf(stderr,
                "usage: refinery-bench-kills REFINERY BASE REFINER FOLDER [KILLS [SEED]]\n");
        return 2;
    }
    const rf_kills k = {.command = argv[1],
                        .base = argv[2],
                        .refiner = argv[3],
                        .folder = argv[4],
                        .kills = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 200,
                        .seed = argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 1};
    if (rf_kills_run(&k, &r) != 0) return 1;
    printf("%d kills, %d sweeps of 6 cells finished in between\n", r.kills, r.finished);
    printf("  pictures lost %d, wrong at any moment %d; files left behind %d; resumes refused %d\n",
           r.lost, r.wrong, r.stray, r.refused);
    return r.lost || r.wrong || r.stray || r.refused;
}
