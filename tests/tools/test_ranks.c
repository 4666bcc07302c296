/* What a rank says and does, word by word: the test is the link, and plays the other ranks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sweep/ranks.h"
#include "tools/sweep/ranks_link.h"

enum { LETTERS = 64 };

typedef struct letter {
    int        who;   /* from or to */
    int        after; /* arrives when so many polls have been made */
    rf_message message;
} letter;

/* Of this process's one link. */
static letter in[LETTERS], posted[LETTERS];
static int    arriving, sent, polls, closed, abandoned, link_rank, link_size;
static int    signal_at; /* poll with which a signal comes; 0: none does */

static void send_message(rf_link *link, int to, const rf_message *message)
{
    (void)link;
    cr_assert_lt(sent, LETTERS);
    posted[sent++] = (letter){.who = to, .message = *message};
}

static int poll_message(rf_link *link, rf_message_kind kind, rf_message *message)
{
    (void)link;
    cr_assert_lt(polls++, 100000, "it waits for something that never comes");
    for (int i = 0; i < arriving; i++) {
        if (in[i].after > polls) continue;
        if (kind != RF_MESSAGE_ANY && in[i].message.kind != (int)kind) continue;
        const int who = in[i].who;
        *message = in[i].message;
        memmove(&in[i], &in[i + 1], (size_t)(--arriving - i) * sizeof *in);
        return who;
    }
    return -1;
}

static void close_link(rf_link *link)
{
    (void)link;
    closed++;
}

static void abandon_link(rf_link *link, int code)
{
    (void)link;
    abandoned = code;
}

static int caught(void)
{
    return signal_at && polls >= signal_at ? 130 : 0;
}

rf_status rf_link_open(rf_link *out, rf_error *err)
{
    (void)err;
    *out = (rf_link){.rank = link_rank,
                     .size = link_size,
                     .local_size = 2,
                     .send = send_message,
                     .poll = poll_message,
                     .close = close_link,
                     .abandon = abandon_link};
    return RF_OK;
}

static rf_ranks begin(int rank, int size)
{
    rf_ranks ranks;
    rf_error err = {0};
    char     text[12];
    link_rank = rank;
    link_size = size;
    arriving = sent = polls = closed = abandoned = signal_at = 0;
    snprintf(text, sizeof text, "%d", size);
    setenv("OMPI_COMM_WORLD_SIZE", text, 1);
    cr_assert_eq(rf_ranks_begin(&ranks, &err), RF_OK, "%s", err.message);
    cr_expect(ranks.rank == rank && ranks.size == size);
    ranks.signal = caught;
    return ranks;
}

static rf_message *arrives(int from, rf_message_kind kind, int number, int after)
{
    in[arriving] = (letter){from, after, {.kind = (int)kind, .number = number}};
    return &in[arriving++].message;
}

static void expect_sent(int i, int to, rf_message_kind kind, int number)
{
    cr_assert_gt(sent, i, "message %d was not sent", i);
    cr_expect(posted[i].who == to && posted[i].message.kind == (int)kind &&
                  posted[i].message.number == number,
              "message %d to %d is %d %d", i, posted[i].who, posted[i].message.kind,
              posted[i].message.number);
}

/* What has been written. */
typedef struct written {
    int           count, cell[LETTERS];
    rf_cell_state state[LETTERS];
    char          error[LETTERS][RF_ERROR_BYTES], sha256[LETTERS][65];
    double        seconds[LETTERS];
    int           fails_at; /* cell */
} written;

static rf_status keep(void *user, int cell, const rf_cell_record *record, rf_error *err)
{
    written  *w = user;
    const int i = w->count++;
    cr_assert_lt(i, LETTERS);
    w->cell[i] = cell;
    w->state[i] = record->state;
    w->seconds[i] = record->seconds;
    snprintf(w->error[i], sizeof w->error[i], "%s", record->error ? record->error : "(none)");
    snprintf(w->sha256[i], sizeof w->sha256[i], "%s", record->sha256 ? record->sha256 : "(none)");
    return w->fails_at == cell ? rf_fail(err, RF_E_NO_SPACE, "the disk is full") : RF_OK;
}

