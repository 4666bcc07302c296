/* The folder of a sweep: when it may be used, what a killed process left in it, and what its
 * journals know.
 *
 *   FOLDER/cells/NAME.png    pictures, under their final names only when they are whole
 *   FOLDER/journal*.sqlite   of the sweep, or of each shard
 *   FOLDER/grid*.png, report.html, results.jsonl
 *
 * The journal comes first: until it stands there, nothing else of the sweep does, so that a folder
 * without one is new or somebody else's. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "engine/files/os_error.h"
#include "tools/signals.h"
#include "tools/sweep/sweep.h"

void rf_sweep_cell_path(const rf_sweep *s, int cell, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/cells/%s.png", s->o->folder, s->cells.cell[cell].name);
}

/* ---- whose folder it is --------------------------------------------------------------------- */

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* A journal that a killed process had not finished making: "journal.sqlite.1234.tmp". */
static int is_unborn_journal(const char *name)
{
    return strncmp(name, "journal", 7) == 0 && strstr(name, ".sqlite.") && ends_with(name, ".tmp");
}

/* Whether nothing is in the folder that somebody could miss; it need not exist. */
static rf_status is_empty(const char *folder, int *empty, rf_error *err)
{
    DIR *const dir = opendir(folder);
    *empty = 1;
    if (!dir && errno == ENOENT) return RF_OK;
    if (!dir && errno == ENOTDIR)
        return rf_fail(err, RF_E_EXISTS, "--output %s is not a folder", folder);
    if (!dir) return rf_fail(err, rf_read_status(errno), "%s: %s", folder, rf_errno_text(errno));
    for (const struct dirent *e = readdir(dir); e && *empty; e = readdir(dir))
        *empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                 is_unborn_journal(e->d_name);
    closedir(dir);
    return RF_OK;
}

static rf_status make_folder(const char *path, rf_error *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return RF_OK;
    return rf_fail(err, errno == ENOENT ? RF_E_CREATE : rf_write_status(errno),
                   "%s cannot be created: %s", path, rf_errno_text(errno));
}

/* Whether --resume has anything to resume: of a process that was killed before it had a journal
 * there is nothing, and the sweep begins. */
static rf_status find_begun(rf_sweep *s, int empty, int shards, int *begun)
{
    rf_trouble *t = &s->in->trouble;
    *begun = access(s->journal_path, F_OK) == 0;
    if (*begun || empty || shards > 0 || s->shard.count > 1) return RF_OK;
    rf_trouble_hint(t, "--output names the folder of the sweep");
    return rf_fail(&t->error, RF_E_NOT_FOUND, "%s has no journal of a sweep to go on with",
                   s->o->folder);
}

/* --overwrite replaces a sweep's own files: without a journal, a file that has the name of one is
 * somebody else's. */
static rf_status check_names(rf_sweep *s)
{
    static const char *const names[] = {"report.html", "results.jsonl", "grid.png"};
    char                     path[PATH_MAX];
    snprintf(path, sizeof path, "%s/journal.sqlite", s->o->folder);
    if (!s->o->request.overwrite || access(s->journal_path, F_OK) == 0 || access(path, F_OK) == 0)
        return RF_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", s->o->folder, names[i]);
        if (access(path, F_OK) != 0) continue;
        rf_trouble_hint(&s->in->trouble, "--output names another folder, or move that file away");
        return rf_fail(&s->in->trouble.error, RF_E_EXISTS,
                       "%s exists, and no journal says that a sweep made it", path);
    }
    return RF_OK;
}

static rf_status open_journal(rf_sweep *s, int empty, int shards)
{
    rf_status               st = RF_OK;
    rf_trouble             *t = &s->in->trouble;
    const rf_sweep_options *o = s->o;
    int                     begun = 0;
    if (!empty && !o->resume && !o->request.overwrite && s->shard.count < 2) {
        rf_trouble_hint(t, "--resume goes on with the sweep in it, --overwrite begins again");
        return rf_fail(&t->error, RF_E_EXISTS, "--output %s exists, and is not empty", o->folder);
    }
    RF_TRY(check_names(s));
    if (o->resume) RF_TRY(find_begun(s, empty, shards, &begun));
    if (o->resume && !begun && empty)
        rf_sweep_warn(s, "--resume: nothing has been begun there yet; the sweep begins");
    RF_TRY(make_folder(o->folder, &t->error));
    RF_TRY(rf_journal_open(&s->journal, s->journal_path, s->identity.fingerprint,
                           s->identity.summary, s->cells.count, begun, o->request.overwrite, t));
done:
    return st;
}

/* ---- what a killed process left ------------------------------------------------------------- */

/* The name that ".NAME.01234567.tmp" was to become; 0 if it is no such file. */
static int final_name(const char *temp, char name[NAME_MAX + 1])
{
    enum { TAIL = 13 }; /* ".01234567.tmp" */
    const size_t n = strlen(temp);
    if (temp[0] != '.' || n <= TAIL + 1 || n > NAME_MAX || !ends_with(temp, ".tmp")) return 0;
    const char *tail = temp + n - TAIL;
    if (*tail != '.' || strspn(tail + 1, "0123456789abcdef") != 8) return 0;
    snprintf(name, NAME_MAX + 1, "%.*s", (int)(n - TAIL - 1), temp + 1);
    return 1;
}

