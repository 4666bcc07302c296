/* The journal of a sweep; see journal.h.
 *
 * It comes into being whole: made under another name, committed, synced, renamed.  So a journal
 * that stands there is complete, whatever moment a kill chose, and anything else is damage.  One
 * connection holds it exclusively, which also spares WAL its shared memory: network folders work.
 */
#include "tools/sweep/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "engine/files/os_error.h"
#include "engine/refinery.h"
#include "tools/sweep/claim.h"

enum {
    APPLICATION = 0x52665377, /* "RfSw": whose file this is, in SQLite's header */
    FORMAT = 1,
    PATIENCE_MS = 1000, /* a process that was just killed may still hold the lock for a moment */
    SHA256_DIGITS = 64,
};

struct rf_journal {
    sqlite3      *db;
    sqlite3_stmt *read, *write;
    int           cells;
    char          path[PATH_MAX];
};

/* What a new journal is filled with, or an old one must agree with. */
typedef struct identity {
    const char *fingerprint, *summary;
    int         cells;
} identity;

/* ---- errors -------------------------------------------------------------------------------- */

static rf_status status_of(int code, int os)
{
    switch (code & 0xFF) {
    case SQLITE_NOMEM: return RF_E_NOMEM;
    case SQLITE_FULL: return RF_E_NO_SPACE;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return RF_E_FORMAT;
    case SQLITE_PERM:
    case SQLITE_READONLY: return RF_E_PERMISSION;
    default: return os ? rf_write_status(os) : RF_E_IO;
    }
}

static rf_status in_use(const char *path, rf_error *err)
{
    return rf_fail(err, RF_E_IO, "%s is in use: another process is at work on this sweep", path);
}

/* The sentence for whatever SQLite said last. */
static rf_status failed(const rf_journal *j, rf_error *err)
{
    const int       code = sqlite3_errcode(j->db), os = sqlite3_system_errno(j->db);
    const rf_status st = status_of(code, os);
    if ((code & 0xFF) == SQLITE_BUSY) return in_use(j->path, err);
    if (st == RF_E_FORMAT)
        return rf_fail(err, st, "%s is damaged: %s", j->path, sqlite3_errmsg(j->db));
    return rf_fail(err, st, "%s: %s%s%s", j->path, sqlite3_errmsg(j->db), os ? ": " : "",
                   os ? rf_errno_text(os) : "");
}

static rf_status run(rf_journal *j, const char *sql, rf_error *err)
{
    return sqlite3_exec(j->db, sql, NULL, NULL, NULL) == SQLITE_OK ? RF_OK : failed(j, err);
}

static rf_status prepare(rf_journal *j, sqlite3_stmt **out, const char *sql, rf_error *err)
{
    return sqlite3_prepare_v2(j->db, sql, -1, out, NULL) == SQLITE_OK ? RF_OK : failed(j, err);
}

