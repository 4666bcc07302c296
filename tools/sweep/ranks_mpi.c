/* Ranks over MPI.  The only file that knows it.
 *
 * A message's kind is its tag.  Errors are left to MPI's own handler, which ends all ranks.
 * A sender waits for nobody: MPI_Send does, even with a message as small as these, for a rank that
 * is not in MPI at the moment. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/sweep/ranks_link.h"

typedef struct outgoing {
    struct outgoing *next;
    MPI_Request      request;
    rf_message       message;
} outgoing;

/* Frees what has gone out; all of it, if asked to wait. */
static void reap(rf_link *link, int wait)
{
    outgoing **at = (outgoing **)&link->inside;
    while (*at) {
        outgoing *o = *at;
        int       gone = wait;
        if (wait)
            MPI_Wait(&o->request, MPI_STATUS_IGNORE);
        else
            MPI_Test(&o->request, &gone, MPI_STATUS_IGNORE);
        if (gone) {
            *at = o->next;
            free(o);
        } else {
            at = &o->next;
        }
    }
}

static void send_message(rf_link *link, int to, const rf_message *message)
{
    const int bytes = (int)sizeof *message, tag = message->kind;
    outgoing *o = malloc(sizeof *o);
    if (!o) { /* it may have to wait */
        MPI_Send(message, bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD);
        return;
    }
    o->message = *message;
    MPI_Isend(&o->message, bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD, &o->request);
    o->next = link->inside;
    link->inside = o;
    reap(link, 0);
}

static int poll_message(rf_link *link, rf_message_kind kind, rf_message *message)
{
    const int  tag = kind == RF_MESSAGE_ANY ? MPI_ANY_TAG : (int)kind;
    int        there = 0;
    MPI_Status status;
    reap(link, 0);
    MPI_Iprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &there, &status);
    if (!there) return -1;
    MPI_Recv(message, (int)sizeof *message, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG,
             MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
}

static void close_link(rf_link *link)
{
    reap(link, 1);
    MPI_Finalize();
}

/* To leave without MPI_Finalize is what launchers take for the end of all.  MPI_Abort says the
 * same, but Open MPI 4.1's mpirun then stayed behind, about once in eight times, after all ranks
 * had gone. */
static void abandon_link(rf_link *link, int code)
{
    (void)link;
    fflush(NULL);
    _exit(code);
}

rf_status rf_link_open(rf_link *out, rf_error *err)
{
    int      given = 0;
    MPI_Comm local;
    (void)err;
    *out = (rf_link){
        .send = send_message, .poll = poll_message, .close = close_link, .abandon = abandon_link};
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given); /* other threads compute */
    MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &out->size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    MPI_Comm_rank(local, &out->local_rank);
    MPI_Comm_size(local, &out->local_size);
    MPI_Comm_free(&local);
    return RF_OK;
}
