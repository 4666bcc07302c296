/* Temporary file, sync, rename; see outfile.h. */
#include "engine/files/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/os_error.h"

enum {
    WRITE_MAX = 1 << 30, /* Linux moves at most 2^31 - 4096 bytes at once */
    TRIES = 16,          /* random names until one is free; the first nearly always is */
    NAME_KEPT = 200,     /* bytes of a long name that stay in the temporary one: it must fit 255 */
};

static rf_status failed(const rf_outfile *f, int code, const char *what, rf_error *err)
{
    return rf_fail(err, rf_write_status(code), "%s: %s: %s", f->path, what, rf_errno_text(code));
}

/* Opens the folder and finds the last component. */
static rf_status open_folder(rf_outfile *f, rf_error *err)
{
    char        folder[PATH_MAX];
    const char *slash = strrchr(f->path, '/');
    f->name = slash ? slash + 1 : f->path;
    if (!*f->name || strcmp(f->name, ".") == 0 || strcmp(f->name, "..") == 0)
        return rf_fail(err, RF_E_CREATE, "%s: a file name is expected, not a folder's",
                       *f->path ? f->path : "(empty output path)");
    const size_t n = slash ? (size_t)(slash - f->path) : 0;
    if (n >= sizeof folder || strlen(f->name) > NAME_MAX)
        return failed(f, ENAMETOOLONG, "cannot be created", err);
    if (n) memcpy(folder, f->path, n);
    folder[n] = '\0';
    f->dir = open(n ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0 && errno == ENOENT)
        return rf_fail(err, RF_E_CREATE, "%s: the folder %s does not exist", f->path, folder);
    if (f->dir < 0) return failed(f, errno, "its folder cannot be opened", err);
    return RF_OK;
}

/* What already has the name: nothing, or a file that may be replaced. */
static rf_status check_target(const rf_outfile *f, rf_error *err)
{
    struct stat info;
    if (fstatat(f->dir, f->name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? RF_OK : failed(f, errno, "cannot be created", err);
    if (S_ISDIR(info.st_mode)) return rf_fail(err, RF_E_CREATE, "%s: is a folder", f->path);
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) /* never replace /dev/null */
        return rf_fail(err, RF_E_CREATE, "%s: a device, pipe or socket, not a file", f->path);
    if (!f->overwrite)
        return rf_fail(err, RF_E_EXISTS, "%s: already exists; overwriting must be asked for",
                       f->path);
    return RF_OK;
}

static rf_status start(rf_outfile *f, const char *path, int overwrite, rf_error *err)
{
    rf_status st = RF_OK;
    *f = (rf_outfile){.path = path, .overwrite = overwrite, .dir = -1, .fd = -1};
    RF_TRY(open_folder(f, err));
    RF_TRY(check_target(f, err));
    if (faccessat(f->dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        st = failed(f, errno, "its folder cannot be written to", err);
done:
    return st;
}

rf_status rf_outfile_check(const char *path, int overwrite, rf_error *err)
{
    rf_outfile      f;
    const rf_status st = start(&f, path, overwrite, err);
    rf_outfile_discard(&f);
    return st;
}

rf_status rf_outfile_create(rf_outfile *out, const char *path, int overwrite, rf_error *err)
{
    rf_status st = RF_OK;
    int       code = EEXIST;
    RF_TRY(start(out, path, overwrite, err));
    for (int i = 0; i < TRIES && out->fd < 0 && code == EEXIST; i++) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint32_t)i;
        snprintf(out->temp, sizeof out->temp, ".%.*s.%08x.tmp", NAME_KEPT, out->name, random);
        out->fd =
            openat(out->dir, out->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        code = errno;
    }
    if (out->fd < 0) {
        out->temp[0] = '\0'; /* whatever has that name is not ours */
        st = failed(out, code, "cannot be created", err);
    }
done:
    if (st != RF_OK) rf_outfile_discard(out);
    return st;
}

rf_status rf_outfile_write(rf_outfile *out, const void *data, size_t bytes, rf_error *err)
{
    const char *from = data;
    while (bytes > 0) {
        const ssize_t n = write(out->fd, from, bytes < WRITE_MAX ? bytes : WRITE_MAX);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(out, errno, "cannot be written", err);
        if (n == 0) return failed(out, EIO, "cannot be written", err);
        from += n;
        bytes -= (size_t)n;
        out->bytes += (uint64_t)n;
    }
    return RF_OK;
}

/* Moves the temporary file to its name; errno style. */
static int move(rf_outfile *out)
{
    if (out->overwrite) return renameat(out->dir, out->temp, out->dir, out->name) ? errno : 0;
    if (renameat2(out->dir, out->temp, out->dir, out->name, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    /* This file system cannot; a hard link cannot replace anything either. */
    if (linkat(out->dir, out->temp, out->dir, out->name, 0) != 0) return errno;
    unlinkat(out->dir, out->temp, 0);
    return 0;
}

rf_status rf_outfile_commit(rf_outfile *out, rf_error *err)
{
    rf_status st = RF_OK;
    if (fsync(out->fd) != 0) {
        st = failed(out, errno, "cannot be written to disk", err);
        goto done;
    }
    const int fd = out->fd;
    out->fd = -1;
    if (close(fd) != 0 && errno != EINTR) { /* network file systems report a full disk here */
        st = failed(out, errno, "cannot be written", err);
        goto done;
    }
    const int code = move(out);
    if (code == EEXIST) {
        st =
            rf_fail(err, RF_E_EXISTS, "%s: came into being meanwhile and is left alone", out->path);
        goto done;
    }
    if (code) {
        st = failed(out, code, "cannot be given its name", err);
        goto done;
    }
    out->temp[0] = '\0';
    /* Some file systems cannot sync a folder and say EINVAL: there is nothing more to do then. */
    if (fsync(out->dir) != 0 && errno != EINVAL && errno != ENOTSUP)
        st = failed(out, errno, "its folder cannot be written to disk", err);
done:
    rf_outfile_discard(out);
    return st;
}

void rf_outfile_discard(rf_outfile *out)
{
    if (!out->path) return;
    if (out->temp[0]) unlinkat(out->dir, out->temp, 0);
    if (out->fd >= 0) close(out->fd);
    if (out->dir >= 0) close(out->dir);
    *out = (rf_outfile){.dir = -1, .fd = -1};
}
