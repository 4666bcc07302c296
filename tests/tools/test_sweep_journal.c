/* The journal of a sweep: what it remembers, and everything that may have happened to its file. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/files/fixture.h"
#include "tools/sweep/claim.h"
#include "tools/sweep/journal.h"

enum { CELLS = 12 };

static const char FINGERPRINT[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char OTHER[] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const char SHA256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char SUMMARY[] = "steps: 20\nprompt: a fox";

static rf_trouble trouble;

static void set_up(void)
{
    fixture_folder(); /* before any fork: one folder for all */
}

TestSuite(sweep_journal, .init = set_up, .fini = fixture_cleanup, .timeout = 60);

static const char *path(void)
{
    return fixture_path("journal.sqlite");
}

static rf_status open_as(rf_journal **j, int resume, int overwrite)
{
    trouble = (rf_trouble){.hint = ""};
    return rf_journal_open(j, path(), FINGERPRINT, SUMMARY, CELLS, resume, overwrite, &trouble);
}

static rf_journal *must_open(int resume, int overwrite)
{
    rf_journal *j = NULL;
    cr_assert_eq(open_as(&j, resume, overwrite), RF_OK, "%s", trouble.error.message);
    return j;
}

static void expect_refused(int resume, int overwrite, rf_status status, const char *said)
{
    rf_journal     *j = NULL;
    const rf_status st = open_as(&j, resume, overwrite);
    cr_expect_eq(st, status, "%d, not %d: %s", st, status, trouble.error.message);
    cr_expect_null(j);
    cr_expect(strstr(trouble.error.message, said), "not '%s' but: %s", said, trouble.error.message);
    rf_journal_close(j);
}

static void write_done(rf_journal *j, int cell)
{
    const rf_cell_record r = {.state = RF_CELL_DONE, .sha256 = SHA256, .seconds = 1.5 + cell};
    rf_error             err;
    cr_assert_eq(rf_journal_write(j, cell, &r, &err), RF_OK, "%s", err.message);
}

static rf_cell_record read_cell(rf_journal *j, int cell)
{
    rf_cell_record r;
    rf_error       err;
    cr_assert_eq(rf_journal_read(j, cell, &r, &err), RF_OK, "%s", err.message);
    return r;
}

