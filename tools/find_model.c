/* Finding the model files that a picture names; see find_model.h. */
#include "tools/find_model.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/files/hash.h"
#include "tools/signals.h"

enum { DEPTH_MAX = 6, FILES_MAX = 10000 }; /* of folders; more is no model folder */

static const char *const MODELS[] = {".safetensors", NULL};
static const char *const PICTURES[] = {".png", ".jpg", ".jpeg", NULL};

/* A search under way. */
typedef struct hunt {
    const rf_model_search *s;
    const rf_model_wanted *w;
    int                    by_name; /* only files of that name are looked at */
    int                    files;   /* seen in folders */
    char                  *found;
    char                  *other; /* first file of that name with another hash, */
    char                   other_hash[RF_SHA256_HEX];
} hunt;

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static rf_status keep(hunt *h, char **out, const char *path)
{
    free(*out);
    *out = strdup(path);
    if (*out) return RF_OK;
    return rf_fail(&h->s->trouble->error, RF_E_NOMEM, "no memory for a file name");
}

static const char *wanted_hash(const rf_model_wanted *w)
{
    return w->ref.autov3 ? w->ref.autov3 : w->ref.sha256;
}

/* Takes the file if it has the wanted hash, or if the picture does not tell one. */
static rf_status try_file(hunt *h, const char *path)
{
    rf_status   st = RF_OK;
    char        hex[RF_SHA256_HEX];
    const char *want = wanted_hash(h->w), *cache = h->s->hash_cache;
    if (want) {
        st = (h->w->ref.autov3 ? rf_file_body_sha256 : rf_file_sha256)(
            hex, path, cache, rf_signals_flag(), &h->s->trouble->error);
        /* among others, one that is damaged is only another one */
        if (st == RF_E_FORMAT && !h->w->given) return RF_OK;
        RF_TRY(st);
        if (strncasecmp(hex, want, strlen(want)) != 0) {
            if (!h->by_name || h->other) return RF_OK;
            memcpy(h->other_hash, hex, sizeof hex);
            return keep(h, &h->other, path);
        }
    }
    RF_TRY(keep(h, &h->found, path));
done:
    return st;
}

/* ---- folders ------------------------------------------------------------------------------ */

/* Length of the name without its extension, if it is one of these; else 0. */
static size_t stem(const char *file, const char *const *extensions)
{
    const size_t len = strlen(file);
    for (; *extensions; extensions++) {
        const size_t end = strlen(*extensions);
        if (len > end && strcasecmp(file + len - end, *extensions) == 0) return len - end;
    }
    return 0;
}

static int has_name(const hunt *h, const char *file)
{
    const char  *name = h->by_name ? h->w->ref.name : NULL;
    const size_t len = stem(file, h->w->is_picture ? PICTURES : MODELS);
    return len && (!name || (strlen(name) == len && strncmp(file, name, len) == 0));
}

static rf_status search_folder(hunt *h, const char *folder, int depth)
{
    rf_status      st = RF_OK;
    struct stat    info;
    char           path[PATH_MAX];
    struct dirent *entry = NULL;
    DIR           *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
    if (!dir) return RF_OK; /* not there or not ours: there is nothing to find in it */
    while (!h->found && st == RF_OK && h->files < FILES_MAX && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        const int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (len >= (int)sizeof path || stat(path, &info) != 0) continue;
        h->files++;
        if (S_ISDIR(info.st_mode))
            st = search_folder(h, path, depth + 1);
        else if (S_ISREG(info.st_mode) && has_name(h, entry->d_name))
            st = try_file(h, path);
    }
    closedir(dir);
    return st;
}

