/* Ranks over MPI.  The only file that knows it.
 *
 * A message's kind is its tag.  Errors are left to MPI's own handler, which ends all ranks. */
#include <mpi.h>

#include "tools/sweep/ranks_link.h"

static void send_message(rf_link *link, int to, const rf_message *message)
{
    (void)link;
    MPI_Send(message, (int)sizeof *message, MPI_BYTE, to, message->kind, MPI_COMM_WORLD);
}

static int poll_message(rf_link *link, rf_message_kind kind, rf_message *message)
{
    const int  tag = kind == RF_MESSAGE_ANY ? MPI_ANY_TAG : (int)kind;
    int        there = 0;
    MPI_Status status;
    (void)link;
    MPI_Iprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &there, &status);
    if (!there) return -1;
    MPI_Recv(message, (int)sizeof *message, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG,
             MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
}

static void close_link(rf_link *link)
{
    (void)link;
    MPI_Finalize();
}

rf_status rf_link_open(rf_link *out, rf_error *err)
{
    int      given = 0;
    MPI_Comm local;
    (void)err;
    *out = (rf_link){.send = send_message, .poll = poll_message, .close = close_link};
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given); /* other threads compute */
    MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &out->size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    MPI_Comm_rank(local, &out->local_rank);
    MPI_Comm_size(local, &out->local_size);
    MPI_Comm_free(&local);
    return RF_OK;
}
