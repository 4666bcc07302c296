/* The folder of a sweep: when it may be used, what a killed process left in it, and what its
 * journals know.
 *
 *   FOLDER/sweep.identity    which sweep it is
 *   FOLDER/journal*.sqlite   of the sweep, or of each shard
 *   FOLDER/cells/NAME.png    pictures, under their final names only when they are whole
 *   FOLDER/grid*.png, report.html, results.jsonl
 *
 * They come in this order: without the first, a folder is new or somebody else's, or an earlier
 * version's, which began with the second. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/files/hash.h"
#include "engine/files/os_error.h"
#include "tools/signals.h"
#include "tools/sweep/claim.h"
#include "tools/sweep/folder_files.h"
#include "tools/sweep/sweep.h"

void rf_sweep_cell_path(const rf_sweep *s, int cell, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/cells/%s.png", s->o->folder, s->cells.cell[cell].name);
}

/* What was found in the folder before anything is done there. */
typedef struct found {
    int        empty;
    int        claimed; /* sweep.identity is there; */
    rf_status  verdict; /* it is this sweep's, or why not */
    rf_trouble why;
    rf_shard  *shard;   /* [shards]: that have left a journal */
    rf_shard  *journal; /* [journals]: those, and {0} if there is one of a sweep without shards */
    int        shards, journals, begun; /* begun: this process's journal is there */
} found;

/* ---- whose folder it is --------------------------------------------------------------------- */

static void path_of_shard(const rf_sweep *s, rf_shard shard, char path[PATH_MAX])
{
    char name[RF_JOURNAL_NAME_BYTES];
    rf_shard_journal(name, shard);
    snprintf(path, PATH_MAX, "%s/%s", s->o->folder, name);
}

static rf_status make_folder(const char *path, rf_error *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return RF_OK;
    return rf_fail(err, errno == ENOENT ? RF_E_CREATE : rf_write_status(errno),
                   "%s cannot be created: %s", path, rf_errno_text(errno));
}

/* The journals that lie in the folder: (rf_shard){0} is that of a sweep without shards. */
static rf_status find_journals(rf_sweep *s, found *f, rf_error *err)
{
    char      path[PATH_MAX];
    rf_shard *list = NULL;
    rf_status st = rf_shard_find(&f->shard, &f->shards, s->o->folder, err);
    if (st != RF_OK) return st;
    path_of_shard(s, (rf_shard){0}, path);
    list = calloc((size_t)f->shards + 1, sizeof *list);
    if (!list) return rf_fail(err, RF_E_NOMEM, "no memory for a list of journals");
    if (access(path, F_OK) == 0) f->journals++; /* it stands first */
    for (int i = 0; i < f->shards; i++) list[f->journals++] = f->shard[i];
    f->journal = list;
    f->begun = access(s->journal_path, F_OK) == 0;
    return RF_OK;
}

/* Looks before it asks: what is in the folder came after its sweep.identity. */
static rf_status look_around(rf_sweep *s, found *f)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    st = rf_folder_is_empty(s->o->folder, &f->empty, &t->error);
    if (st == RF_E_EXISTS) rf_trouble_hint(t, "--output names another one");
    if (st != RF_OK) goto done;
    RF_TRY(find_journals(s, f, &t->error));
    f->verdict = rf_claim_compare(s->o->folder, &s->identity, &f->claimed, &f->why);
    if (f->verdict == RF_E_ARG || f->verdict == RF_E_FORMAT) return RF_OK; /* others decide */
    st = f->verdict;
    *t = f->why;
done:
    return st;
}

/* --shard 2/4 among shards of 3 is a typing mistake: it would make what others have made, and end
 * at the first picture that is there. */
static rf_status check_count(rf_sweep *s, const found *f)
{
    rf_trouble *t = &s->in->trouble;
    for (int i = 0; i < f->shards && s->shard.count > 1; i++) {
        if (f->shard[i].count == s->shard.count) continue;
        rf_trouble_hint(t, "--resume divides what is open anew, --overwrite begins again");
        return rf_fail(&t->error, RF_E_EXISTS,
                       "%s is divided otherwise: there is a journal of --shard %d/%d", s->o->folder,
                       f->shard[i].index, f->shard[i].count);
    }
    return RF_OK;
}

/* A new sweep begins in a new folder, or an empty one; a shard also where its sweep is. */
static rf_status check_new(rf_sweep *s, const found *f)
{
    rf_trouble *t = &s->in->trouble;
    const int   is_shard = s->shard.count > 1;
    if (f->empty || (is_shard && (f->claimed || f->journals))) return RF_OK;
    rf_trouble_hint(t, is_shard
                           ? "--output names another folder; --overwrite begins in this one"
                           : "--resume goes on with the sweep in it, --overwrite begins again");
    return rf_fail(&t->error, RF_E_EXISTS, "--output %s exists, and is not empty", s->o->folder);
}