/* The folders of the command line, then the one where the file was. */
static rf_status search_folders(hunt *h)
{
    rf_status   st = RF_OK;
    const char *was = h->w->ref.path, *slash = was ? strrchr(was, '/') : NULL;
    char        folder[PATH_MAX];
    for (int i = 0; i < h->s->folders->count && !h->found; i++)
        RF_TRY(search_folder(h, h->s->folders->item[i], 0));
    for (int i = 0; h->s->more && i < h->s->more->count && !h->found; i++)
        RF_TRY(search_folder(h, h->s->more->item[i], 0));
    if (h->found || !was) goto done;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - was) : 1, slash ? was : ".");
    RF_TRY(search_folder(h, *folder ? folder : "/", DEPTH_MAX - 1)); /* not its subfolders */
done:
    return st;
}

/* ---- outcomes ----------------------------------------------------------------------------- */

static const char *shown_name(const rf_model_wanted *w)
{
    return w->ref.name ? w->ref.name : w->ref.path ? w->ref.path : "a file without a name";
}

static rf_status not_found(const hunt *h)
{
    const rf_model_wanted *w = h->w;
    rf_trouble            *t = h->s->trouble;
    char                   hash[40] = "";
    if (w->ref.sha256)
        snprintf(hash, sizeof hash, " (SHA-256 %.10s...)", w->ref.sha256);
    else if (w->ref.autov3)
        snprintf(hash, sizeof hash, " (AutoV3 %.12s)", w->ref.autov3);
    if (w->flag)
        rf_trouble_hint(t, "%s FILE names it, --models DIR searches a folder", w->flag);
    else
        rf_trouble_hint(t, "--models DIR%s searches a folder",
                        h->s->more ? " or --lora-dir DIR" : "");
    return rf_fail(&t->error, RF_E_NOT_FOUND, "the picture's %s, %.200s%s, was not found", w->role,
                   shown_name(w), hash);
}

/* A file of the right name or place, but not the picture's. */
static rf_status settle_other(hunt *h)
{
    rf_status              st = RF_OK;
    const rf_model_wanted *w = h->w;
    char                   text[600];
    snprintf(text, sizeof text,
             "%.300s is not the picture's %s, %.80s: its SHA-256%s begins with %.10s, not %.10s",
             h->other, w->role, shown_name(w), w->ref.autov3 ? " behind the header" : "",
             h->other_hash, wanted_hash(w));
    if (!h->s->any_model) {
        rf_trouble_hint(h->s->trouble, "--any-model takes it all the same");
        st = rf_fail(&h->s->trouble->error, RF_E_MODEL, "%s", text);
        goto done;
    }
    h->s->warn(h->s->user, text);
    RF_TRY(keep(h, &h->found, h->other));
done:
    return st;
}

static rf_status look_everywhere(hunt *h)
{
    rf_status st = RF_OK;
    char      text[400];
    if (h->w->ref.path && is_file(h->w->ref.path)) RF_TRY(try_file(h, h->w->ref.path));
    if (!h->found && h->w->ref.name) RF_TRY(search_folders(h));
    if (!h->found && wanted_hash(h->w)) {
        h->by_name = 0;
        h->files = 0;
        RF_TRY(search_folders(h));
    }
    if (h->found && !wanted_hash(h->w)) {
        snprintf(text, sizeof text,
                 "the %s is taken by its name, %.300s: the picture does not tell its hash",
                 h->w->role, h->found);
        h->s->warn(h->s->user, text);
    }
done:
    return st;
}

rf_status rf_model_find(char **path, const rf_model_search *search, const rf_model_wanted *wanted)
{
    rf_status st = RF_OK;
    hunt      h = {.s = search, .w = wanted, .by_name = 1};
    *path = NULL;
    if (wanted->given)
        RF_TRY(try_file(&h, wanted->given));
    else
        RF_TRY(look_everywhere(&h));
    if (!h.found && h.other) RF_TRY(settle_other(&h));
    if (!h.found) {
        st = not_found(&h);
        goto done;
    }
    *path = h.found;
    h.found = NULL;
done:
    free(h.found);
    free(h.other);
    return st;
}