static int is_our_cell(const rf_sweep *s, const char *name)
{
    const rf_axis *axis = s->cells.axis;
    const char    *at = name;
    long           cell = 0, step = 1;
    for (int a = 0; a < RF_AXES; a++) { /* "x03-y01-z00.png" */
        char *end;
        if (*at != "xyz"[a] || at[1] < '0' || at[1] > '9') return 0;
        const long i = strtol(at + 1, &end, 10);
        if (i >= axis[a].count) return 0;
        cell += i * step;
        step *= axis[a].count;
        at = *end == '-' ? end + 1 : end;
    }
    const char  *own = s->cells.cell[cell].name;
    const size_t n = strlen(own);
    return strncmp(own, name, n) == 0 && strcmp(name + n, ".png") == 0 &&
           rf_sweep_owns(s, (int)cell);
}

/* Shards leave the common files to whoever writes them. */
static int is_our_report(const rf_sweep *s, const char *name)
{
    if (s->shard.count > 1) return 0;
    return strcmp(name, "report.html") == 0 || strcmp(name, "results.jsonl") == 0 ||
           (strncmp(name, "grid", 4) == 0 && ends_with(name, ".png"));
}

static int is_orphan(const rf_sweep *s, const char *entry, int in_cells)
{
    char name[NAME_MAX + 1];
    if (!in_cells && s->shard.count < 2 && is_unborn_journal(entry)) return 1;
    if (!final_name(entry, name)) return 0;
    return in_cells ? is_our_cell(s, name) : is_our_report(s, name);
}

static void remove_orphans(const rf_sweep *s, const char *folder, int in_cells)
{
    DIR *const dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (is_orphan(s, e->d_name, in_cells)) unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}

/* ---- what is done --------------------------------------------------------------------------- */

rf_status rf_sweep_keep(rf_sweep *s, int cell, const rf_cell_record *record, rf_error *err)
{
    rf_cell_record *kept = &s->record[cell];
    char           *error = record->error ? strdup(record->error) : NULL;
    char           *sha256 = record->sha256 ? strdup(record->sha256) : NULL;
    if ((record->error && !error) || (record->sha256 && !sha256)) {
        free(error);
        free(sha256);
        return rf_fail(err, RF_E_NOMEM, "no memory for the record of a cell");
    }
    s->done += (record->state == RF_CELL_DONE) - (kept->state == RF_CELL_DONE);
    s->failed += (record->state == RF_CELL_FAILED) - (kept->state == RF_CELL_FAILED);
    free((char *)kept->error);
    free((char *)kept->sha256);
    *kept = (rf_cell_record){record->state, error, sha256, record->seconds};
    return RF_OK;
}

/* Whether the picture that a record speaks of is there, byte for byte. */
static rf_status stands(const rf_sweep *s, int cell, const rf_cell_record *record, int *yes,
                        rf_error *err)
{
    char path[PATH_MAX], hex[RF_SHA256_HEX];
    *yes = 1;
    if (record->state != RF_CELL_DONE) return RF_OK;
    rf_sweep_cell_path(s, cell, path);
    const rf_status st = rf_file_sha256(hex, path, NULL, rf_signals_flag(), err);
    *yes = st == RF_OK && strcmp(hex, record->sha256) == 0;
    return st == RF_E_NOT_FOUND ? RF_OK : st;
}

/* Takes over what `journal`, the sweep's own or a shard's, knows of cells that are still open. */
static rf_status take_records(rf_sweep *s, rf_journal *journal, int *lost, rf_error *err)
{
    rf_status st = RF_OK;
    for (int i = 0; i < s->cells.count; i++) {
        rf_cell_record r;
        int            yes = 1;
        if (s->record[i].state != RF_CELL_OPEN || !rf_sweep_owns(s, i)) continue;
        RF_TRY(rf_journal_read(journal, i, &r, err));
        if (r.state == RF_CELL_OPEN) continue;
        RF_TRY(stands(s, i, &r, &yes, err));
        *lost += !yes;
        if (!yes) continue;
        RF_TRY(rf_sweep_keep(s, i, &r, err));
        if (journal != s->journal) RF_TRY(rf_journal_write(s->journal, i, &s->record[i], err));
    }
done:
    return st;
}

static rf_status gather_shard(rf_sweep *s, rf_shard shard, int *lost)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    rf_journal *journal = NULL;
    char        name[RF_JOURNAL_NAME_BYTES], path[PATH_MAX];
    rf_shard_journal(name, shard);
    snprintf(path, sizeof path, "%s/%s", s->o->folder, name);
    RF_TRY(rf_journal_open(&journal, path, s->identity.fingerprint, s->identity.summary,
                           s->cells.count, 1, 0, t));
    RF_TRY(take_records(s, journal, lost, &t->error));
done:
    rf_journal_close(journal);
    return st;
}

