/* A sweep without pictures, started by mpirun: ranks_probe HOW.  Rank 0 checks what it is told and
 * prints a line at the end.
 *
 *   work   everybody works to the end
 *   leave  rank 1 gives up after the first cell of its first group
 *   stop   rank 0 gives up after its first group
 *   early  rank 0 gives up before anybody works
 *   die    rank 1 kills itself in its first group
 *   signal rank 1 sleeps, rank 0 waits for it and gets SIGALRM */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/sweep/ranks.h"

enum { GROUPS = 20, CELLS_OF_GROUP = 3, CELLS = GROUPS * CELLS_OF_GROUP };

typedef struct story {
    const char *how;
    rf_ranks    ranks;
    int         secret;                  /* rank 0's */
    int         times[CELLS], of[CELLS]; /* how often written, and whose they are */
    int         damaged, groups_of_mine;
} story;

static void text_of(char text[65], int cell, int rank, int secret)
{
    snprintf(text, 65, "%020d%020d%024d", cell, rank, secret);
}

static rf_status keep(void *user, int cell, const rf_cell_record *record, rf_error *err)
{
    story *s = user;
    char   text[65];
    int    rank = -1;
    if (cell < 0 || cell >= CELLS) return rf_fail(err, RF_E_BUG, "there is no cell %d", cell);
    s->times[cell]++;
    const int failed = cell % 7 == 0;
    for (int r = 0; r < s->ranks.size; r++) {
        const char *told = failed ? record->error : record->sha256;
        text_of(text, cell, r, s->secret);
        if (told && strcmp(text, told) == 0) rank = r;
    }
    if (rank < 0 || (record->state == RF_CELL_FAILED) != failed) s->damaged++;
    s->of[cell] = rank;
    return RF_OK;
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int number)
{
    alarmed = 128 + number;
}

static int caught(void)
{
    return alarmed;
}

static void tell_who(void *user, int rank, const char *why)
{
    (void)user;
    fprintf(stderr, "rank %d gave up: %s\n", rank, why);
}

static rf_status make_cell(story *s, int cell, rf_error *err)
{
    rf_status st = RF_OK;
    char      text[65];
    for (int i = 0; i < 5; i++) { /* as the engine reports progress */
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        RF_TRY(rf_ranks_serve(&s->ranks, GROUPS, keep, s, err));
    }
    text_of(text, cell, s->ranks.rank, s->secret);
    const rf_cell_record record = {.state = cell % 7 ? RF_CELL_DONE : RF_CELL_FAILED,
                                   .sha256 = cell % 7 ? text : NULL,
                                   .error = cell % 7 ? NULL : text};
    RF_TRY(rf_ranks_tell(&s->ranks, cell, &record, keep, s, err));
done:
    return st;
}

static rf_status work(story *s, rf_error *err)
{
    rf_status st = RF_OK;
    for (int group;;) {
        RF_TRY(rf_ranks_next(&s->ranks, GROUPS, &group, err));
        if (group < 0 && s->ranks.rank == 0 && strcmp(s->how, "signal") == 0) alarm(1);
        if (group < 0) return rf_ranks_finish(&s->ranks, GROUPS, keep, s, err);
        s->groups_of_mine++;
        for (int i = 0; i < CELLS_OF_GROUP; i++) {
            if (s->ranks.rank == 1 && strcmp(s->how, "die") == 0) raise(SIGKILL);
            if (s->ranks.rank == 1 && strcmp(s->how, "signal") == 0) sleep(60);
            RF_TRY(make_cell(s, group * CELLS_OF_GROUP + i, err));
            if (s->ranks.rank == 1 && strcmp(s->how, "leave") == 0)
                return rf_fail(err, RF_E_DEVICE, "this rank is ordered to leave");
        }
        if (s->ranks.rank == 0 && strcmp(s->how, "stop") == 0)
            return rf_fail(err, RF_E_NO_SPACE, "rank 0 is ordered to stop");
    }
done:
    return st;
}

static void report(const story *s)
{
    int written = 0, doubled = 0, torn = 0, ranks = 0;
    for (int cell = 0; cell < CELLS; cell++) {
        written += s->times[cell] > 0;
        doubled += s->times[cell] > 1;
        torn += s->of[cell] != s->of[cell / CELLS_OF_GROUP * CELLS_OF_GROUP] && s->times[cell];
        ranks |= s->times[cell] ? 1 << s->of[cell] : 0;
    }
    printf("written %d, doubled %d, damaged %d, torn groups %d, ranks %x\n", written, doubled,
           s->damaged, torn, ranks);
}

int main(int argc, char **argv)
{
    story     s = {.how = argc > 1 ? argv[1] : ""};
    rf_error  err = {0};
    rf_status st = rf_ranks_begin(&s.ranks, &err);
    const int rank = s.ranks.rank;
    signal(SIGALRM, on_alarm);
    s.ranks.signal = caught;
    s.ranks.gave_up = tell_who;
    if (st == RF_OK && rank == 0) s.secret = 4711;
    if (st == RF_OK && rank == 0 && strcmp(s.how, "early") == 0)
        st = rf_fail(&err, RF_E_IO, "rank 0 is ordered to stop");
    if (st == RF_OK) st = rf_ranks_share(&s.ranks, &s.secret, sizeof s.secret, &err);
    if (st == RF_OK) st = work(&s, &err);
    if (rank == 0) report(&s);
    fprintf(stderr, "rank %d: %s\n", rank, st == RF_OK ? "well" : err.message);
    if (st != RF_OK) rf_ranks_give_up(&s.ranks, err.message);
    fflush(NULL);
    rf_ranks_end(&s.ranks);
    return 0;
}