/* Runs SQL on the file, as somebody might who should not. */
static void meddle(const char *sql)
{
    sqlite3 *db = NULL;
    char    *why = NULL;
    cr_assert_eq(sqlite3_open(path(), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK, "%s", why);
    sqlite3_close(db);
}

static void make_with(int cells)
{
    rf_journal *j = must_open(0, 0);
    for (int i = 0; i < cells; i++) write_done(j, i);
    rf_journal_close(j);
}

/* ---- what it remembers ---------------------------------------------------------------------- */

Test(sweep_journal, rows_come_back)
{
    rf_journal *j = must_open(0, 0);
    cr_expect_eq(read_cell(j, 0).state, RF_CELL_OPEN);
    write_done(j, 3);
    const rf_cell_record bad = {.state = RF_CELL_FAILED, .error = "it's NaN; \"100%\"\n"};
    cr_assert_eq(rf_journal_write(j, 4, &bad, NULL), RF_OK);
    rf_journal_close(j);
    j = must_open(1, 0);
    const rf_cell_record done = read_cell(j, 3);
    cr_expect_eq(done.state, RF_CELL_DONE);
    cr_expect_str_eq(done.sha256, SHA256);
    cr_expect_null(done.error);
    cr_expect_eq(done.seconds, 4.5);
    const rf_cell_record failed = read_cell(j, 4);
    cr_expect_eq(failed.state, RF_CELL_FAILED);
    cr_expect_str_eq(failed.error, "it's NaN; \"100%\"\n");
    cr_expect_eq(read_cell(j, 5).state, RF_CELL_OPEN);
    write_done(j, 4); /* a later row replaces an earlier one */
    cr_expect_eq(read_cell(j, 4).state, RF_CELL_DONE);
    rf_journal_close(j);
    rf_journal_close(NULL);
}

Test(sweep_journal, rows_that_make_no_sense_are_not_written)
{
    rf_journal          *j = must_open(0, 0);
    rf_error             err;
    const rf_cell_record open = {.state = RF_CELL_OPEN}, bare = {.state = RF_CELL_DONE},
                         silent = {.state = RF_CELL_FAILED},
                         done = {.state = RF_CELL_DONE, .sha256 = SHA256};
    cr_expect_eq(rf_journal_write(j, 0, &open, &err), RF_E_BUG);
    cr_expect_eq(rf_journal_write(j, 0, &bare, &err), RF_E_BUG);
    cr_expect_eq(rf_journal_write(j, 0, &silent, &err), RF_E_BUG);
    cr_expect_eq(rf_journal_write(j, -1, &done, &err), RF_E_BUG);
    cr_expect_eq(rf_journal_write(j, CELLS, &done, &err), RF_E_BUG);
    rf_cell_record r;
    cr_expect_eq(rf_journal_read(j, CELLS, &r, &err), RF_E_BUG);
    rf_journal_close(j);
}

Test(sweep_journal, new_old_and_none)
{
    expect_refused(1, 0, RF_E_NOT_FOUND, "there is no sweep to go on with");
    make_with(2);
    expect_refused(0, 0, RF_E_EXISTS, "exists");
    cr_expect(strstr(trouble.hint, "--resume"));
    rf_journal *j = must_open(0, 1);
    cr_expect_eq(read_cell(j, 0).state, RF_CELL_OPEN, "--overwrite begins again");
    rf_journal_close(j);
}

Test(sweep_journal, every_commit_is_synced)
{
    make_with(1);
    sqlite3      *db = NULL;
    sqlite3_stmt *s = NULL;
    cr_assert_eq(sqlite3_open(path(), &db), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &s, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
    cr_expect_str_eq((const char *)sqlite3_column_text(s, 0), "wal");
    sqlite3_finalize(s);
    sqlite3_close(db);
}

/* A process that writes a row, and another, until it is killed. */
static pid_t start_writer(int first)
{
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0) return pid;
    rf_journal *j = NULL;
    if (open_as(&j, first > 0, 0) != RF_OK) _exit(1);
    for (int i = first; i < CELLS; i++) {
        const rf_cell_record r = {.state = RF_CELL_DONE, .sha256 = SHA256, .seconds = i};
        if (rf_journal_write(j, i, &r, NULL) != RF_OK) _exit(2);
        if (i + 1 == first + 4) raise(SIGKILL);
    }
    _exit(3);
}

Test(sweep_journal, what_was_written_survives_a_kill)
{
    for (int first = 0; first < CELLS; first += 4) {
        int status = 0;
        cr_assert_eq(waitpid(start_writer(first), &status, 0) > 0, 1);
        cr_assert(WIFSIGNALED(status), "the writer ended with %d", WEXITSTATUS(status));
        rf_journal *j = must_open(1, 0);
        for (int i = 0; i < CELLS; i++)
            cr_expect_eq(read_cell(j, i).state, i < first + 4 ? RF_CELL_DONE : RF_CELL_OPEN);
        rf_journal_close(j);
    }
}

Test(sweep_journal, a_second_process_is_told)
{
    rf_journal *j = must_open(0, 0);
    write_done(j, 0);
    const pid_t pid = fork();
    if (pid == 0) {
        rf_journal *other = NULL;
        const int   resumed = open_as(&other, 1, 0) == RF_E_IO &&
                            strstr(trouble.error.message, "another process") != NULL;
        const int overwritten = open_as(&other, 0, 1) == RF_E_IO &&
                                strstr(trouble.error.message, "another process") != NULL;
        _exit(resumed && overwritten ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    cr_expect_eq(status, 0);
    write_done(j, 1);
    rf_journal_close(j);
}

/* ---- another sweep's ------------------------------------------------------------------------- */

Test(sweep_journal, another_sweep_is_refused_with_the_difference)
{
    rf_journal *j = NULL;
    make_with(1);
    trouble = (rf_trouble){.hint = ""};
    cr_expect_eq(
        rf_journal_open(&j, path(), OTHER, "steps: 30\nprompt: a fox", CELLS, 1, 0, &trouble),
        RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "there 'steps: 20', here 'steps: 30'"), "%s",
              trouble.error.message);
    cr_expect_eq(rf_journal_open(&j, path(), OTHER, SUMMARY, CELLS, 1, 0, &trouble), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "settings differ"), "%s", trouble.error.message);
    cr_expect_eq(rf_journal_open(&j, path(), OTHER, "steps: 20", CELLS, 1, 0, &trouble), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "there 'prompt: a fox', here ''"), "%s",
              trouble.error.message);
    cr_expect_eq(rf_journal_open(&j, path(), FINGERPRINT, SUMMARY, CELLS + 1, 1, 0, &trouble),
                 RF_E_FORMAT);
    cr_expect(strstr(trouble.error.message, "12 cells, the sweep has 13"));
    cr_expect_null(j);
}

