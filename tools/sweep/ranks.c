/* Who does what, over a link (ranks_link.h); see ranks.h.
 *
 * Rank 0 never waits for anybody while it has work, and the others wait with short sleeps: MPI's
 * own waiting keeps a core busy, which may be one that computes. */
#include "tools/sweep/ranks.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/sweep/launcher.h"
#include "tools/sweep/ranks_link.h"

typedef struct ranks_inside {
    rf_link link;
    int     left, promised, arrived; /* rank 0: who left, and records */
    int     told;                    /* records of this rank's, if it is not 0 */
    int     said_leave, ended;       /* this rank's LEAVE was sent; END came, or was sent */
    int     gave_up;                 /* rank 0, as END told */
} ranks_inside;

/* A record inside of a message. */
typedef struct packed_record {
    double seconds;
    int    state, has_error, has_sha256;
    char   error[RF_ERROR_BYTES], sha256[65];
} packed_record;

/* How a rank fared, inside of a LEAVE. */
typedef struct packed_leave {
    rf_ranks_work work;
    char          why[RF_ERROR_BYTES]; /* it gives up; "": it is done */
} packed_leave;

_Static_assert(sizeof(packed_record) <= RF_MESSAGE_BYTES, "a record is one message");
_Static_assert(sizeof(packed_leave) <= RF_MESSAGE_BYTES, "and so is a good-bye");

/* With a signal behind it, rank 0 waits no longer for others to stop of themselves: what they have
 * finished is told, and what they have not is made again.  mpirun kills after a second. */
enum { PATIENCE_MS = 500 };

/* ---- messages ----------------------------------------------------------------------------- */

static void say(ranks_inside *in, int to, rf_message_kind kind, int number)
{
    const rf_message m = {.kind = (int)kind, .number = number};
    in->link.send(&in->link, to, &m);
}

static void say_to_all(ranks_inside *in, rf_message_kind kind, int number)
{
    for (int r = 1; r < in->link.size; r++) say(in, r, kind, number);
}

