/* The cache folder (XDG Base Directory Specification 0.8). */
#include "tools/cache_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int make_folder(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

char *rf_cache_path_sha256(void)
{
    char        path[PATH_MAX];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const int   absolute = cache && *cache == '/'; /* the specification ignores relative ones */
    const char *root = absolute ? cache : home;
    if (!root || *root != '/') return NULL;
    int len = snprintf(path, sizeof path, "%s%s", root, absolute ? "" : "/.cache");
    if (len >= (int)sizeof path - 32 || !make_folder(path)) return NULL;
    snprintf(path + len, sizeof path - (size_t)len, "/refinery");
    if (!make_folder(path)) return NULL;
    len = (int)strlen(path);
    snprintf(path + len, sizeof path - (size_t)len, "/sha256");
    return strdup(path);
}