static rf_status connect(rf_journal *j, const char *path, int create, rf_error *err)
{
    rf_status st = RF_OK;
    char      name[PATH_MAX + 2];
    const int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    /* SQLite takes "file:..." for a URI, if it was built so: "./file:..." is a path. */
    snprintf(name, sizeof name, "%s%s", *path == '/' ? "" : "./", path);
    if (sqlite3_open_v2(name, &j->db, flags, NULL) != SQLITE_OK) {
        if (!j->db) return rf_fail(err, RF_E_NOMEM, "%s: no memory to open it", path);
        return failed(j, err);
    }
    sqlite3_busy_timeout(j->db, PATIENCE_MS);
    RF_TRY(run(j, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL", err));
done:
    return st;
}

static void disconnect(rf_journal *j)
{
    sqlite3_finalize(j->read);
    sqlite3_finalize(j->write);
    sqlite3_close(j->db);
    j->read = j->write = NULL;
    j->db = NULL;
}

/* ---- reading one value ---------------------------------------------------------------------- */

/* The only column of the only row of `sql`, as text to be free()d. */
static rf_status ask(rf_journal *j, const char *sql, char **out, rf_error *err)
{
    rf_status     st = RF_OK;
    sqlite3_stmt *s = NULL;
    *out = NULL;
    RF_TRY(prepare(j, &s, sql, err));
    const int code = sqlite3_step(s);
    if (code == SQLITE_DONE) {
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: an entry is missing", j->path);
        goto done;
    }
    if (code != SQLITE_ROW) {
        st = failed(j, err);
        goto done;
    }
    const char *text = (const char *)sqlite3_column_text(s, 0);
    *out = strdup(text ? text : "");
    if (!*out) st = rf_fail(err, RF_E_NOMEM, "%s: no memory to read it", j->path);
done:
    sqlite3_finalize(s);
    return st;
}

static rf_status ask_number(rf_journal *j, const char *sql, long *out, rf_error *err)
{
    char           *text = NULL;
    const rf_status st = ask(j, sql, &text, err);
    *out = text ? strtol(text, NULL, 10) : 0;
    free(text);
    return st;
}

/* ---- making one ----------------------------------------------------------------------------- */

static rf_status put(rf_journal *j, const char *key, const char *value, rf_error *err)
{
    rf_status     st = RF_OK;
    sqlite3_stmt *s = NULL;
    RF_TRY(prepare(j, &s, "INSERT INTO meta VALUES (?, ?)", err));
    sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_DONE) st = failed(j, err);
done:
    sqlite3_finalize(s);
    return st;
}

static rf_status fill(rf_journal *j, const identity *id, rf_error *err)
{
    rf_status st = RF_OK;
    char      text[200];
    snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION,
             FORMAT);
    RF_TRY(run(j, "PRAGMA journal_mode=MEMORY; BEGIN", err)); /* no file beside a temporary one */
    RF_TRY(run(j, text, err));
    RF_TRY(run(j,
               "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
               "CREATE TABLE cell (cell INTEGER PRIMARY KEY, state INTEGER NOT NULL, error TEXT,"
               " sha256 TEXT, seconds REAL NOT NULL, proof TEXT NOT NULL)",
               err));
    snprintf(text, sizeof text, "%d", id->cells);
    RF_TRY(put(j, "fingerprint", id->fingerprint, err));
    RF_TRY(put(j, "summary", id->summary, err));
    RF_TRY(put(j, "cells", text, err));
    RF_TRY(run(j, "COMMIT", err));
done:
    return st;
}

static rf_status sync_folder(const char *path, rf_error *err)
{
    char        folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some file systems cannot sync a folder and say EINVAL: there is nothing more to do then. */
    const int code = fd < 0 || (fsync(fd) && errno != EINVAL) ? errno : 0;
    if (fd >= 0) close(fd);
    if (!code) return RF_OK;
    return rf_fail(err, rf_write_status(code), "%s: %s", folder, rf_errno_text(code));
}

static rf_status create(rf_journal *j, const identity *id, int replace, rf_error *err)
{
    rf_status st = RF_OK;
    char      temp[PATH_MAX];
    if (snprintf(temp, sizeof temp, "%s.%ld.tmp", j->path, (long)getpid()) >= (int)sizeof temp)
        return rf_fail(err, RF_E_ARG, "%s: the name is too long", j->path);
    unlink(temp);                          /* of a process of this number that was killed */
    RF_TRY(rf_output_check(temp, 0, err)); /* says better than SQLite what is wrong with a folder */
    RF_TRY(connect(j, temp, 1, err));
    RF_TRY(fill(j, id, err));
    disconnect(j);
    if (!replace && link(temp, j->path) == 0) { /* unlike rename it replaces nothing */
        unlink(temp);
    } else if (!replace && errno == EEXIST) {
        st = rf_fail(err, RF_E_EXISTS, "%s came into being meanwhile and is left alone", j->path);
        goto done;
    } else if (rename(temp, j->path) != 0) { /* or a file system without links */
        st = rf_fail(err, rf_write_status(errno), "%s: %s", j->path, rf_errno_text(errno));
        goto done;
    }
    RF_TRY(sync_folder(j->path, err));
done:
    if (st != RF_OK) {
        disconnect(j);
        unlink(temp);
    }
    return st;
}

/* ---- opening one ---------------------------------------------------------------------------- */

static rf_status check_kind(rf_journal *j, rf_error *err)
{
    rf_status st = RF_OK;
    long      application = 0, format = 0;
    RF_TRY(ask_number(j, "PRAGMA application_id", &application, err));
    RF_TRY(ask_number(j, "PRAGMA user_version", &format, err));
    if (application != APPLICATION)
        st = rf_fail(err, RF_E_FORMAT, "%s is not the journal of a sweep", j->path);
    else if (format != FORMAT)
        st = rf_fail(err, RF_E_FORMAT, "%s has format %ld; this version knows %d only", j->path,
                     format, FORMAT);
done:
    return st;
}

