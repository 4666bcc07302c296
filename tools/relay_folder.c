/* See relay_folder.h.  XDG Base Directory Specification 0.8. */
#include "tools/relay_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/suggest.h"

enum { NAME_BYTES_MAX = 100 };

static rf_status no_memory(rf_trouble *trouble)
{
    return rf_fail(&trouble->error, RF_E_NOMEM, "no memory for the names of relays");
}

char *rf_relay_folder(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const int   absolute = config && *config == '/'; /* the specification ignores relative ones */
    const char *root = absolute ? config : home;
    char       *path = NULL;
    if (!root || *root != '/') return NULL;
    if (asprintf(&path, "%s%s/refinery/relays", root, absolute ? "" : "/.config") < 0) return NULL;
    return path;
}

/* What a name may be, so that it is never a path. */
static int is_name(const char *text)
{
    const size_t n = strlen(text);
    if (n == 0 || n > NAME_BYTES_MAX || *text == '.') return 0;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("-_+.", *text)) return 0;
    return 1;
}

static int has_end(const char *text, const char *end)
{
    const size_t n = strlen(text), tail = strlen(end);
    return n > tail && strcmp(text + n - tail, end) == 0;
}

/* ---- listing ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names)
{
    for (int i = 0; names && names[i]; i++) free(names[i]);
    free(names);
}

static rf_status add_name(char ***names, size_t *count, const char *file, rf_trouble *trouble)
{
    char **more = realloc(*names, (*count + 2) * sizeof **names);
    if (!more) return no_memory(trouble);
    *names = more;
    more[*count] = strndup(file, strlen(file) - strlen(".json"));
    more[*count + 1] = NULL;
    return more[(*count)++] ? RF_OK : no_memory(trouble);
}

rf_status rf_relay_names(char ***out, rf_trouble *trouble)
{
    rf_status      st = RF_OK;
    char          *folder = rf_relay_folder();
    DIR           *dir = folder ? opendir(folder) : NULL;
    struct dirent *entry = NULL;
    size_t         count = 0;
    char         **names = calloc(1, sizeof *names);
    *out = NULL;
    if (!names) st = no_memory(trouble);
    if (!dir && folder && errno != ENOENT && st == RF_OK)
        st = rf_fail(&trouble->error, errno == EACCES ? RF_E_PERMISSION : RF_E_IO, "%s: %s", folder,
                     strerror(errno));
    while (st == RF_OK && dir && (entry = readdir(dir)))
        if (*entry->d_name != '.' && has_end(entry->d_name, ".json"))
            st = add_name(&names, &count, entry->d_name, trouble);
    if (dir) closedir(dir);
    free(folder);
    if (st != RF_OK) {
        free_names(names);
        return st;
    }
    qsort(names, count, sizeof *names, by_name);
    *out = names;
    return RF_OK;
}

/* ---- finding ------------------------------------------------------------------------------ */

static int is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

static rf_status suggest(const char *name, rf_trouble *trouble)
{
    char     **names = NULL;
    rf_suggest near = rf_suggest_begin(name);
    if (rf_relay_names(&names, trouble) == RF_OK)
        for (int i = 0; names[i]; i++) rf_suggest_offer(&near, names[i]);
    if (near.best)
        rf_trouble_hint(trouble, "did you mean '%s'?", near.best);
    else
        rf_trouble_hint(trouble,
                        "refinery relays lists the names and where they lie; a file is "
                        "given as ./%.80s.json",
                        name);
    free_names(names);
    return rf_fail(&trouble->error, RF_E_NOT_FOUND,
                   "--relay %.200s: there is neither such a file nor a relay of that name", name);
}

rf_status rf_relay_path(char **path, const char *name, rf_trouble *trouble)
{
    char *folder = rf_relay_folder();
    *path = NULL;
    if (!folder)
        return rf_fail(&trouble->error, RF_E_NOT_FOUND,
                       "%.200s: neither XDG_CONFIG_HOME nor HOME says where relays are", name);
    const int bytes = asprintf(path, "%s/%s.json", folder, name);
    free(folder);
    if (bytes >= 0) return RF_OK;
    *path = NULL;
    return no_memory(trouble);
}

rf_status rf_relay_locate(char **path, const char *name, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *path = NULL;
    if (strchr(name, '/') || has_end(name, ".json") || is_file(name) || !is_name(name)) {
        *path = strdup(name);
        return *path ? RF_OK : no_memory(trouble);
    }
    RF_TRY(rf_relay_path(path, name, trouble));
    if (is_file(*path)) return RF_OK;
    free(*path);
    *path = NULL;
    st = suggest(name, trouble);
done:
    return st;
}

/* ---- saving ------------------------------------------------------------------------------- */

/* Every folder of `path` that is missing. */
static rf_status make_folders(char *path, rf_trouble *trouble)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int made = mkdir(path, 0777) == 0 || errno == EEXIST;
        if (!made)
            return rf_fail(&trouble->error, RF_E_CREATE, "--save-relay: %s: %s", path,
                           strerror(errno));
        *slash = '/';
    }
    return RF_OK;
}

rf_status rf_relay_new_path(char **path, const char *name, rf_trouble *trouble)
{
    rf_status st = RF_OK;
    *path = NULL;
    if (!is_name(name))
        return rf_fail(&trouble->error, RF_E_ARG,
                       "--save-relay: '%.80s' is no name of letters, digits, '-', '_', '+' and '.'",
                       name);
    RF_TRY(rf_relay_path(path, name, trouble));
    RF_TRY(make_folders(*path, trouble));
done:
    return st;
}
