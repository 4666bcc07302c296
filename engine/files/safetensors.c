/* Opening and reading; see safetensors.h. */
#include "engine/files/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/container.h"
#include "engine/files/os_error.h"

struct rf_safetensors {
    rf_tensors list; /* list.impl is the file itself */
    rf_header  header;
    char      *path;
    uint64_t   bytes;
    int        fd;
};

/* All of `bytes`, however many reads that takes; RF_E_IO where the file ends too early. */
static rf_status read_exactly(int fd, const char *path, uint64_t at, void *dst, size_t bytes,
                              rf_error *err)
{
    char *out = dst;
    while (bytes > 0) {
        const ssize_t got = pread(fd, out, bytes, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return rf_fail(err, rf_read_status(errno), "%s: cannot be read: %s", path,
                           rf_errno_text(errno));
        if (got == 0)
            return rf_fail(err, RF_E_IO, "%s: the file was changed or truncated while in use",
                           path);
        out += got;
        at += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return RF_OK;
}

static rf_status read_tensor(const rf_tensors *self, const rf_tensor *t, uint64_t from, void *dst,
                             size_t bytes, rf_error *err)
{
    const rf_safetensors *file = self->impl;
    if (from > t->bytes || bytes > t->bytes - from)
        return rf_fail(err, RF_E_BUG, "%s: read past the end of tensor %s", self->path, t->name);
    return read_exactly(file->fd, file->path, t->offset + from, dst, bytes, err);
}

static rf_status read_header(void *user, uint64_t at, void *dst, size_t bytes, rf_error *err)
{
    const rf_safetensors *file = user;
    return read_exactly(file->fd, file->path, 8 + at, dst, bytes, err);
}

/* Folders are opened as such before anyone comes here for one file. */
static rf_status directory_refused(int fd, const char *path, rf_error *err)
{
    if (faccessat(fd, "model_index.json", F_OK, 0) == 0)
        return rf_fail(err, RF_E_MODEL, "%s: a diffusers folder, not a LoRA or another single file",
                       path);
    return rf_fail(err, RF_E_MODEL, "%s: a directory, not a checkpoint file", path);
}

/* Regular files only; O_NONBLOCK keeps a named pipe from hanging us. */
static rf_status open_regular(rf_safetensors *file, rf_error *err)
{
    struct stat info;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->fd < 0)
        return rf_fail(err, rf_read_status(errno), "%s: cannot be opened: %s", file->path,
                       rf_errno_text(errno));
    if (fstat(file->fd, &info) != 0)
        return rf_fail(err, RF_E_IO, "%s: cannot be examined: %s", file->path,
                       rf_errno_text(errno));
    if (S_ISDIR(info.st_mode)) return directory_refused(file->fd, file->path, err);
    if (!S_ISREG(info.st_mode))
        return rf_fail(err, RF_E_IO, "%s: a device, pipe or socket, not a file", file->path);
    file->bytes = (uint64_t)info.st_size;
    return RF_OK;
}

/* Names what the file is instead, or says which rule its first nine bytes break. */
static rf_status check_start(const rf_safetensors *file, uint64_t *header_bytes, rf_error *err)
{
    rf_status     st = RF_OK;
    unsigned char head[RF_SNIFF_BYTES];
    const size_t  bytes = file->bytes < sizeof head ? (size_t)file->bytes : sizeof head;
    RF_TRY(read_exactly(file->fd, file->path, 0, head, bytes, err));
    const rf_container kind = rf_container_sniff(head, bytes, file->bytes);
    if (kind != RF_CONTAINER_SAFETENSORS && kind != RF_CONTAINER_UNKNOWN)
        return rf_fail(err, kind == RF_CONTAINER_EMPTY ? RF_E_FORMAT : RF_E_MODEL, "%s: %s",
                       file->path, rf_container_text(kind));
    if (bytes < 8)
        return rf_fail(err, RF_E_FORMAT, "%s: %zu bytes are too few for a safetensors file",
                       file->path, bytes);
    const uint64_t n = rf_header_length(head);
    if (n > RF_HEADER_MAX)
        return rf_fail(
            err, RF_E_FORMAT,
            "%s: not a safetensors file, or one with far too much in its header: %" PRIu64
            " bytes where at most %d are read",
            file->path, n, RF_HEADER_MAX);
    if (n > file->bytes - 8)
        return rf_fail(err, RF_E_FORMAT,
                       "%s: the file is %" PRIu64 " bytes, its header alone says %" PRIu64
                       ": the download was cut, fetch it again",
                       file->path, file->bytes, n + 8);
    if (n < 2)
        return rf_fail(err, RF_E_FORMAT, "%s: a header of %" PRIu64 " bytes cannot hold anything",
                       file->path, n);
    *header_bytes = n;
done:
    return st;
}

rf_status rf_safetensors_open(rf_safetensors **out, const char *path, rf_error *err)
{
    rf_status       st = RF_OK;
    uint64_t        n = 0;
    rf_safetensors *file = calloc(1, sizeof *file);
    *out = NULL;
    if (!file) return rf_fail(err, RF_E_NOMEM, "%s: no memory to open it", path);
    file->fd = -1;
    file->path = strdup(path);
    if (!file->path) {
        st = rf_fail(err, RF_E_NOMEM, "%s: no memory to open it", path);
        goto done;
    }
    RF_TRY(open_regular(file, err));
    RF_TRY(check_start(file, &n, err));
    RF_TRY(rf_header_parse(&file->header, read_header, file, (size_t)n, file->bytes, path, err));
    file->list = (rf_tensors){.item = file->header.tensor,
                              .count = file->header.tensor_count,
                              .path = file->path,
                              .read = read_tensor,
                              .impl = file};
    *out = file;
    file = NULL; /* handed over */
done:
    rf_safetensors_close(file);
    return st;
}

void rf_safetensors_close(rf_safetensors *file)
{
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    rf_header_free(&file->header);
    free(file->path);
    free(file);
}

const rf_tensors *rf_safetensors_list(const rf_safetensors *file)
{
    return &file->list;
}

const rf_header *rf_safetensors_header(const rf_safetensors *file)
{
    return &file->header;
}

uint64_t rf_safetensors_bytes(const rf_safetensors *file)
{
    return file->bytes;
}