static rf_status check_integrity(rf_journal *j, rf_error *err)
{
    rf_status   st = RF_OK;
    char       *verdict = NULL;
    long        page = 0;
    struct stat info;
    /* With everything in one file, it consists of whole pages: else it was cut. */
    RF_TRY(run(j, "PRAGMA wal_checkpoint(TRUNCATE)", err));
    RF_TRY(ask_number(j, "PRAGMA page_size", &page, err));
    if (page <= 0 || stat(j->path, &info) != 0 || info.st_size % page != 0) {
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: its end is missing", j->path);
        goto done;
    }
    RF_TRY(ask(j, "PRAGMA integrity_check(1)", &verdict, err));
    if (strcmp(verdict, "ok") != 0)
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: %.200s", j->path, verdict);
done:
    free(verdict);
    return st;
}

static rf_status check_identity(rf_journal *j, const identity *id, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    char     *fingerprint = NULL, *summary = NULL;
    long      cells = 0;
    rf_error *err = &trouble->error;
    RF_TRY(ask(j, "SELECT value FROM meta WHERE key='fingerprint'", &fingerprint, err));
    RF_TRY(ask(j, "SELECT value FROM meta WHERE key='summary'", &summary, err));
    RF_TRY(ask_number(j, "SELECT value FROM meta WHERE key='cells'", &cells, err));
    if (strcmp(fingerprint, id->fingerprint) != 0)
        st = rf_claim_refuse(j->path, summary, id->summary, trouble);
    else if (cells != id->cells)
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: it speaks of %ld cells, the sweep has %d",
                     j->path, cells, id->cells);
done:
    free(fingerprint);
    free(summary);
    return st;
}

static rf_status check_rows(rf_journal *j, rf_error *err)
{
    rf_status st = RF_OK;
    long      wrong = 0;
    char      sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM cell WHERE cell < 0 OR cell >= %d", j->cells);
    RF_TRY(ask_number(j, sql, &wrong, err));
    if (wrong)
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: it has rows of cells that do not exist",
                     j->path);
done:
    return st;
}

static rf_status open_existing(rf_journal *j, const identity *id, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    rf_error *err = &trouble->error;
    char     *mode = NULL;
    if (faccessat(AT_FDCWD, j->path, R_OK | W_OK, AT_EACCESS) != 0) /* SQLite: a disk I/O error */
        return rf_fail(err, rf_write_status(errno), "%s cannot be written to: %s", j->path,
                       rf_errno_text(errno));
    RF_TRY(rf_output_check(j->path, 1, err)); /* and its folder */
    RF_TRY(connect(j, j->path, 0, err));
    RF_TRY(check_kind(j, err));
    RF_TRY(ask(j, "PRAGMA journal_mode=WAL", &mode, err));
    if (strcmp(mode, "wal") != 0) {
        st = rf_fail(err, RF_E_IO, "%s: its folder's file system cannot keep a journal", j->path);
        goto done;
    }
    RF_TRY(run(j, "BEGIN EXCLUSIVE; COMMIT", err)); /* ours from here on */
    RF_TRY(check_integrity(j, err));
    RF_TRY(check_identity(j, id, trouble));
    RF_TRY(check_rows(j, err));
    RF_TRY(prepare(j, &j->read,
                   "SELECT state, error, sha256, seconds, proof FROM cell WHERE cell=?", err));
    RF_TRY(prepare(j, &j->write, "INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?, ?, ?)", err));
done:
    free(mode);
    return st;
}

/* Whether the file begins as a journal of ours does: read as bytes, for the rest may be damaged. */
static int is_ours(const char *path)
{
    enum { HEADER = 100, ID_AT = 68 }; /* sqlite.org/fileformat2.html, 1.3 */
    unsigned char head[HEADER] = {0};
    const int     fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0) close(fd);
    if (got != HEADER || memcmp(head, "SQLite format 3", 16) != 0) return 0;
    int id = 0;
    for (int i = 0; i < 4; i++) id = id << 8 | head[ID_AT + i];
    return id == APPLICATION;
}

/* Whether a process holds one of SQLite's locks on the file.  That is asked, and none is taken, or
 * of several that ask at the same moment each would find the others at work. */
static int is_locked(const char *path)
{
    struct flock range = {.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start =
                              0x40000000, /* PENDING_BYTE; sqlite.org/fileformat2.html, 1.4 */
                          .l_len = 512};
    const int    fd = open(path, O_RDONLY | O_CLOEXEC);
    const int    known = fd >= 0 && fcntl(fd, F_GETLK, &range) == 0;
    if (fd >= 0) close(fd);
    return known && range.l_type != F_UNLCK;
}