/* A record as another rank sends it: that rank told it over a link of its own. */
static rf_message told(int cell, const rf_cell_record *record)
{
    rf_ranks ranks = begin(1, 2);
    rf_error err = {0};
    cr_assert_eq(rf_ranks_tell(&ranks, cell, record, keep, NULL, &err), RF_OK);
    expect_sent(0, 0, RF_MESSAGE_RECORD, cell);
    const rf_message message = posted[0].message;
    arrives(0, RF_MESSAGE_END, 0, 0);
    rf_ranks_end(&ranks);
    return message;
}

Test(ranks, zero_hands_out_and_writes, .timeout = 20)
{
    static written w = {.fails_at = -1};
    const char    *sha = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char           long_error[2 * RF_ERROR_BYTES];
    rf_error       err = {0};
    int            group = -1;
    memset(long_error, 'x', sizeof long_error - 1);
    long_error[sizeof long_error - 1] = '\0';
    const rf_message done = told(40, &(rf_cell_record){RF_CELL_DONE, NULL, sha, 1.5});
    const rf_message failed = told(41, &(rf_cell_record){RF_CELL_FAILED, long_error, NULL, 2});

    rf_ranks ranks = begin(0, 3);
    cr_expect_geq(rf_ranks_threads(&ranks), 1);
    *arrives(2, RF_MESSAGE_RECORD, 0, 0) = done;
    arrives(2, RF_MESSAGE_ASK, 0, 0);
    arrives(1, RF_MESSAGE_ASK, 0, 0);
    cr_expect_eq(rf_ranks_next(&ranks, 4, &group, &err), RF_OK);
    cr_expect_eq(group, 2);
    expect_sent(0, 2, RF_MESSAGE_GROUP, 0);
    expect_sent(1, 1, RF_MESSAGE_GROUP, 1);
    cr_expect_eq(w.count, 0);
    cr_expect_eq(rf_ranks_serve(&ranks, 4, keep, &w, &err), RF_OK);
    cr_assert_eq(w.count, 1);
    cr_expect(w.cell[0] == 40 && w.state[0] == RF_CELL_DONE);
    cr_expect_float_eq(w.seconds[0], 1.5, 0);
    cr_expect_str_eq(w.sha256[0], sha);
    cr_expect_str_eq(w.error[0], "(none)");

    *arrives(1, RF_MESSAGE_RECORD, 0, 0) = failed;
    arrives(1, RF_MESSAGE_ASK, 0, 0);
    arrives(2, RF_MESSAGE_ASK, 0, 0);
    cr_expect_eq(
        rf_ranks_tell(&ranks, 7, &(rf_cell_record){RF_CELL_DONE, NULL, sha, 3}, keep, &w, &err),
        RF_OK);
    cr_assert_eq(w.count, 3);
    cr_expect(w.cell[1] == 7 && w.cell[2] == 41 && w.state[2] == RF_CELL_FAILED);
    cr_expect_eq(strlen(w.error[2]), RF_ERROR_BYTES - 1);
    cr_expect_eq(strspn(w.error[2], "x"), RF_ERROR_BYTES - 1);
    cr_expect_str_eq(w.sha256[2], "(none)");

    /* a record may be slower than the word that its rank leaves */
    arrives(1, RF_MESSAGE_LEAVE, 2, 0);
    arrives(2, RF_MESSAGE_LEAVE, 1, 20);
    *arrives(1, RF_MESSAGE_RECORD, 0, 40) = done;
    cr_expect_eq(rf_ranks_finish(&ranks, 4, keep, &w, &err), RF_OK);
    cr_expect_eq(w.count, 4);
    expect_sent(2, 1, RF_MESSAGE_GROUP, 3);
    expect_sent(3, 2, RF_MESSAGE_GROUP, -1);
    expect_sent(4, 1, RF_MESSAGE_END, 0);
    expect_sent(5, 2, RF_MESSAGE_END, 0);
    cr_expect_eq(closed, 0);
    rf_ranks_end(&ranks);
    cr_expect(closed == 1 && sent == 6 && arriving == 0);
}