/* Whether --resume has anything to resume: of a process that was killed before it had a journal
 * there is nothing, and the sweep begins. */
static rf_status check_begun(rf_sweep *s, const found *f)
{
    rf_trouble *t = &s->in->trouble;
    const int   is_shard = s->shard.count > 1;
    if (f->begun || f->shards > 0 || (is_shard && (f->claimed || f->journals))) return RF_OK;
    if (f->empty) {
        rf_sweep_warn(s, "--resume: nothing has been begun there yet; the sweep begins");
        return RF_OK;
    }
    rf_trouble_hint(t, "--output names the folder of the sweep");
    return rf_fail(&t->error, RF_E_NOT_FOUND, "%s has no journal of a sweep to go on with",
                   s->o->folder);
}

/* --overwrite replaces files of sweeps: where no sweep was, a file that has the name of one is
 * somebody else's. */
static rf_status check_names(rf_sweep *s, const found *f)
{
    char name[NAME_MAX + 1];
    if (f->claimed || f->journals) return RF_OK;
    rf_folder_find_output(s->o->folder, name);
    if (!*name) return RF_OK;
    rf_trouble_hint(&s->in->trouble, "--output names another folder, or move that file away");
    return rf_fail(&s->in->trouble.error, RF_E_EXISTS,
                   "%s/%s exists, and no journal says that a sweep made it", s->o->folder, name);
}

/* The folder becomes this sweep's, or is already.  Earlier versions left journals alone, which then
 * tell whose it is. */
static rf_status claim(rf_sweep *s, const found *f)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    char        path[PATH_MAX];
    if (f->claimed) {
        *t = f->why;
        return f->verdict;
    }
    for (int i = 0; i < f->journals; i++) {
        path_of_shard(s, f->journal[i], path);
        RF_TRY(rf_journal_compare(path, s->identity.fingerprint, s->identity.summary, t));
    }
    RF_TRY(make_folder(s->o->folder, &t->error));
    RF_TRY(rf_claim_make(s->o->folder, &s->identity, 0, t));
done:
    return st;
}

/* ---- beginning again ------------------------------------------------------------------------ */

static int is_own(const rf_sweep *s, rf_shard shard)
{
    return shard.index == s->shard.index && shard.count == s->shard.count;
}

/* Which journals go.  Alone: all.  Of shards, which may begin again at the same moment, each
 * replaces its own; and what is of another sweep and will be replaced by none of them, goes. */
static int goes(rf_sweep *s, rf_shard shard)
{
    char       path[PATH_MAX];
    rf_trouble unheard = {.hint = ""};
    if (s->shard.count < 2 || is_own(s, shard)) return 1;
    if (shard.count == s->shard.count) return 0;
    path_of_shard(s, shard, path);
    return rf_journal_compare(path, s->identity.fingerprint, s->identity.summary, &unheard) ==
           RF_E_ARG;
}

/* All are asked before the first one goes. */
static rf_status clear_journals(rf_sweep *s, const found *f)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    char      path[PATH_MAX];
    for (int i = 0; i < f->journals; i++) {
        if (!goes(s, f->journal[i])) continue;
        path_of_shard(s, f->journal[i], path);
        st = rf_journal_check_idle(path, err);
        if (st == RF_E_EXISTS)
            rf_trouble_hint(&s->in->trouble,
                            "--output names another folder, or move that file away");
        if (st != RF_OK) goto done;
    }
    if (!f->claimed || f->verdict != RF_OK)
        RF_TRY(rf_claim_make(s->o->folder, &s->identity, 1, &s->in->trouble));
    for (int i = 0; i < f->journals; i++) {
        if (is_own(s, f->journal[i]) || !goes(s, f->journal[i])) continue;
        path_of_shard(s, f->journal[i], path);
        RF_TRY(rf_journal_remove(path, err));
    }
done:
    return st;
}

