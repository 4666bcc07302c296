/* What ranks say to each other, and what carries it: MPI (ranks_mpi.c), nothing (ranks_alone.c),
 * or a test.
 *
 * All messages have one small size, and sending one waits for nobody.  A failing wire ends all
 * ranks at once, as MPI does by default: the journal is right at any moment, so that nothing better
 * could be done about it. */
#ifndef RF_SWEEP_RANKS_LINK_H
#define RF_SWEEP_RANKS_LINK_H

#include "kernels/status.h"

enum { RF_MESSAGE_BYTES = 1000 }; /* Open MPI waits from 4 KiB on, in shared memory */

typedef enum rf_message_kind {
    RF_MESSAGE_ANY = 0,
    RF_MESSAGE_SHARE,  /* from 0: the next bytes of rf_ranks_share */
    RF_MESSAGE_ASK,    /* to 0: which group is next? */
    RF_MESSAGE_GROUP,  /* from 0: number is the group, or -1 */
    RF_MESSAGE_RECORD, /* to 0: of cell `number` */
    RF_MESSAGE_LEAVE,  /* to 0, once: it told `number` records, and says nothing more but how it
                          fared */
    RF_MESSAGE_END     /* from 0, once, the last one; number 1: it gives up */
} rf_message_kind;

typedef struct rf_message {
    int  kind, number;
    char bytes[RF_MESSAGE_BYTES];
} rf_message;

typedef struct rf_link rf_link;
struct rf_link {
    int rank, size, local_rank, local_size;
    /* Messages of one kind between two ranks arrive in the order in which they were sent. */
    void (*send)(rf_link *link, int to, const rf_message *message);
    /* Takes a message of that kind if one is there, without waiting.  Its sender, or -1. */
    int (*poll)(rf_link *link, rf_message_kind kind, rf_message *message);
    void (*close)(rf_link *link);             /* waits until all ranks close theirs */
    void (*abandon)(rf_link *link, int code); /* ends all ranks at once; returns in tests alone */
    void *inside;
};

/* RF_E_UNSUPPORTED, naming the remedy: this build has no MPI. */
rf_status rf_link_open(rf_link *out, rf_error *err);

#endif
