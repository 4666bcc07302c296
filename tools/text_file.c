/* Temporary file, sync, rename; see text_file.h. */
#include "tools/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 16 }; /* names that a process of the same number may have left behind */

static rf_status failed(const rf_text_file *file, rf_status status, const char *what, rf_error *err)
{
    const int code = errno;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG) status = RF_E_NO_SPACE;
    if (code == EACCES || code == EPERM || code == EROFS) status = RF_E_PERMISSION;
    return rf_fail(err, status, "%s: %s: %s", file->path, what, strerror(code));
}

/* Where the name begins in `path`. */
static size_t name_at(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static int open_temporary(rf_text_file *file, size_t room)
{
    const size_t folder = name_at(file->path);
    int          fd = -1;
    for (int i = 0; fd < 0 && i < TRIES; i++) {
        snprintf(file->temp, room, "%.*s.%.200s.%08x.tmp", (int)folder, file->path,
                 file->path + folder, (unsigned)getpid() << 8 | (unsigned)i);
        fd = open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    return fd;
}

rf_status rf_text_file_create(rf_text_file *file, const char *path, rf_error *err)
{
    rf_status    st = RF_OK;
    const size_t room = strlen(path) + 48; /* two numbers and a few letters */
    int          fd = -1;
    *file = (rf_text_file){.path = strdup(path), .temp = calloc(1, room)};
    if (!file->path || !file->temp) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to write it", path);
        goto done;
    }
    fd = open_temporary(file, room);
    if (fd < 0) {
        st = failed(file, RF_E_CREATE, "cannot be created", err);
        file->temp[0] = '\0'; /* whatever has that name is not ours */
        goto done;
    }
    file->out = fdopen(fd, "w");
    if (!file->out) {
        close(fd);
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to write it", path);
    }
done:
    if (st != RF_OK) rf_text_file_discard(file);
    return st;
}

/* So that the new name survives a power failure; file systems that cannot are left alone. */
static void sync_folder(const rf_text_file *file)
{
    const size_t n = name_at(file->path);
    char        *folder = n ? strndup(file->path, n) : strdup(".");
    const int    fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

rf_status rf_text_file_commit(rf_text_file *file, rf_error *err)
{
    rf_status st = RF_OK;
    errno = 0;
    if (fflush(file->out) != 0 || ferror(file->out) || fsync(fileno(file->out)) != 0) {
        if (!errno) errno = EIO; /* an earlier write failed; its reason is gone */
        st = failed(file, RF_E_IO, "cannot be written", err);
        goto done;
    }
    FILE *out = file->out;
    file->out = NULL;
    if (fclose(out) != 0) { /* network file systems report a full disk here */
        st = failed(file, RF_E_IO, "cannot be written", err);
        goto done;
    }
    if (rename(file->temp, file->path) != 0) {
        st = failed(file, RF_E_CREATE, "cannot be given its name", err);
        goto done;
    }
    file->temp[0] = '\0';
    sync_folder(file);
done:
    rf_text_file_discard(file);
    return st;
}

void rf_text_file_discard(rf_text_file *file)
{
    if (file->out) fclose(file->out);
    if (file->temp && file->temp[0]) unlink(file->temp);
    free(file->temp);
    free(file->path);
    *file = (rf_text_file){0};
}