/* Whether nobody is at work on it; damage does not matter, nor that another has removed it. */
static rf_status check_idle(const char *path, rf_error *err)
{
    enum { PAUSE_MS = 20 };
    if (!is_ours(path)) {
        if (access(path, F_OK) != 0) return RF_OK;
        return rf_fail(err, RF_E_EXISTS,
                       "%s is not the journal of a sweep, and is not replaced by one", path);
    }
    for (int waited = 0; is_locked(path); waited += PAUSE_MS) {
        if (waited >= PATIENCE_MS) return in_use(path, err);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    return RF_OK;
}

/* What SQLite keeps beside a journal that goes: it would be taken for the next one's. */
static rf_status remove_beside(const char *path, rf_error *err)
{
    static const char *const BESIDE[] = {"-wal", "-shm", "-journal"};
    char                     name[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++) {
        snprintf(name, sizeof name, "%s%s", path, BESIDE[i]);
        if (unlink(name) != 0 && errno != ENOENT)
            return rf_fail(err, rf_write_status(errno), "%s: %s", name, rf_errno_text(errno));
    }
    return RF_OK;
}

/* Makes way for a new journal in place of an old one. */
static rf_status make_way(rf_journal *j, rf_error *err)
{
    const rf_status st = check_idle(j->path, err);
    return st == RF_OK ? remove_beside(j->path, err) : st;
}

static rf_status open_journal(rf_journal *j, const identity *id, int resume, int overwrite,
                              rf_trouble *trouble)
{
    rf_status   st = RF_OK;
    struct stat info;
    const int   exists = lstat(j->path, &info) == 0;
    if (exists && !S_ISREG(info.st_mode)) {
        rf_trouble_hint(trouble, "--output names another folder");
        return rf_fail(&trouble->error, RF_E_EXISTS, "%s is not a file", j->path);
    }
    if (!exists && resume)
        return rf_fail(&trouble->error, RF_E_NOT_FOUND,
                       "%s does not exist: there is no sweep to go on with", j->path);
    if (exists && !resume && !overwrite) {
        rf_trouble_hint(trouble, "--resume goes on with it, --overwrite begins again");
        return rf_fail(&trouble->error, RF_E_EXISTS, "%s exists: a sweep has been begun there",
                       j->path);
    }
    if (exists && !resume) RF_TRY(make_way(j, &trouble->error));
    if (!resume) RF_TRY(create(j, id, exists, &trouble->error));
    RF_TRY(open_existing(j, id, trouble));
done:
    return st;
}

rf_status rf_journal_open(rf_journal **out, const char *path, const char *fingerprint,
                          const char *summary, int cells, int resume, int overwrite,
                          rf_trouble *trouble)
{
    const identity id = {fingerprint, summary, cells};
    *out = NULL;
    if (strlen(path) >= PATH_MAX - 16)
        return rf_fail(&trouble->error, RF_E_ARG, "%.200s...: the name is too long", path);
    rf_journal *j = calloc(1, sizeof *j);
    if (!j) return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for a journal");
    snprintf(j->path, sizeof j->path, "%s", path);
    j->cells = cells;
    const rf_status st = open_journal(j, &id, resume, overwrite, trouble);
    if (st == RF_OK)
        *out = j;
    else
        rf_journal_close(j);
    return st;
}

void rf_journal_close(rf_journal *journal)
{
    if (!journal) return;
    disconnect(journal);
    free(journal);
}

/* ---- those of others ------------------------------------------------------------------------ */

/* As SQLite's URIs have it; three bytes for one at most. */
static void uri_of(char *uri, size_t room, const char *path)
{
    size_t n = (size_t)snprintf(uri, room, *path == '/' ? "file://" : "file:");
    for (const char *c = path; *c; c++)
        n += (size_t)snprintf(uri + n, room - n, strchr("?#%", *c) ? "%%%02X" : "%c",
                              (unsigned char)*c);
    snprintf(uri + n, room - n, "?immutable=1");
}

rf_status rf_journal_compare(const char *path, const char *fingerprint, const char *summary,
                             rf_trouble *trouble)
{
    rf_status  st = RF_OK;
    char       uri[3 * PATH_MAX + 32], *theirs = NULL, *told = NULL;
    rf_journal j = {.cells = 0};
    rf_error  *err = &trouble->error;
    snprintf(j.path, sizeof j.path, "%s", path);
    uri_of(uri, sizeof uri, j.path);
    if (sqlite3_open_v2(uri, &j.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK) {
        st = j.db ? failed(&j, err) : rf_fail(err, RF_E_NOMEM, "%s: no memory to open it", path);
        goto done;
    }
    RF_TRY(check_kind(&j, err));
    RF_TRY(ask(&j, "SELECT value FROM meta WHERE key='fingerprint'", &theirs, err));
    RF_TRY(ask(&j, "SELECT value FROM meta WHERE key='summary'", &told, err));
    if (strcmp(theirs, fingerprint) != 0) st = rf_claim_refuse(path, told, summary, trouble);
done:
    free(theirs);
    free(told);
    disconnect(&j);
    return st;
}

rf_status rf_journal_check_idle(const char *path, rf_error *err)
{
    return check_idle(path, err);
}

rf_status rf_journal_remove(const char *path, rf_error *err)
{
    rf_status st = RF_OK;
    RF_TRY(rf_journal_check_idle(path, err));
    RF_TRY(remove_beside(path, err));
    if (unlink(path) != 0 && errno != ENOENT)
        st = rf_fail(err, rf_write_status(errno), "%s: %s", path, rf_errno_text(errno));
done:
    return st;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static int is_sound(const rf_cell_record *r)
{
    if (r->state == RF_CELL_FAILED) return r->error != NULL;
    return r->state == RF_CELL_DONE && r->sha256 && strlen(r->sha256) == SHA256_DIGITS &&
           strspn(r->sha256, "0123456789abcdef") == SHA256_DIGITS;
}

/* SHA-256 of a row: SQLite itself looks at the structure of a page, not at what rows say. */
static rf_status prove(char hex[RF_SHA256_HEX], int cell, const rf_cell_record *r, rf_error *err)
{
    rf_status   st = RF_OK;
    char       *text = NULL;
    const char *error = r->error ? r->error : "", *sha256 = r->sha256 ? r->sha256 : "";
    const int   n =
        asprintf(&text, "%d %d %.17g %s %s", cell, (int)r->state, r->seconds, sha256, error);
    if (n < 0) return rf_fail(err, RF_E_NOMEM, "no memory for a row of the journal");
    st = rf_bytes_sha256(hex, text, (size_t)n, err);
    free(text);
    return st;
}

rf_status rf_journal_read(rf_journal *j, int cell, rf_cell_record *out, rf_error *err)
{
    rf_status st = RF_OK;
    char      hex[RF_SHA256_HEX];
    *out = (rf_cell_record){.state = RF_CELL_OPEN};
    if (cell < 0 || cell >= j->cells)
        return rf_fail(err, RF_E_BUG, "%s has no cell %d", j->path, cell);
    sqlite3_reset(j->read);
    sqlite3_bind_int(j->read, 1, cell);
    const int code = sqlite3_step(j->read);
    if (code == SQLITE_DONE) return RF_OK;
    if (code != SQLITE_ROW) return failed(j, err);
    const rf_cell_record r = {.state = (rf_cell_state)sqlite3_column_int(j->read, 0),
                              .error = (const char *)sqlite3_column_text(j->read, 1),
                              .sha256 = (const char *)sqlite3_column_text(j->read, 2),
                              .seconds = sqlite3_column_double(j->read, 3)};
    const char *const    proof = (const char *)sqlite3_column_text(j->read, 4);
    RF_TRY(prove(hex, cell, &r, err));
    if (!is_sound(&r) || !proof || strcmp(proof, hex) != 0)
        st = rf_fail(err, RF_E_FORMAT, "%s is damaged: its row of cell %d makes no sense", j->path,
                     cell);
    else
        *out = r;
done:
    return st;
}

rf_status rf_journal_write(rf_journal *j, int cell, const rf_cell_record *record, rf_error *err)
{
    rf_status st = RF_OK;
    char      hex[RF_SHA256_HEX];
    if (cell < 0 || cell >= j->cells || !is_sound(record))
        return rf_fail(err, RF_E_BUG, "%s: no such row: cell %d", j->path, cell);
    RF_TRY(prove(hex, cell, record, err));
    sqlite3_reset(j->read); /* a reader that stands on a row would keep its transaction open */
    sqlite3_bind_int(j->write, 1, cell);
    sqlite3_bind_int(j->write, 2, (int)record->state);
    sqlite3_bind_text(j->write, 3, record->error, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(j->write, 4, record->sha256, -1, SQLITE_TRANSIENT);
    sqlite3_bind_double(j->write, 5, record->seconds);
    sqlite3_bind_text(j->write, 6, hex, -1, SQLITE_TRANSIENT);
    /* A transaction of its own: synced when it ends. */
    if (sqlite3_step(j->write) != SQLITE_DONE) st = failed(j, err);
    sqlite3_reset(j->write);
done:
    return st;
}
