/* See outfolder.h. */
#include "engine/files/outfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/os_error.h"

enum { TRIES = 16, DEPTH_MAX = 2 /* a part's folder in the folder */ };

static rf_status failed(const char *path, int code, const char *what, rf_error *err)
{
    return rf_fail(err, rf_write_status(code), "%s: %s: %s", path, what, rf_errno_text(code));
}

/* Bytes of `path` without the slashes at its end. */
static size_t length_of(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}

/* Where its last component begins. */
static size_t base_of(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/') length--;
    return length;
}

static rf_status parent_of(char parent[PATH_MAX], const char *path, rf_error *err)
{
    const size_t length = length_of(path), base = base_of(path, length);
    const char  *name = path + base;
    if (length == base || (length - base <= 2 && strspn(name, ".") == length - base))
        return rf_fail(err, RF_E_CREATE, "%s: the name of a new folder is expected",
                       *path ? path : "(empty output path)");
    if (base >= PATH_MAX || length - base > NAME_MAX)
        return failed(path, ENAMETOOLONG, "cannot be created", err);
    snprintf(parent, PATH_MAX, "%.*s", base ? (int)base : 1, base ? path : ".");
    return RF_OK;
}

/* ---- what is in the way ------------------------------------------------------------------- */

/* Calls itself for subfolders: `inside` is the path below `root`. */
static rf_status check_inside(const char *root, const char *inside, int depth,
                              rf_outfolder_knows *knows, rf_error *err)
{
    rf_status      st = RF_OK;
    char           path[PATH_MAX], below[PATH_MAX];
    struct dirent *entry;
    struct stat    info;
    snprintf(path, sizeof path, "%s/%s", root, inside);
    DIR *dir = opendir(path);
    if (!dir) return failed(path, errno, "cannot be looked at", err);
    while (st == RF_OK && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(below, sizeof below, "%s%s%.255s", inside, *inside ? "/" : "", entry->d_name);
        const int there = fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISDIR(info.st_mode) && depth < DEPTH_MAX)
            st = check_inside(root, below, depth + 1, knows, err);
        else if (!there || !S_ISREG(info.st_mode) || !knows(below))
            st = rf_fail(err, RF_E_CREATE,
                         "%s: is not replaced, as it holds %s, which refinery did not write", root,
                         below);
    }
    closedir(dir);
    return st;
}

rf_status rf_outfolder_check(const char *path, int overwrite, rf_outfolder_knows *knows,
                             rf_error *err)
{
    rf_status   st = RF_OK;
    char        parent[PATH_MAX];
    struct stat info;
    RF_TRY(parent_of(parent, path, err));
    if (stat(parent, &info) != 0 || !S_ISDIR(info.st_mode))
        return rf_fail(err, RF_E_CREATE, "%s: the folder %s does not exist", path, parent);
    if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) != 0)
        return failed(path, errno, "its folder cannot be written to", err);
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? RF_OK : failed(path, errno, "cannot be created", err);
    if (!S_ISDIR(info.st_mode))
        return rf_fail(err, RF_E_CREATE, "%s: is no folder, and is not replaced by one", path);
    if (!overwrite)
        return rf_fail(err, RF_E_EXISTS, "%s: already exists; overwriting must be asked for", path);
    st = check_inside(path, "", 1, knows, err);
done:
    return st;
}

/* ---- making it ---------------------------------------------------------------------------- */

rf_status rf_outfolder_create(rf_outfolder *out, const char *path, int overwrite,
                              rf_outfolder_knows *knows, rf_error *err)
{
    rf_status    st = RF_OK;
    int          code = EEXIST;
    const size_t length = length_of(path), base = base_of(path, length);
    *out = (rf_outfolder){.path = path, .overwrite = overwrite};
    RF_TRY(rf_outfolder_check(path, overwrite, knows, err));
    for (int i = 0; i < TRIES && code == EEXIST; i++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint32_t)i;
        free(out->temp);
        if (asprintf(&out->temp, "%.*s.%.*s.%08x.tmp", (int)base, path,
                     (int)(length - base < 200 ? length - base : 200), path + base, random) < 0) {
            out->temp = NULL;
            return rf_fail(err, RF_E_NOMEM, "%s: out of memory", path);
        }
        code = mkdir(out->temp, 0777) == 0 ? 0 : errno;
    }
    if (code) {
        free(out->temp); /* whatever has that name is not ours */
        out->temp = NULL;
        st = failed(path, code, "cannot be created", err);
    }
done:
    return st;
}

rf_status rf_outfolder_subfolder(const rf_outfolder *out, const char *name, rf_error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", out->temp, name) >= (int)sizeof path)
        return failed(out->path, ENAMETOOLONG, "cannot be created", err);
    return mkdir(path, 0777) == 0 ? RF_OK : failed(out->path, errno, "cannot be created", err);
}

static void remove_all(const char *path, int depth)
{
    struct dirent *entry;
    struct stat    info;
    char           below[PATH_MAX];
    DIR           *dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below)
            continue;
        if (lstat(below, &info) == 0 && S_ISDIR(info.st_mode) && depth < DEPTH_MAX)
            remove_all(below, depth + 1);
        else
            unlink(below);
    }
    if (dir) closedir(dir);
    rmdir(path);
}

/* Moves the temporary folder to its name; errno style.  The old one, if any, gets its name. */
static int move(const rf_outfolder *out)
{
    const unsigned how = out->overwrite ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, out->temp, AT_FDCWD, out->path, how) == 0) return 0;
    if (out->overwrite && errno == ENOENT) /* there is none to change places with */
        return renameat2(AT_FDCWD, out->temp, AT_FDCWD, out->path, RENAME_NOREPLACE) ? errno : 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    /* This file system cannot: rename alone replaces nothing but an empty folder. */
    if (out->overwrite) remove_all(out->path, 1);
    return rename(out->temp, out->path) ? errno : 0;
}

static void sync_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd); /* some file systems cannot sync a folder: there is nothing more to do then */
    close(fd);
}

rf_status rf_outfolder_commit(rf_outfolder *out, rf_error *err)
{
    rf_status   st = RF_OK;
    char        parent[PATH_MAX];
    struct stat info;
    sync_folder(out->temp);
    const int code = move(out);
    if (code == EEXIST) {
        st =
            rf_fail(err, RF_E_EXISTS, "%s: came into being meanwhile and is left alone", out->path);
        goto done;
    }
    if (code) {
        st = failed(out->path, code, "cannot be given its name", err);
        goto done;
    }
    if (lstat(out->temp, &info) != 0) { /* nothing was there before */
        free(out->temp);
        out->temp = NULL;
    }
    if (parent_of(parent, out->path, NULL) == RF_OK) sync_folder(parent);
done:
    rf_outfolder_discard(out);
    return st;
}

void rf_outfolder_discard(rf_outfolder *out)
{
    if (out->temp) remove_all(out->temp, 1);
    free(out->temp);
    *out = (rf_outfolder){.path = NULL};
}