/* Whoever looks takes no lock, and the lock does not keep him from it. */
Test(sweep_journal, what_it_is_of_is_seen_while_it_is_written)
{
    rf_journal *j = must_open(0, 0);
    rf_error    err = {0};
    for (int i = 0; i < CELLS; i++) write_done(j, i);
    const pid_t pid = fork(); /* locks are a process's */
    if (pid == 0) {
        rf_trouble t = {.hint = ""};
        const int  same = rf_journal_compare(path(), FINGERPRINT, SUMMARY, &t) == RF_OK;
        const int  another = rf_journal_compare(path(), OTHER, "steps: 7", &t) == RF_E_ARG &&
                            strstr(t.error.message, "there 'steps: 20', here 'steps: 7'");
        const int in_use = rf_journal_check_idle(path(), &t.error) == RF_E_IO &&
                           rf_journal_remove(path(), &t.error) == RF_E_IO;
        _exit(same && another && in_use ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    cr_expect_eq(status, 0);
    write_done(j, 1);
    rf_journal_close(j);
    cr_expect_eq(rf_journal_check_idle(path(), &err), RF_OK);
    cr_expect_eq(rf_journal_remove(path(), &err), RF_OK);
    cr_expect_neq(access(path(), F_OK), 0);
    cr_expect_eq(rf_journal_check_idle(path(), &err), RF_OK);
    fixture_raw(path(), "SQLite format 4", 15);
    cr_expect_eq(rf_journal_remove(path(), &err), RF_E_EXISTS);
    cr_expect_eq(rf_journal_compare(path(), FINGERPRINT, SUMMARY, &trouble), RF_E_FORMAT);
}

/* ---- whose folder it is ----------------------------------------------------------------------
 */

static rf_identity ours(const char *fingerprint, const char *summary)
{
    static char text[400];
    rf_identity id = {.summary = text};
    snprintf(text, sizeof text, "%s", summary);
    snprintf(id.fingerprint, sizeof id.fingerprint, "%s", fingerprint);
    return id;
}

static rf_status compare(const char *fingerprint, const char *summary, int *there)
{
    const rf_identity id = ours(fingerprint, summary);
    trouble = (rf_trouble){.hint = ""};
    return rf_claim_compare(fixture_folder(), &id, there, &trouble);
}

static rf_status make(const char *fingerprint, const char *summary, int replace)
{
    const rf_identity id = ours(fingerprint, summary);
    trouble = (rf_trouble){.hint = ""};
    return rf_claim_make(fixture_folder(), &id, replace, &trouble);
}

Test(sweep_journal, a_folder_is_of_one_sweep)
{
    int there = 1;
    cr_expect_eq(compare(FINGERPRINT, SUMMARY, &there), RF_OK);
    cr_expect_eq(there, 0);
    cr_expect_eq(make(FINGERPRINT, SUMMARY, 0), RF_OK, "%s", trouble.error.message);
    cr_expect_eq(make(FINGERPRINT, SUMMARY, 0), RF_OK, "a second one is of the same sweep");
    cr_expect_eq(compare(FINGERPRINT, "", &there), RF_OK, "the fingerprint decides");
    cr_expect_eq(there, 1);
    cr_expect_eq(make(OTHER, "steps: 20", 0), RF_E_ARG);
    cr_expect(strstr(trouble.error.message, "there 'prompt: a fox', here ''"));
    cr_expect_eq(make(OTHER, "steps: 20", 1), RF_OK);
    cr_expect_eq(compare(OTHER, "steps: 20", &there), RF_OK);
    cr_expect_eq(compare(FINGERPRINT, SUMMARY, &there), RF_E_ARG);
}

/* What it says is never read beyond its end, and never taken for something else. */
Test(sweep_journal, identities_that_were_cut_or_changed)
{
    char        text[200];
    const char *claim = fixture_path(RF_CLAIM_NAME);
    int         there = 0;
    const int   n = snprintf(text, sizeof text, "refinery sweep 1\n%s\n%s", FINGERPRINT, SUMMARY);
    for (int length = 0; length <= n; length++) {
        fixture_raw(claim, text, (size_t)length);
        const rf_status st = compare(FINGERPRINT, SUMMARY, &there);
        cr_expect_eq(st,
                     length < 17        ? RF_E_EXISTS
                     : length < 17 + 65 ? RF_E_FORMAT
                                        : RF_OK,
                     "%d bytes: %s", length, trouble.error.message);
        cr_expect_eq(there, 1);
    }
    text[20] = 'g';
    fixture_raw(claim, text, (size_t)n);
    cr_expect_eq(compare(FINGERPRINT, SUMMARY, &there), RF_E_FORMAT);
    text[20] = '7';
    fixture_raw(claim, text, (size_t)n);
    cr_expect_eq(compare(FINGERPRINT, SUMMARY, &there), RF_E_ARG);
    cr_assert_eq(unlink(claim), 0);
    cr_assert_eq(mkdir(claim, 0700), 0);
    cr_expect_eq(compare(FINGERPRINT, SUMMARY, &there), RF_E_IO);
    cr_expect_eq(make(FINGERPRINT, SUMMARY, 1), RF_E_CREATE);
    cr_assert_eq(rmdir(claim), 0);
}

/* Many at once, of two sweeps: all agree whose folder it is. */
Test(sweep_journal, identities_that_are_made_together)
{
    enum { MAKERS = 16 };
    pid_t pid[MAKERS];
    int   gate[2], won[2] = {0, 0}, there = 0;
    char  byte;
    cr_assert_eq(pipe(gate), 0);
    for (int i = 0; i < MAKERS; i++) {
        pid[i] = fork();
        if (pid[i]) continue;
        close(gate[1]);
        while (read(gate[0], &byte, 1) > 0) continue; /* until all may start */
        const rf_status st = make(i % 2 ? OTHER : FINGERPRINT, i % 2 ? "steps: 7" : SUMMARY, 0);
        _exit(st == RF_OK ? 0 : st == RF_E_ARG ? 1 : 2);
    }
    close(gate[1]);
    for (int i = 0; i < MAKERS; i++) {
        int status = 0;
        waitpid(pid[i], &status, 0);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        won[i % 2] += WEXITSTATUS(status) == 0;
    }
    close(gate[0]);
    cr_expect(won[0] + won[1] == MAKERS / 2 && (won[0] == 0 || won[1] == 0), "%d and %d", won[0],
              won[1]);
    cr_expect_eq(compare(won[0] ? FINGERPRINT : OTHER, "", &there), RF_OK);
}

/* ---- damage -----------------------------------------------------------------------------------
 */

Test(sweep_journal, truncated_anywhere_it_is_damaged_or_whole)
{
    struct stat info;
    make_with(CELLS);
    cr_assert_eq(stat(path(), &info), 0);
    for (off_t keep = info.st_size - 1; keep >= 0; keep -= 997) {
        rf_journal *j = NULL;
        cr_assert_eq(truncate(path(), keep), 0);
        const rf_status st = open_as(&j, 1, 0);
        cr_expect_eq(st, RF_E_FORMAT, "%lld bytes: %d, %s", (long long)keep, st,
                     trouble.error.message);
        rf_journal_close(j);
    }
}

/* Whatever byte is wrong: a row is as it was written, or not done, or refused. */
Test(sweep_journal, bytes_that_were_changed_never_lie)
{
    struct stat info;
    int         refused = 0;
    make_with(CELLS);
    cr_assert_eq(stat(path(), &info), 0);
    for (off_t at = 16; at < info.st_size; at += 53) {
        rf_journal   *j = NULL;
        unsigned char byte = 0;
        const int     fd = open(path(), O_RDWR);
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        const unsigned char other = (unsigned char)~byte;
        cr_assert_eq(pwrite(fd, &other, 1, at), 1);
        if (open_as(&j, 1, 0) != RF_OK) refused++;
        for (int i = 0; j && i < CELLS; i++) {
            rf_cell_record  r;
            rf_error        err;
            const rf_status st = rf_journal_read(j, i, &r, &err);
            if (st != RF_OK) refused++;
            if (st != RF_OK || r.state == RF_CELL_OPEN) continue;
            cr_expect(r.state == RF_CELL_DONE && strcmp(r.sha256, SHA256) == 0 && r.seconds > 1.4,
                      "byte %lld", (long long)at);
        }
        rf_journal_close(j);
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        close(fd);
    }
    cr_expect_gt(refused, 5);
}

Test(sweep_journal, other_files_are_no_journals)
{
    static const char diary[] = "my diary, which nobody may delete, and which is longer than a "
                                "header: la la la la la la la la la la la la";
    fixture_raw(path(), "", 0);
    expect_refused(1, 0, RF_E_FORMAT, "not the journal");
    expect_refused(0, 1, RF_E_EXISTS, "not the journal");
    fixture_raw(path(), diary, sizeof diary - 1);
    expect_refused(1, 0, RF_E_FORMAT, "damaged");
    expect_refused(0, 1, RF_E_EXISTS, "not the journal");
    unlink(path());
    meddle("CREATE TABLE mine (x)");
    expect_refused(1, 0, RF_E_FORMAT, "not the journal");
    expect_refused(0, 1, RF_E_EXISTS, "not the journal");
    unlink(path());
    cr_assert_eq(mkdir(path(), 0700), 0);
    expect_refused(1, 0, RF_E_EXISTS, "not a file");
    expect_refused(0, 1, RF_E_EXISTS, "not a file");
}

Test(sweep_journal, other_formats_and_contents_are_named)
{
    make_with(2);
    meddle("PRAGMA user_version=2");
    expect_refused(1, 0, RF_E_FORMAT, "format 2; this version knows 1");
    meddle("PRAGMA user_version=1; INSERT INTO cell VALUES (99, 1, NULL, 'x', 0, 'y')");
    expect_refused(1, 0, RF_E_FORMAT, "cells that do not exist");
    meddle("DELETE FROM cell WHERE cell=99; DELETE FROM meta WHERE key='summary'");
    expect_refused(1, 0, RF_E_FORMAT, "an entry is missing");
    meddle("DROP TABLE meta");
    expect_refused(1, 0, RF_E_IO, "meta");
}

Test(sweep_journal, rows_that_make_no_sense_are_damage)
{
    static const char *const CHANGES[] = {"UPDATE cell SET state=7 WHERE cell=0",
                                          "UPDATE cell SET sha256=NULL WHERE cell=0",
                                          "UPDATE cell SET sha256='abc' WHERE cell=0",
                                          "UPDATE cell SET state=2, error='e' WHERE cell=0",
                                          "UPDATE cell SET seconds=9 WHERE cell=0"};
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        rf_cell_record r;
        rf_error       err;
        rf_journal    *j = must_open(0, i > 0);
        write_done(j, 0);
        rf_journal_close(j);
        meddle(CHANGES[i]);
        j = must_open(1, 0);
        cr_expect_eq(rf_journal_read(j, 0, &r, &err), RF_E_FORMAT, "%s", CHANGES[i]);
        cr_expect_eq(r.state, RF_CELL_OPEN);
        rf_journal_close(j);
    }
}

/* ---- disks ------------------------------------------------------------------------------------
 */

Test(sweep_journal, a_folder_that_cannot_be_written)
{
    if (geteuid() == 0) {
        cr_assert_eq(chmod(fixture_folder(), 0755), 0);
        cr_assert_eq(seteuid(65534), 0); /* root may write anywhere */
    } else {
        cr_assert_eq(chmod(fixture_folder(), 0555), 0);
    }
    expect_refused(0, 0, RF_E_PERMISSION, "journal.sqlite");
    cr_expect_eq(make(FINGERPRINT, SUMMARY, 0), RF_E_PERMISSION, "%s", trouble.error.message);
    cr_expect(strstr(trouble.error.message, "sweep.identity"));
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
    else
        chmod(fixture_folder(), 0755);
}

/* No room for more than a few pages: an error, and what was told before is still there. */
Test(sweep_journal, a_disk_that_is_full)
{
    make_with(2);
    signal(SIGXFSZ, SIG_IGN);
    rf_journal          *j = must_open(1, 0);
    const rlim_t         room = 20000;
    const struct rlimit  narrow = {room, RLIM_INFINITY}, wide = {RLIM_INFINITY, RLIM_INFINITY};
    const rf_cell_record r = {.state = RF_CELL_DONE, .sha256 = SHA256};
    rf_status            st = RF_OK;
    rf_error             err;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &narrow), 0);
    int written = 2;
    while (written < CELLS && (st = rf_journal_write(j, written, &r, &err)) == RF_OK) written++;
    cr_expect(st == RF_E_IO || st == RF_E_NO_SPACE, "%d after %d rows", st, written);
    rf_journal_close(j);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &wide), 0);
    j = must_open(1, 0);
    for (int i = 0; i < written; i++) cr_expect_eq(read_cell(j, i).state, RF_CELL_DONE);
    rf_journal_close(j);
}

/* Of an identity that has no room nothing is there, and one that stands stays as it is. */
Test(sweep_journal, a_disk_that_is_full_for_the_identity)
{
    const struct rlimit narrow = {60, RLIM_INFINITY}, wide = {RLIM_INFINITY, RLIM_INFINITY};
    int                 there = 1;
    signal(SIGXFSZ, SIG_IGN);
    for (int replace = 0; replace < 2; replace++) {
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &narrow), 0);
        cr_expect_eq(make(FINGERPRINT, SUMMARY, replace), RF_E_NO_SPACE, "%s",
                     trouble.error.message);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &wide), 0);
        cr_expect_eq(compare(OTHER, SUMMARY, &there), RF_OK);
        cr_expect_eq(there, replace);
        cr_assert_eq(make(OTHER, SUMMARY, 1), RF_OK);
    }
}

Test(sweep_journal, no_folder_no_journal)
{
    rf_journal *j = NULL;
    const char *nowhere = fixture_path("nowhere/journal.sqlite");
    trouble = (rf_trouble){.hint = ""};
    cr_expect_neq(rf_journal_open(&j, nowhere, FINGERPRINT, SUMMARY, CELLS, 0, 0, &trouble), RF_OK);
    cr_expect_null(j);
}