Test(ranks, zero_that_gives_up_stops_all, .timeout = 20)
{
    static written   w = {.fails_at = 5};
    rf_error         err = {0};
    const rf_message done = told(5, &(rf_cell_record){.state = RF_CELL_DONE});
    rf_ranks         ranks = begin(0, 3);
    *arrives(1, RF_MESSAGE_RECORD, 0, 0) = done;
    cr_expect_eq(rf_ranks_serve(&ranks, 4, keep, &w, &err), RF_E_NO_SPACE);
    cr_expect_str_eq(err.message, "the disk is full");
    arrives(1, RF_MESSAGE_ASK, 0, 5); /* nobody answers */
    *arrives(2, RF_MESSAGE_RECORD, 0, 5) = done;
    arrives(2, RF_MESSAGE_LEAVE, 1, 10);
    arrives(1, RF_MESSAGE_LEAVE, 1, 30);
    rf_ranks_end(&ranks);
    expect_sent(0, 1, RF_MESSAGE_END, 1);
    expect_sent(1, 2, RF_MESSAGE_END, 1);
    cr_expect(closed == 1 && sent == 2 && arriving == 0 && w.count == 1);
}

/* A good-bye as another rank sends it. */
static rf_message left(int work, const char *why)
{
    rf_ranks ranks = begin(1, 2);
    rf_error err = {0};
    ranks.mine = (rf_ranks_work){.calls_naive = 2 * work, .calls = work, .denoise_s = 0.5 * work};
    rf_ranks_give_up(&ranks, why);
    rf_ranks_give_up(&ranks, "once is enough");
    cr_assert_eq(sent, 1);
    const rf_message message = posted[0].message;
    arrives(0, RF_MESSAGE_END, 0, 0);
    cr_expect_eq(rf_ranks_finish(&ranks, 4, keep, NULL, &err), RF_OK);
    rf_ranks_end(&ranks);
    cr_assert_eq(sent, 1);
    return message;
}

static void note_who(void *user, int rank, const char *why)
{
    char *text = user;
    snprintf(text, 2 * RF_ERROR_BYTES, "%d: %s", rank, why);
}

/* Who gives up is told of at once, while rank 0 works, and why. */
Test(ranks, zero_tells_who_gives_up_when_it_happens, .timeout = 20)
{
    static char      said[2 * RF_ERROR_BYTES], long_reason[2 * RF_ERROR_BYTES];
    rf_error         err = {0};
    static written   w = {.fails_at = -1};
    const rf_message well = left(40, NULL), bad = left(2, "no memory");
    memset(long_reason, 'x', sizeof long_reason - 1);
    const rf_message worse = left(0, long_reason);
    rf_ranks         ranks = begin(0, 4);
    ranks.gave_up = note_who;
    ranks.user = said;
    *arrives(1, RF_MESSAGE_LEAVE, 0, 0) = well;
    cr_expect_eq(rf_ranks_serve(&ranks, 4, keep, &w, &err), RF_OK);
    cr_expect_str_eq(said, "");
    *arrives(3, RF_MESSAGE_LEAVE, 0, 0) = bad;
    cr_expect_eq(rf_ranks_serve(&ranks, 4, keep, &w, &err), RF_OK);
    cr_expect_str_eq(said, "3: no memory");
    *arrives(2, RF_MESSAGE_LEAVE, 0, 0) = worse;
    cr_expect_eq(rf_ranks_finish(&ranks, 4, keep, &w, &err), RF_OK);
    cr_expect_eq(strlen(said), 3 + RF_ERROR_BYTES - 1);
    cr_expect_eq(ranks.others.calls, 42);
    cr_expect_eq(ranks.others.calls_naive, 84);
    cr_expect_float_eq(ranks.others.denoise_s, 21, 0);
    rf_ranks_end(&ranks);
    cr_expect_eq(closed, 1);
}

