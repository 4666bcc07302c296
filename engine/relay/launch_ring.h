/* What a launch reads besides states, and how far the host may run ahead of the device.
 *
 * A launch's numbers are one block: coefficients and rows of every sum, rows of embeddings, keys
 * and values of every sample, noise.  The host writes all of it before it queues anything of the
 * launch, and one copy takes it to the device: so a graph bakes no prompt and no step.  The device
 * has one such block, for its stream keeps the order; the host has sides in turn, so that it writes
 * the next launch while the device works.  A side is written again once its launch is done: that is
 * the only time in the loop that the host waits.
 *
 * What comes back is a flag per sample, whether its new latent has NaN or infinity.  It is looked
 * at when the side's turn comes again, or when rf_denoise_settle asks (plan.h): on a host device at
 * once, since there launches are done when they are queued. */
#ifndef RF_RELAY_LAUNCH_RING_H
#define RF_RELAY_LAUNCH_RING_H

#include "engine/core/twin.h"
#include "engine/refinery.h"

/* A picture of a plan: of which job, and which one of it. */
typedef struct rf_picture {
    int job, index;
} rf_picture;

enum { RF_NO_GAP = -1 };

enum {
    RF_RING_SIDES = 2, /* a call takes longer than writing one: the device finds its next work */
    RF_RING_TIMES = RF_RING_SIDES + 1, /* and the call before those, for the time between */
};

/* A state that a launch's flag is about: of the run that was its sample, or one forked from it. */
typedef struct rf_ring_mark {
    int        slot, sample, step;
    rf_picture picture;
} rf_ring_mark;

typedef struct rf_ring_side {
    rf_twin       block;
    rf_ring_mark *mark; /* [batch], then those of forks: no launch has more than a batch of them,
                           and the side's turn is back after RF_RING_SIDES launches */
    int       marks;
    int       expert;
    int       queued;    /* nobody has looked at its flags */
    int       time, gap; /* call_gaps.c: of its call, and what lies before it */
    rf_event *done;
} rf_ring_side;

typedef struct rf_ring_time {
    rf_event *start, *end; /* of a call */
} rf_ring_time;

typedef struct rf_launch_ring {
    /* the block: what lies where, and its size */
    size_t kv_at, bad_at, temb_at, lines_at, noise_at, bytes;
    size_t lines_room, lines; /* words of the sums' tables: there is room for, are in use */
    size_t noise;             /* elements in use */
    void  *device;            /* the block */

    rf_ring_side     side[RF_RING_SIDES];
    int              sides, turn; /* turn: the side in hand */
    rf_lincomb_args *sum;         /* [sums_room]: those of the launch, in order */
    int              sums_room, sums;
    int              begun, fed; /* of them: sums that begin runs; and that feed the model */
    rf_ring_time     time[RF_RING_TIMES];
    int              calls; /* that were timed, modulo RF_RING_TIMES */

    /* the first state that went bad in this run; slot -1: none */
    rf_ring_mark bad;
} rf_launch_ring;

/* Sets sizes and places of the block, once all calls are known. */
void   rf_ring_measure(rf_plan *plan);
size_t rf_ring_marks_room(const rf_plan *plan);

/* Events; none on a host device.  close: {0} is fine. */
rf_status rf_ring_open(rf_plan *plan, rf_error *err);
void      rf_ring_close(rf_plan *plan);

/* ---- writing a launch --------------------------------------------------------------------- */

/* Takes the next side in hand, empty; waits for its last launch, and looks at its flags. */
rf_status rf_ring_next(rf_plan *plan, rf_error *err);

/* Where the tables of a sum are written. */
typedef struct rf_sum_lines {
    float   *coef; /* [n, terms] */
    int32_t *xrow; /* [n, terms] */
    int32_t *yrow; /* [n] */
} rf_sum_lines;

/* One more sum of at most n samples: its op, whose tables are those lines on the device.  The rest
 * of it is the caller's to fill in, until it asks for the next one. */
rf_lincomb_args *rf_ring_sum(rf_plan *plan, int n, int terms, rf_sum_lines *lines);

/* The next row of noise, of `elems` elements; its number goes to *row. */
float *rf_ring_noise(rf_plan *plan, size_t elems, int *row);

/* Tables of the UNet, [rows * batch] each. */
int32_t         *rf_ring_temb(const rf_plan *plan);
rf_attention_kv *rf_ring_kv(const rf_plan *plan);

/* On the device: those two, the noise, and the flags [batch]. */
int32_t         *rf_ring_device_temb(const rf_plan *plan);
rf_attention_kv *rf_ring_device_kv(const rf_plan *plan);
float           *rf_ring_device_noise(const rf_plan *plan);
int32_t         *rf_ring_device_bad(const rf_plan *plan);

/* A flag of the launch will be about that state. */
void rf_ring_mark_state(rf_plan *plan, const rf_ring_mark *mark);
/* A fork: what flags still to come say of `from` they say of `to`. */
void rf_ring_fork(rf_plan *plan, int from, int to);

/* ---- doing it ----------------------------------------------------------------------------- */

/* Queues the copy of what is written ... */
rf_status rf_ring_send(rf_plan *plan, rf_error *err);
/* ... sums first .. last-1 ... */
rf_status rf_ring_run(rf_plan *plan, int first, int last, rf_error *err);
/* ... and the flags' way back.  After it nothing of the launch may be queued. */
rf_status rf_ring_end(rf_plan *plan, rf_error *err);

/* The state in that slot has gone bad, unless it had before. */
void rf_ring_fail(rf_plan *plan, const rf_ring_mark *mark, int expert);

/* A run begins, or has come to an end with an error: nothing is to come any more. */
void rf_ring_forget(rf_plan *plan);

#endif
