/* Choosing, opening and checking; see shards.h. */
#include "engine/files/shards.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files/os_error.h"
#include "engine/files/safetensors.h"
#include "engine/files/shard_index.h"

enum { NAME_BYTES = 256 };

struct rf_shards {
    char            *folder;
    rf_safetensors **file; /* [files], as the index names them first */
    char           **name; /* [files] */
    int              files;
};

static rf_status no_memory(const char *folder, rf_error *err)
{
    return rf_fail(err, RF_E_NOMEM, "%s: out of memory", folder);
}

/* ---- which file --------------------------------------------------------------------------- */

static int begins(const char *name, const char *front)
{
    return strncmp(name, front, strlen(front)) == 0;
}

static int ends(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* STEM.safetensors.index.VARIANT.json, or STEM.VARIANT.safetensors, but no shard of the latter. */
static int is_variant(const char *name, const char *stem)
{
    const size_t n = strlen(stem);
    if (!begins(name, stem) || name[n] != '.') return 0;
    if (begins(name + n, ".safetensors.index.")) return ends(name, ".json");
    return ends(name, ".safetensors") && !strstr(name, "-of-");
}

static int exists(const char *folder, const char *name)
{
    char path[4096];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

/* The best variant: indexes before files, fp16 before others, then by name.  "": there is none. */
static rf_status find_variant(char best[NAME_BYTES], const char *folder, const char *stem,
                              rf_error *err)
{
    DIR           *dir = opendir(folder);
    struct dirent *entry;
    int            rank = 0;
    best[0] = 0;
    if (!dir)
        return rf_fail(err, rf_read_status(errno), "%s: cannot be opened: %s", folder,
                       rf_errno_text(errno));
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strlen(name) >= NAME_BYTES || !is_variant(name, stem)) continue;
        const int mine = 1 + 2 * (strstr(name, "fp16") != NULL) + ends(name, ".json");
        if (mine < rank || (mine == rank && strcmp(name, best) > 0)) continue;
        rank = mine;
        snprintf(best, NAME_BYTES, "%s", name);
    }
    closedir(dir);
    return RF_OK;
}

static rf_status choose(char name[NAME_BYTES], const char *folder, const char *stem, rf_error *err)
{
    snprintf(name, NAME_BYTES, "%s.safetensors.index.json", stem);
    if (exists(folder, name)) return RF_OK;
    snprintf(name, NAME_BYTES, "%s.safetensors", stem);
    if (exists(folder, name)) return RF_OK;
    const rf_status st = find_variant(name, folder, stem, err);
    if (st != RF_OK || name[0]) return st;
    return rf_fail(err, RF_E_NOT_FOUND,
                   "%s: there is no %s.safetensors in it, and no index of several", folder, stem);
}

/* ---- files -------------------------------------------------------------------------------- */

/* A name that leads out of the folder, or is no safetensors file. */
static int is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strpbrk(name, "/\\") && strlen(name) < NAME_BYTES &&
           ends(name, ".safetensors");
}

static rf_status add_file(rf_shards *s, const char *name, rf_error *err)
{
    char      path[4096];
    rf_status st = RF_OK;
    for (int i = 0; i < s->files; i++)
        if (strcmp(s->name[i], name) == 0) return RF_OK;
    if (s->files == RF_SHARDS_MAX)
        return rf_fail(err, RF_E_FORMAT, "%s: the index names more than %d files", s->folder,
                       RF_SHARDS_MAX);
    if (snprintf(path, sizeof path, "%s/%s", s->folder, name) >= (int)sizeof path)
        return rf_fail(err, RF_E_NOT_FOUND, "%s: the path is too long", s->folder);
    char *copy = strdup(name);
    if (!copy) return no_memory(s->folder, err);
    st = rf_safetensors_open(&s->file[s->files], path, err);
    if (st != RF_OK) {
        free(copy);
        return st;
    }
    s->name[s->files++] = copy;
    return RF_OK;
}

/* ---- the index ---------------------------------------------------------------------------- */

static const rf_tensors *list_of(const rf_shards *s, const char *file)
{
    for (int i = 0; i < s->files; i++)
        if (strcmp(s->name[i], file) == 0) return rf_safetensors_list(s->file[i]);
    return NULL;
}

/* Every tensor is where the index says ... */
static rf_status check_entries(const rf_shards *s, const rf_shard_index *index, rf_error *err)
{
    for (size_t i = 0; i < index->count; i++) {
        const rf_shard_entry *e = &index->entry[i];
        const rf_tensors     *list = list_of(s, e->file);
        if (!list || !rf_tensors_find(list, e->tensor))
            return rf_fail(err, RF_E_FORMAT, "%s: the index says that %s is in %s, which lacks it",
                           s->folder, e->tensor, e->file);
    }
    return RF_OK;
}