/* A rank that never answers does not keep rank 0 from hearing a signal, nor from ending. */
Test(ranks, zero_hears_a_signal_while_it_waits, .timeout = 20)
{
    static written w = {.fails_at = -1};
    for (int answered = 0; answered < 2; answered++) {
        rf_error err = {0};
        rf_ranks ranks = begin(0, 3);
        arrives(1, RF_MESSAGE_LEAVE, 0, 0);
        signal_at = 20;
        cr_expect_eq(rf_ranks_finish(&ranks, 4, keep, &w, &err), RF_E_CANCELLED);
        cr_expect_leq(polls, signal_at + 5);
        if (answered) arrives(2, RF_MESSAGE_LEAVE, 0, polls + 30);
        rf_ranks_end(&ranks);
        expect_sent(0, 1, RF_MESSAGE_END, 1);
        expect_sent(1, 2, RF_MESSAGE_END, 1);
        cr_expect_eq(abandoned, answered ? 0 : 130);
        cr_expect_eq(closed, answered);
        cr_expect_leq(polls, 2000, "within a second or so");
    }
    rf_error err = {0}; /* or it gives up, and the signal comes while it waits for the others */
    rf_ranks ranks = begin(0, 2);
    cr_expect_eq(rf_ranks_serve(&ranks, 4, keep, &w, &err), RF_OK);
    signal_at = polls + 20;
    rf_ranks_end(&ranks);
    cr_expect(abandoned == 130 && closed == 0);
}

Test(ranks, others_hear_a_signal_while_they_wait, .timeout = 20)
{
    for (int where = 0; where < 3; where++) {
        rf_error  err = {0};
        int       group = -1;
        char      bytes[10];
        rf_status st = RF_OK;
        rf_ranks  ranks = begin(1, 2);
        signal_at = 20;
        if (where == 0) st = rf_ranks_next(&ranks, 9, &group, &err);
        if (where == 1) st = rf_ranks_share(&ranks, bytes, sizeof bytes, &err);
        if (where == 2) st = rf_ranks_finish(&ranks, 9, keep, NULL, &err);
        cr_expect_eq(st, RF_E_CANCELLED, "%d: %s", where, rf_status_name(st));
        cr_expect_leq(polls, signal_at + 5);
        arrives(0, RF_MESSAGE_END, 0, polls + 50); /* which it awaits all the same */
        rf_ranks_end(&ranks);
        expect_sent(sent - 1, 0, RF_MESSAGE_LEAVE, 0);
        cr_expect(closed == 1 && abandoned == 0 && polls > 60);
    }
}

Test(ranks, others_ask_tell_and_leave, .timeout = 20)
{
    const rf_cell_record record = {.state = RF_CELL_DONE};
    rf_error             err = {0};
    int                  group = -1;
    rf_ranks             ranks = begin(2, 3);
    arrives(0, RF_MESSAGE_GROUP, 11, 30);
    cr_expect_eq(rf_ranks_next(&ranks, 20, &group, &err), RF_OK);
    cr_expect_eq(group, 11);
    expect_sent(0, 0, RF_MESSAGE_ASK, 0);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(rf_ranks_tell(&ranks, i, &record, keep, NULL, &err), RF_OK);
        cr_expect_eq(rf_ranks_serve(&ranks, 20, keep, NULL, &err), RF_OK);
    }
    arrives(0, RF_MESSAGE_GROUP, -1, 0);
    cr_expect_eq(rf_ranks_next(&ranks, 20, &group, &err), RF_OK);
    cr_expect_eq(group, -1);
    arrives(0, RF_MESSAGE_END, 0, polls + 30);
    cr_expect_eq(rf_ranks_finish(&ranks, 20, keep, NULL, &err), RF_OK);
    rf_ranks_end(&ranks);
    expect_sent(5, 0, RF_MESSAGE_LEAVE, 3);
    cr_expect(closed == 1 && sent == 6);
}

