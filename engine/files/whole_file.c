/* See whole_file.h. */
#include "engine/files/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/os_error.h"

static rf_status os_failed(const char *path, int code, rf_error *err)
{
    return rf_fail(err, rf_read_status(code), "%s: %s", path, rf_errno_text(code));
}

/* Reads until `room` bytes are there or the file ends, which it may do early. */
static rf_status fill(int fd, char *text, size_t room, size_t *bytes, const char *path,
                      rf_error *err)
{
    for (*bytes = 0; *bytes < room;) {
        const ssize_t n = read(fd, text + *bytes, room - *bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return os_failed(path, errno, err);
        if (n == 0) break;
        *bytes += (size_t)n;
    }
    return RF_OK;
}

rf_status rf_whole_file_read(char **out, size_t *bytes, const char *path, size_t limit,
                             rf_error *err)
{
    rf_status   st = RF_OK;
    struct stat about;
    char       *text = NULL;
    *out = NULL;
    *bytes = 0;
    /* a FIFO must not be waited for */
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (!path) return rf_fail(err, RF_E_ARG, "no file to read was named");
    if (fd < 0) return os_failed(path, errno, err);
    if (fstat(fd, &about) != 0) {
        st = os_failed(path, errno, err);
        goto done;
    }
    if (!S_ISREG(about.st_mode)) {
        st = rf_fail(err, RF_E_IO, "%s is not a regular file", path);
        goto done;
    }
    if (about.st_size < 0 || (uint64_t)about.st_size > limit) {
        st = rf_fail(err, RF_E_FORMAT, "%s is %lld bytes; at most %zu are read", path,
                     (long long)about.st_size, limit);
        goto done;
    }
    text = malloc((size_t)about.st_size + 1);
    if (!text) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory for its %lld bytes", path,
                     (long long)about.st_size);
        goto done;
    }
    RF_TRY(fill(fd, text, (size_t)about.st_size, bytes, path, err));
    text[*bytes] = '\0';
    *out = text;
    text = NULL;
done:
    free(text);
    close(fd);
    return st;
}