/* The sender, or -1: nothing of that kind is there. */
static int take(ranks_inside *in, rf_message_kind kind, rf_message *m)
{
    return in->link.poll(&in->link, kind, m);
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* nothing against a call */
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int signalled(const rf_ranks *ranks)
{
    return ranks->signal ? ranks->signal() : 0;
}

static rf_status interrupted(rf_error *err)
{
    return rf_fail(err, RF_E_CANCELLED, "interrupted while it waited for other ranks");
}

static void copy_text(char *out, size_t room, int *has, const char *text)
{
    *has = text != NULL;
    if (!text) return;
    const size_t length = strnlen(text, room - 1);
    memcpy(out, text, length);
}

static void pack(rf_message *m, int cell, const rf_cell_record *record)
{
    packed_record p;
    memset(&p, 0, sizeof p);
    p.seconds = record->seconds;
    p.state = (int)record->state;
    copy_text(p.error, sizeof p.error, &p.has_error, record->error);
    copy_text(p.sha256, sizeof p.sha256, &p.has_sha256, record->sha256);
    *m = (rf_message){.kind = RF_MESSAGE_RECORD, .number = cell};
    memcpy(m->bytes, &p, sizeof p);
}

static rf_status unpack_and_write(const rf_message *m, rf_ranks_write_fn *write, void *user,
                                  rf_error *err)
{
    packed_record p;
    memcpy(&p, m->bytes, sizeof p);
    const rf_cell_record record = {.state = (rf_cell_state)p.state,
                                   .error = p.has_error ? p.error : NULL,
                                   .sha256 = p.has_sha256 ? p.sha256 : NULL,
                                   .seconds = p.seconds};
    return write(user, m->number, &record, err);
}

/* ---- rank 0 ------------------------------------------------------------------------------- */

static int give_group(rf_ranks *ranks, int groups)
{
    return ranks->given < groups ? ranks->given++ : -1;
}

static void hear_leave(rf_ranks *ranks, int from, const rf_message *m)
{
    ranks_inside  *in = ranks->inside;
    rf_ranks_work *sum = &ranks->others;
    packed_leave   p;
    memcpy(&p, m->bytes, sizeof p);
    in->left++;
    in->promised += m->number;
    sum->calls_naive += p.work.calls_naive;
    sum->calls += p.work.calls;
    sum->launches += p.work.launches;
    sum->load_s += p.work.load_s;
    sum->encode_s += p.work.encode_s;
    sum->denoise_s += p.work.denoise_s;
    sum->decode_s += p.work.decode_s;
    sum->write_s += p.work.write_s;
    if (*p.why && ranks->gave_up) ranks->gave_up(ranks->user, from, p.why);
}

static void answer(rf_ranks *ranks, int groups)
{
    ranks_inside *in = ranks->inside;
    rf_message    m;
    if (!in) return;
    for (int from; (from = take(in, RF_MESSAGE_ASK, &m)) >= 0;)
        say(in, from, RF_MESSAGE_GROUP, give_group(ranks, groups));
    for (int from; (from = take(in, RF_MESSAGE_LEAVE, &m)) >= 0;) hear_leave(ranks, from, &m);
}

static rf_status collect(ranks_inside *in, rf_ranks_write_fn *write, void *user, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_message m;
    while (in && take(in, RF_MESSAGE_RECORD, &m) >= 0) {
        in->arrived++;
        RF_TRY(unpack_and_write(&m, write, user, err));
    }
done:
    return st;
}

static rf_status finish_zero(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                             rf_error *err)
{
    rf_status     st = RF_OK;
    ranks_inside *in = ranks->inside;
    for (;;) {
        answer(ranks, groups);
        RF_TRY(collect(in, write, user, err));
        if (in->left == ranks->size - 1 && in->arrived == in->promised) break;
        if (signalled(ranks)) return interrupted(err);
        rest();
    }
    say_to_all(in, RF_MESSAGE_END, 0);
    in->ended = 1;
done:
    return st;
}

/* Everybody stops.  Whoever asks or tells until then is not heard.  0: not all have left. */
static int stop_all(const rf_ranks *ranks)
{
    ranks_inside *in = ranks->inside;
    rf_message    m;
    int64_t       until = 0;
    in->ended = 1;
    say_to_all(in, RF_MESSAGE_END, 1);
    for (;;) {
        while (take(in, RF_MESSAGE_ANY, &m) >= 0) in->left += m.kind == RF_MESSAGE_LEAVE;
        if (in->left == in->link.size - 1) return 1;
        if (!until && signalled(ranks)) until = now_ms() + PATIENCE_MS;
        if (until && now_ms() >= until) return 0;
        rest();
    }
}

/* ---- the others --------------------------------------------------------------------------- */

/* RF_E_CANCELLED if rank 0 gave up. */
static rf_status look_for_end(ranks_inside *in, rf_error *err)
{
    rf_message m;
    if (!in->ended && take(in, RF_MESSAGE_END, &m) >= 0) {
        in->ended = 1;
        in->gave_up = m.number;
    }
    if (!in->gave_up) return RF_OK;
    return rf_fail(err, RF_E_CANCELLED, "rank 0 has stopped, and so does this one");
}

static rf_status wait_for(const rf_ranks *ranks, rf_message_kind kind, rf_message *m, rf_error *err)
{
    ranks_inside *in = ranks->inside;
    while (take(in, kind, m) < 0) {
        const rf_status st = look_for_end(in, err);
        if (st != RF_OK) return st;
        if (signalled(ranks)) return interrupted(err);
        rest();
    }
    return RF_OK;
}

static void leave(const rf_ranks *ranks, const char *why)
{
    ranks_inside *in = ranks->inside;
    packed_leave  p;
    int           given = 0;
    if (in->said_leave) return;
    in->said_leave = 1;
    memset(&p, 0, sizeof p);
    p.work = ranks->mine;
    copy_text(p.why, sizeof p.why, &given, why);
    rf_message m = {.kind = RF_MESSAGE_LEAVE, .number = in->told};
    memcpy(m.bytes, &p, sizeof p);
    in->link.send(&in->link, 0, &m);
}

static rf_status finish_others(const rf_ranks *ranks, rf_error *err)
{
    ranks_inside *in = ranks->inside;
    leave(ranks, NULL);
    for (;;) {
        const rf_status st = look_for_end(in, err);
        if (st != RF_OK || in->ended) return st;
        if (signalled(ranks)) return interrupted(err);
        rest();
    }
}

/* Whatever else is on its way is not for this rank any more.  A signal changes nothing: to go
 * without the others would end them too, who may have got none; rank 0, if it has, ends all. */
static void wait_for_end(const rf_ranks *ranks)
{
    ranks_inside *in = ranks->inside;
    rf_message    m;
    leave(ranks, in->ended ? NULL : "it does not say why");
    while (!in->ended) {
        while (take(in, RF_MESSAGE_ANY, &m) >= 0) in->ended |= m.kind == RF_MESSAGE_END;
        if (!in->ended) rest();
    }
}

/* ---- ranks.h ------------------------------------------------------------------------------ */

static rf_status join(const rf_launcher *launcher, rf_link *link, rf_error *err)
{
    if (!launcher->meet)
        return rf_fail(err, RF_E_UNSUPPORTED,
                       "%s started %d processes without telling them how to meet: use "
                       "srun --mpi=pmix, or give each process a --shard",
                       launcher->name, launcher->size);
    const rf_status st = rf_link_open(link, err);
    if (st != RF_OK || link->size == launcher->size) return st;
    link->close(link);
    return rf_fail(err, RF_E_UNSUPPORTED,
                   "%s started %d processes, but the MPI of this refinery sees %d: use Open MPI's "
                   "mpirun, or srun --mpi=pmix, or give each process a --shard",
                   launcher->name, launcher->size, link->size);
}

rf_status rf_ranks_begin(rf_ranks *ranks, rf_error *err)
{
    const rf_launcher launcher = rf_launcher_find();
    *ranks = (rf_ranks){.size = 1, .local_size = 1};
    if (launcher.size == 1) return RF_OK;
    ranks_inside *in = calloc(1, sizeof *in);
    if (!in) return rf_fail(err, RF_E_NOMEM, "ranks: out of memory");
    const rf_status st = join(&launcher, &in->link, err);
    if (st != RF_OK) {
        free(in);
        return st;
    }
    *ranks = (rf_ranks){.rank = in->link.rank,
                        .size = in->link.size,
                        .local_rank = in->link.local_rank,
                        .local_size = in->link.local_size,
                        .inside = in};
    return RF_OK;
}

void rf_ranks_give_up(rf_ranks *ranks, const char *why)
{
    if (ranks->inside && ranks->rank) leave(ranks, why);
}

void rf_ranks_end(rf_ranks *ranks)
{
    ranks_inside *in = ranks->inside;
    int           together = 1;
    if (in && ranks->rank)
        wait_for_end(ranks);
    else if (in && !in->ended)
        together = stop_all(ranks);
    if (in && together) in->link.close(&in->link);
    if (in && !together) in->link.abandon(&in->link, signalled(ranks));
    free(in);
    *ranks = (rf_ranks){.size = 1, .local_size = 1};
}

/* Launchers bind ranks to cores or not; the mask of an unbound one has all of them. */
int rf_ranks_threads(const rf_ranks *ranks)
{
    cpu_set_t  mask;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (ranks->local_size <= 1 || cores < 1) return 0;
    int threads = (int)(cores / ranks->local_size);
    if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) < threads)
        threads = CPU_COUNT(&mask);
    return threads ? threads : 1;
}