/* Before anything is made or removed: no shard is at work, and all are of this sweep. */
static rf_status check_shards(rf_sweep *s, const rf_shard *shards, int count)
{
    rf_status st = RF_OK;
    for (int i = 0; i < count && s->shard.count < 2; i++) {
        rf_journal *journal = NULL;
        char        name[RF_JOURNAL_NAME_BYTES], path[PATH_MAX];
        rf_shard_journal(name, shards[i]);
        snprintf(path, sizeof path, "%s/%s", s->o->folder, name);
        st = rf_journal_open(&journal, path, s->identity.fingerprint, s->identity.summary,
                             s->cells.count, 1, 0, &s->in->trouble);
        rf_journal_close(journal);
        if (st != RF_OK) break;
    }
    return st;
}

static rf_status take_all(rf_sweep *s, const rf_shard *shards, int count)
{
    rf_status st = RF_OK;
    char      text[120];
    int       lost = 0;
    RF_TRY(take_records(s, s->journal, &lost, &s->in->trouble.error));
    for (int i = 0; i < count && s->shard.count < 2; i++) RF_TRY(gather_shard(s, shards[i], &lost));
    if (lost) {
        snprintf(text, sizeof text,
                 "%d finished picture%s missing or changed since, and made again", lost,
                 lost == 1 ? " is" : "s are");
        rf_sweep_warn(s, text);
    }
done:
    return st;
}

/* Of a sweep that begins again in an old folder. */
static void warn_of_others(rf_sweep *s, const char *folder)
{
    char       text[PATH_MAX + 100];
    int        others = 0;
    DIR *const dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        others += e->d_name[0] != '.' && !is_our_cell(s, e->d_name);
    closedir(dir);
    if (!others) return;
    snprintf(text, sizeof text, "%d older file%s in %s and not of this sweep", others,
             others == 1 ? " is" : "s are", folder);
    rf_sweep_warn(s, text);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static rf_status open_all(rf_sweep *s)
{
    rf_status   st = RF_OK;
    rf_error   *err = &s->in->trouble.error;
    rf_shard   *shards = NULL;
    char        name[RF_JOURNAL_NAME_BYTES], cells[PATH_MAX];
    int         count = 0, empty = 0;
    const char *folder = s->o->folder;
    rf_shard_journal(name, s->shard);
    const int n = snprintf(s->journal_path, sizeof s->journal_path, "%s/%s", folder, name);
    if (n >= PATH_MAX - 64)
        return rf_fail(err, RF_E_ARG, "--output: the name of the folder is too long");
    snprintf(cells, sizeof cells, "%s/cells", folder);
    RF_TRY(is_empty(folder, &empty, err));
    if (s->o->resume) RF_TRY(rf_shard_find(&shards, &count, folder, err));
    RF_TRY(check_shards(s, shards, count));
    RF_TRY(open_journal(s, empty, count));
    RF_TRY(make_folder(cells, err));
    remove_orphans(s, folder, 0);
    remove_orphans(s, cells, 1);
    if (s->o->resume) RF_TRY(take_all(s, shards, count));
    if (s->o->request.overwrite) warn_of_others(s, cells);
done:
    free(shards);
    return st;
}

/* Other ranks hear what is done, and whether they are at the same sweep. */
static rf_status share_records(rf_sweep *s)
{
    rf_status      st = RF_OK;
    rf_error      *err = &s->in->trouble.error;
    const size_t   n = (size_t)s->cells.count;
    char           fingerprint[RF_FINGERPRINT_BYTES];
    unsigned char *state = calloc(n, 1);
    if (!state) return rf_fail(err, RF_E_NOMEM, "no memory for %zu cells", n);
    memcpy(fingerprint, s->identity.fingerprint, sizeof fingerprint);
    for (size_t i = 0; i < n; i++) state[i] = (unsigned char)s->record[i].state;
    RF_TRY(rf_ranks_share(&s->ranks, fingerprint, sizeof fingerprint, err));
    if (strcmp(fingerprint, s->identity.fingerprint) != 0) {
        rf_trouble_hint(&s->in->trouble, "ranks must see the same files, and seeds as numbers");
        st = rf_fail(err, RF_E_ARG, "rank %d is at another sweep than rank 0", s->ranks.rank);
        goto done;
    }
    RF_TRY(rf_ranks_share(&s->ranks, state, n, err));
    for (size_t i = 0; i < n; i++) s->record[i].state = (rf_cell_state)state[i];
done:
    free(state);
    return st;
}

rf_status rf_sweep_open_folder(rf_sweep *s)
{
    rf_status st = RF_OK;
    RF_TRY(rf_identify(&s->identity, &s->cells, s->expert, s->experts.engine, &s->in->console,
                       &s->in->trouble.error));
    if (s->ranks.rank == 0) RF_TRY(open_all(s));
    if (s->ranks.size > 1) RF_TRY(share_records(s));
    for (int i = 0; i < s->cells.count; i++) s->mine += rf_sweep_owns(s, i);
    s->before = s->done + s->failed;
done:
    return st;
}
