/* Exit codes of the refinery command: those of sysexits.h where one fits, so that scripts can tell
 * a bad file from a full disk. */
#ifndef RF_EXIT_CODES_H
#define RF_EXIT_CODES_H

#include "kernels/status.h"

enum {
    RF_EXIT_OK = 0,
    RF_EXIT_FAILED = 1,       /* the computation produced nothing usable (NaN) */
    RF_EXIT_USAGE = 2,        /* a flag or value on the command line is wrong */
    RF_EXIT_PARTIAL = 3,      /* some cells of a sweep failed, the others are done */
    RF_EXIT_DATA = 65,        /* a model file is damaged or of the wrong kind */
    RF_EXIT_NO_INPUT = 66,    /* an input file is missing */
    RF_EXIT_UNAVAILABLE = 69, /* this build or machine cannot do it */
    RF_EXIT_BUG = 70,         /* refinery contradicted itself */
    RF_EXIT_OS = 71,          /* the operating system failed us */
    RF_EXIT_CREATE = 73,      /* an output cannot be created, or exists */
    RF_EXIT_IO = 74,          /* reading or writing failed, or the disk is full */
    RF_EXIT_TEMPORARY = 75,   /* out of memory, or the GPU broke: a smaller job, or later, or
                                 another GPU may work */
    RF_EXIT_PERMISSION = 77,  /* access was refused */
    RF_EXIT_INTERRUPTED = 130,
    RF_EXIT_TERMINATED = 143,
};

int rf_exit_code(rf_status status);

#endif