rf_status rf_ranks_share(rf_ranks *ranks, void *bytes, size_t count, rf_error *err)
{
    rf_status     st = RF_OK;
    ranks_inside *in = ranks->inside;
    char         *at = bytes;
    for (size_t size; in && count; at += size, count -= size) {
        rf_message m = {.kind = RF_MESSAGE_SHARE};
        size = count < sizeof m.bytes ? count : sizeof m.bytes;
        if (ranks->rank) {
            RF_TRY(wait_for(ranks, RF_MESSAGE_SHARE, &m, err));
            memcpy(at, m.bytes, size);
        } else {
            memcpy(m.bytes, at, size);
            for (int r = 1; r < ranks->size; r++) in->link.send(&in->link, r, &m);
        }
    }
done:
    return st;
}

rf_status rf_ranks_next(rf_ranks *ranks, int groups, int *group, rf_error *err)
{
    ranks_inside *in = ranks->inside;
    rf_message    m;
    *group = -1;
    if (!ranks->rank) {
        answer(ranks, groups);
        *group = give_group(ranks, groups);
        return RF_OK;
    }
    say(in, 0, RF_MESSAGE_ASK, 0);
    const rf_status st = wait_for(ranks, RF_MESSAGE_GROUP, &m, err);
    if (st == RF_OK) *group = m.number;
    return st;
}

rf_status rf_ranks_tell(rf_ranks *ranks, int cell, const rf_cell_record *record,
                        rf_ranks_write_fn *write, void *user, rf_error *err)
{
    rf_status     st = RF_OK;
    ranks_inside *in = ranks->inside;
    rf_message    m;
    if (ranks->rank) {
        pack(&m, cell, record);
        in->link.send(&in->link, 0, &m);
        in->told++;
        return RF_OK;
    }
    RF_TRY(write(user, cell, record, err));
    RF_TRY(collect(in, write, user, err));
done:
    return st;
}

rf_status rf_ranks_serve(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                         rf_error *err)
{
    ranks_inside *in = ranks->inside;
    if (ranks->rank) return look_for_end(in, err);
    answer(ranks, groups);
    return collect(in, write, user, err);
}

rf_status rf_ranks_finish(rf_ranks *ranks, int groups, rf_ranks_write_fn *write, void *user,
                          rf_error *err)
{
    ranks_inside *in = ranks->inside;
    if (!in) return RF_OK;
    return ranks->rank ? finish_others(ranks, err) : finish_zero(ranks, groups, write, user, err);
}