/* A shard leaves the grids of its own sweep alone: somebody may have gathered it. */
static rf_status begin_again(rf_sweep *s, const found *f)
{
    rf_status st = RF_OK;
    rf_error *err = &s->in->trouble.error;
    const int same = f->claimed && f->verdict == RF_OK;
    RF_TRY(check_names(s, f));
    RF_TRY(clear_journals(s, f));
    if (s->shard.count < 2 || !same) RF_TRY(rf_folder_remove_outputs(s->o->folder, err));
done:
    return st;
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

static rf_status open_shard(rf_journal **out, rf_sweep *s, rf_shard shard)
{
    char path[PATH_MAX];
    path_of_shard(s, shard, path);
    return rf_journal_open(out, path, s->identity.fingerprint, s->identity.summary, s->cells.count,
                           1, 0, &s->in->trouble);
}

/* Before anything is made or removed: no shard is at work, and all are of this sweep. */
static rf_status check_shards(rf_sweep *s, const found *f)
{
    rf_status st = RF_OK;
    for (int i = 0; i < f->shards && s->shard.count < 2 && st == RF_OK; i++) {
        rf_journal *journal = NULL;
        st = open_shard(&journal, s, f->shard[i]);
        rf_journal_close(journal);
    }
    return st;
}

static rf_status gather_shard(rf_sweep *s, rf_shard shard, int *lost)
{
    rf_status   st = RF_OK;
    rf_journal *journal = NULL;
    RF_TRY(open_shard(&journal, s, shard));
    RF_TRY(take_records(s, journal, lost, &s->in->trouble.error));
done:
    rf_journal_close(journal);
    return st;
}

static rf_status take_all(rf_sweep *s, const found *f)
{
    rf_status st = RF_OK;
    char      text[120];
    int       lost = 0;
    RF_TRY(take_records(s, s->journal, &lost, &s->in->trouble.error));
    for (int i = 0; i < f->shards && s->shard.count < 2; i++)
        RF_TRY(gather_shard(s, f->shard[i], &lost));
    if (lost) {
        snprintf(text, sizeof text,
                 "%d finished picture%s missing or changed since, and made again", lost,
                 lost == 1 ? " is" : "s are");
        rf_sweep_warn(s, text);
    }
done:
    return st;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* One process at a time looks and begins: of two that begin again at the same moment, each would
 * find no other at work and replace the journal that the other has just made.  *turn is the
 * folder, locked until it is closed; -1: there is none yet.  Where a file system has no such locks
 * there is no turn to wait for. */
static rf_status take_turn(int *turn, const char *folder, rf_error *err)
{
    enum { PATIENCE_MS = 10000, PAUSE_MS = 10 }; /* what is done inside takes a moment */
    *turn = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*turn < 0) return RF_OK; /* what is wrong with it is said later, if anything is */
    for (int waited = 0; flock(*turn, LOCK_EX | LOCK_NB) != 0; waited += PAUSE_MS) {
        if (errno != EWOULDBLOCK) return RF_OK;
        if (waited >= PATIENCE_MS || rf_signals_caught())
            return rf_fail(err, rf_signals_caught() ? RF_E_CANCELLED : RF_E_IO,
                           "%s is in use: another process is beginning a sweep there", folder);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    return RF_OK;
}

/* All that is refused is refused here: nothing has been made yet but sweep.identity. */
static rf_status enter(rf_sweep *s, found *f)
{
    rf_status               st = RF_OK;
    const rf_sweep_options *o = s->o;
    RF_TRY(look_around(s, f));
    if (o->request.overwrite) return begin_again(s, f);
    RF_TRY(o->resume ? check_begun(s, f) : check_new(s, f));
    RF_TRY(claim(s, f));
    if (!o->resume) RF_TRY(check_count(s, f));
    if (o->resume) RF_TRY(check_shards(s, f));
done:
    return st;
}

static rf_status open_all(rf_sweep *s)
{
    rf_status   st = RF_OK;
    rf_trouble *t = &s->in->trouble;
    found       f = {.empty = 0};
    char        cells[PATH_MAX];
    int         turn = -1;
    const char *folder = s->o->folder;
    const int   overwrite = s->o->request.overwrite;
    if (strlen(folder) >= PATH_MAX - 128)
        return rf_fail(&t->error, RF_E_ARG, "--output: the name of the folder is too long");
    path_of_shard(s, s->shard, s->journal_path);
    snprintf(cells, sizeof cells, "%s/cells", folder);
    if (overwrite) RF_TRY(make_folder(folder, &t->error));
    RF_TRY(take_turn(&turn, folder, &t->error));
    RF_TRY(enter(s, &f));
    RF_TRY(rf_journal_open(&s->journal, s->journal_path, s->identity.fingerprint,
                           s->identity.summary, s->cells.count, s->o->resume && f.begun, overwrite,
                           t));
    if (turn >= 0) close(turn);
    turn = -1;
    RF_TRY(make_folder(cells, &t->error));
    rf_folder_remove_orphans(s, folder, 0);
    rf_folder_remove_orphans(s, cells, 1);
    if (s->o->resume) RF_TRY(take_all(s, &f));
    if (overwrite) rf_folder_warn_of_cells(s, cells);
    if (s->shard.count < 2) rf_folder_warn_of_grids(s);
done:
    if (turn >= 0) close(turn);
    free(f.shard);
    free(f.journal);
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
    RF_TRY(rf_sweep_divide_open(s));
done:
    return st;
}