Test(ranks, others_that_give_up_say_so_and_wait, .timeout = 20)
{
    const rf_cell_record record = {.state = RF_CELL_DONE};
    rf_error             err = {0};
    rf_ranks             ranks = begin(1, 2);
    cr_expect_eq(rf_ranks_tell(&ranks, 3, &record, keep, NULL, &err), RF_OK);
    arrives(0, RF_MESSAGE_SHARE, 0, 10); /* not for it any more */
    arrives(0, RF_MESSAGE_END, 0, 50);
    rf_ranks_end(&ranks);
    expect_sent(1, 0, RF_MESSAGE_LEAVE, 1);
    cr_expect(closed == 1 && sent == 2 && arriving == 0 && polls >= 50);
}

Test(ranks, others_stop_with_zero_wherever_they_are, .timeout = 20)
{
    for (int where = 0; where < 4; where++) {
        rf_error  err = {0};
        int       group = -1;
        char      bytes[10];
        rf_status st = RF_OK;
        rf_ranks  ranks = begin(1, 2);
        arrives(0, RF_MESSAGE_END, 1, where == 1 ? 0 : 20);
        if (where == 0) st = rf_ranks_next(&ranks, 9, &group, &err);
        if (where == 1) st = rf_ranks_serve(&ranks, 9, keep, NULL, &err);
        if (where == 2) st = rf_ranks_share(&ranks, bytes, sizeof bytes, &err);
        if (where == 3) st = rf_ranks_finish(&ranks, 9, keep, NULL, &err);
        cr_expect_eq(st, RF_E_CANCELLED, "%d: %s", where, rf_status_name(st));
        cr_expect_eq(group, -1);
        cr_expect_eq(rf_ranks_serve(&ranks, 9, keep, NULL, &err), RF_E_CANCELLED); /* and again */
        rf_ranks_end(&ranks);
        expect_sent(sent - 1, 0, RF_MESSAGE_LEAVE, 0);
        cr_expect(closed == 1 && sent == (where == 0 ? 2 : 1));
    }
}

Test(ranks, bytes_are_shared_in_pieces, .timeout = 20)
{
    enum { BYTES = 2 * RF_MESSAGE_BYTES + 17 };
    static char mine[BYTES], theirs[BYTES + 1];
    rf_error    err = {0};
    letter      pieces[3];
    for (int i = 0; i < BYTES; i++) mine[i] = (char)(i * 7 % 251);
    rf_ranks ranks = begin(0, 3);
    cr_expect_eq(rf_ranks_share(&ranks, mine, BYTES, &err), RF_OK);
    cr_assert_eq(sent, 6);
    for (int i = 0; i < 6; i++) cr_expect_eq(posted[i].who, 1 + i % 2);
    for (int i = 0; i < 3; i++) pieces[i] = posted[2 * i];
    cr_expect_eq(rf_ranks_share(&ranks, mine, 0, &err), RF_OK);
    cr_expect_eq(sent, 6);
    for (int r = 1; r < 3; r++) arrives(r, RF_MESSAGE_LEAVE, 0, 0);
    rf_ranks_end(&ranks);

    ranks = begin(1, 3);
    theirs[BYTES] = 77;
    for (int i = 0; i < 3; i++) *arrives(0, RF_MESSAGE_SHARE, 0, 10 * i) = pieces[i].message;
    cr_expect_eq(rf_ranks_share(&ranks, theirs, BYTES, &err), RF_OK);
    cr_expect_eq(memcmp(mine, theirs, BYTES), 0);
    cr_expect_eq(theirs[BYTES], 77);
    arrives(0, RF_MESSAGE_END, 0, 0);
    rf_ranks_end(&ranks);
}

Test(ranks, a_launcher_of_another_mpi_is_noticed, .timeout = 20)
{
    rf_ranks ranks;
    rf_error err = {0};
    setenv("PMI_SIZE", "8", 1);
    link_size = 1;
    cr_expect_eq(rf_ranks_begin(&ranks, &err), RF_E_UNSUPPORTED);
    cr_expect(strstr(err.message, "the MPI of this refinery sees 1"), "%s", err.message);
    cr_expect(ranks.size == 1 && ranks.inside == NULL && closed == 1);
}
