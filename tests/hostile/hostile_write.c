/* Writing; see hostile.h.  What cannot be written ends the program: nothing was tested then. */
#include "tests/hostile/hostile.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/tensors.h"
#include "engine/files/sdxl_layout.h"
#include "engine/files/synth.h"

static void must(int done, const char *what)
{
    if (done) return;
    perror(what);
    exit(1);
}

/* ---- cases -------------------------------------------------------------------------------- */

void hostile_begin(hostile *h, const char *family, hostile_slot slot)
{
    h->family = family;
    h->number = 0;
    h->now.slot = slot;
}

const char *hostile_next(hostile *h, const char *what, rf_status want, const char *said)
{
    h->now.what = what;
    h->now.want = want;
    h->now.said = said;
    h->number++;
    snprintf(h->now.id, sizeof h->now.id, "%s.%d", h->family, h->number);
    snprintf(h->path, sizeof h->path, "%s/%s-%03d%s", h->folder, h->family, h->number,
             h->now.slot == HOSTILE_FOLDER ? "" : ".safetensors");
    return h->path;
}

void hostile_made(hostile *h)
{
    h->made(h->user, &h->now, h->path);
}

void hostile_bytes(const char *path, const void *bytes, size_t count)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    must(fd >= 0, path);
    must(write(fd, bytes, count) == (ssize_t)count && close(fd) == 0, path);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

void hostile_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void hostile_raw(hostile *h, const char *what, const void *bytes, size_t count, rf_status want,
                 const char *said)
{
    hostile_bytes(hostile_next(h, what, want, said), bytes, count);
    hostile_made(h);
}

/* The length, the header, and a hole for the data: gigabytes are cheap. */
static void write_file(const char *path, const char *text, size_t bytes, uint64_t data)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)bytes >> 8 * i);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    must(fd >= 0, path);
    must(write(fd, length, 8) == 8 && write(fd, text, bytes) == (ssize_t)bytes, path);
    must(ftruncate(fd, (off_t)(8 + bytes + data)) == 0 && close(fd) == 0, path);
}

void hostile_header(hostile *h, const char *what, const char *text, size_t bytes, uint64_t data,
                    rf_status want, const char *said)
{
    write_file(hostile_next(h, what, want, said), text, bytes ? bytes : strlen(text), data);
    hostile_made(h);
}

void hostile_tensor(hostile *h, const char *value, uint64_t data, rf_status want, const char *said)
{
    char header[4096];
    snprintf(header, sizeof header, "{\"t\":%s}", value);
    hostile_header(h, value, header, 0, data, want, said);
}

void hostile_headers(hostile *h, const char *const *text, size_t count, uint64_t data,
                     rf_status want, const char *said)
{
    for (size_t i = 0; i < count; i++) hostile_header(h, text[i], text[i], 0, data, want, said);
}

/* ---- files of many tensors ---------------------------------------------------------------- */

static void append(hostile_tensors *t, const char *s)
{
    const size_t n = strlen(s);
    if (t->bytes + n + 1 > t->room) {
        t->room = 2 * (t->bytes + n + 1);
        t->text = realloc(t->text, t->room);
        must(t->text != NULL, "memory");
    }
    memcpy(t->text + t->bytes, s, n + 1);
    t->bytes += n;
}

static uint64_t bytes_of(const char *dtype, const char *shape)
{
    uint64_t bytes = 1;
    for (int i = 0; i < RF_FILETYPES; i++)
        if (strcmp(rf_filetype_name((rf_filetype)i), dtype) == 0)
            bytes = rf_filetype_bytes((rf_filetype)i);
    for (const char *s = shape; *s; s += strspn(s, ",")) {
        char *end;
        bytes *= strtoull(s, &end, 10);
        s = end;
    }
    return bytes;
}

void hostile_add(hostile_tensors *t, const char *name, const char *dtype, const char *shape)
{
    char           entry[1024];
    const uint64_t bytes = bytes_of(dtype, shape);
    snprintf(entry, sizeof entry,
             "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRIu64 ",%" PRIu64
             "]}",
             t->count++ ? ',' : '{', name, dtype, shape, t->data, t->data + bytes);
    append(t, entry);
    t->data += bytes;
}

void hostile_add_value(hostile_tensors *t, const char *name, const char *dtype, const char *shape,
                       const void *value, size_t bytes)
{
    must(t->values < (int)HOSTILE_COUNT(t->value), "values");
    t->value[t->values].at = t->data;
    memcpy(t->value[t->values++].bytes, value, bytes);
    hostile_add(t, name, dtype, shape);
}

void hostile_write(hostile_tensors *t, const char *path)
{
    append(t, t->count ? "}" : "{}");
    write_file(path, t->text, t->bytes, t->data);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0, path);
    for (int i = 0; i < t->values; i++) {
        const uint64_t at = t->value[i].at, left = t->data - at;
        const size_t   now = left < 8 ? (size_t)left : 8;
        must(pwrite(fd, t->value[i].bytes, now, (off_t)(8 + t->bytes + at)) == (ssize_t)now, path);
    }
    must(close(fd) == 0, path);
    free(t->text);
    *t = (hostile_tensors){0};
}

void hostile_file(hostile *h, hostile_tensors *t, const char *what, rf_status want,
                  const char *said)
{
    hostile_write(t, hostile_next(h, what, want, said));
    hostile_made(h);
}

/* ---- layouts ------------------------------------------------------------------------------ */

const rf_sdxl_arch *hostile_tiny(void)
{
    static rf_sdxl_arch arch;
    must(rf_synth_arch(&arch, "tiny", NULL) == RF_OK, "arch");
    return &arch;
}

typedef struct layout {
    hostile_tensors    *t;
    const hostile_edit *edit;
    int                 edits;
} layout;

/* Length of the front that an edit ending in '*' means; 0: it means one name. */
static size_t front_of(const hostile_edit *e)
{
    const size_t n = strlen(e->name);
    return n && e->name[n - 1] == '*' ? n - 1 : 0;
}

static rf_status add_layout(void *user, const rf_layout_tensor *want)
{
    const layout *l = user;
    char          shape[96] = "", name[512];
    const char   *dtype = want->role == RF_ROLE_POSITION_IDS ? "I64" : "F16", *dims = shape;
    snprintf(name, sizeof name, "%s", want->name);
    for (int i = 0; i < want->ndim; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%" PRId64, i ? "," : "",
                 want->dim[i]);
    for (int i = 0; i < l->edits; i++) {
        const hostile_edit *e = &l->edit[i];
        const size_t        front = front_of(e);
        if (front ? strncmp(want->name, e->name, front) != 0 : strcmp(want->name, e->name) != 0)
            continue;
        if (e->rename && !e->rename[0]) return RF_OK;
        if (e->rename)
            snprintf(name, sizeof name, "%s%s", e->rename, front ? want->name + front : "");
        if (e->dtype) dtype = e->dtype;
        if (e->shape) dims = e->shape;
    }
    hostile_add(l->t, name, dtype, dims);
    return RF_OK;
}

void hostile_layout(hostile_tensors *t, const rf_sdxl_arch *arch, const hostile_edit *edit,
                    int edits)
{
    layout l = {.t = t, .edit = edit, .edits = edits};
    must(rf_sdxl_layout(arch, add_layout, &l) == RF_OK, "layout");
}