/* ... and the index knows every tensor of a file; *bytes += theirs. */
static rf_status check_file(const rf_shards *s, int file, const rf_shard_index *index,
                            uint64_t *bytes, rf_error *err)
{
    const rf_tensors *list = rf_safetensors_list(s->file[file]);
    for (size_t k = 0; k < list->count; k++) {
        const char *said = rf_shard_index_find(index, list->item[k].name);
        *bytes += list->item[k].bytes;
        if (said && strcmp(said, s->name[file]) == 0) continue;
        return rf_fail(err, RF_E_FORMAT, "%s: tensor %s is in %s, which the index does not say",
                       s->folder, list->item[k].name, s->name[file]);
    }
    return RF_OK;
}

/* Names first, so that a file is opened only where all of them are plain; then each file is held
 * against the index before the next one takes memory. */
static rf_status open_listed(rf_shards *s, const rf_shard_index *index, const char *path,
                             rf_error *err)
{
    uint64_t  bytes = 0;
    rf_status st = RF_OK;
    for (size_t i = 0; i < index->count; i++)
        if (!is_plain_name(index->entry[i].file))
            return rf_fail(err, RF_E_FORMAT,
                           "%s: tensor %s is said to be in something that is no .safetensors file "
                           "of this folder",
                           path, index->entry[i].tensor);
    for (size_t i = 0; i < index->count; i++) {
        const int before = s->files;
        RF_TRY(add_file(s, index->entry[i].file, err));
        if (s->files > before) RF_TRY(check_file(s, before, index, &bytes, err));
    }
    RF_TRY(check_entries(s, index, err));
    if (index->total_size >= 0 && (uint64_t)index->total_size != bytes)
        st = rf_fail(err, RF_E_FORMAT,
                     "%s: the index says that all tensors take %" PRId64
                     " bytes, but they take %" PRIu64 ": the files are not of one download",
                     path, index->total_size, bytes);
done:
    return st;
}

static rf_status open_index(rf_shards *s, const char *name, rf_error *err)
{
    char           path[4096];
    rf_shard_index index = {0};
    rf_status      st = RF_OK;
    if (snprintf(path, sizeof path, "%s/%s", s->folder, name) >= (int)sizeof path)
        return rf_fail(err, RF_E_NOT_FOUND, "%s: the path is too long", s->folder);
    RF_TRY(rf_shard_index_read(&index, path, err));
    st = open_listed(s, &index, path, err);
done:
    rf_shard_index_free(&index);
    return st;
}

/* ---- all ---------------------------------------------------------------------------------- */

rf_status rf_shards_open(rf_shards **out, const char *folder, const char *stem, rf_error *err)
{
    char       name[NAME_BYTES];
    rf_status  st = RF_OK;
    rf_shards *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s) return no_memory(folder, err);
    s->folder = strdup(folder);
    s->file = calloc(RF_SHARDS_MAX, sizeof(rf_safetensors *));
    s->name = calloc(RF_SHARDS_MAX, sizeof *s->name);
    if (!s->folder || !s->file || !s->name) {
        st = no_memory(folder, err);
        goto done;
    }
    RF_TRY(choose(name, folder, stem, err));
    if (ends(name, ".json"))
        RF_TRY(open_index(s, name, err));
    else
        RF_TRY(add_file(s, name, err));
    *out = s;
    s = NULL;
done:
    rf_shards_close(s);
    return st;
}

void rf_shards_close(rf_shards *s)
{
    if (!s) return;
    for (int i = 0; i < s->files; i++) {
        rf_safetensors_close(s->file[i]);
        free(s->name[i]);
    }
    free(s->file);
    free(s->name);
    free(s->folder);
    free(s);
}

const rf_tensor *rf_shards_find(const rf_shards *s, const char *name, const rf_tensors **list)
{
    for (int i = 0; i < s->files; i++) {
        *list = rf_safetensors_list(s->file[i]);
        const rf_tensor *t = rf_tensors_find(*list, name);
        if (t) return t;
    }
    return NULL;
}

int rf_shards_files(const rf_shards *s)
{
    return s->files;
}

const char *rf_shards_path(const rf_shards *s, int file)
{
    return rf_safetensors_list(s->file[file])->path;
}

const rf_header *rf_shards_header(const rf_shards *s, int file)
{
    return rf_safetensors_header(s->file[file]);
}
