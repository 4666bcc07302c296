/* See fixture.h.  Criterion gives every test a process, so static buffers are the test's own. */
#include "tests/files/fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/sdxl_layout.h"

static char folder[64];

const char *fixture_folder(void)
{
    if (!folder[0]) {
        strcpy(folder, "/tmp/refinery-test-XXXXXX");
        cr_assert_not_null(mkdtemp(folder));
        chmod(folder, 0755);
    }
    return folder;
}

void fixture_cleanup(void)
{
    if (!folder[0]) return;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0) {
            char inner[400];
            snprintf(inner, sizeof inner, "%s/%s/model_index.json", folder, e->d_name);
            unlink(inner);
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        }
    }
    if (d) closedir(d);
    rmdir(folder);
}

const char *fixture_path(const char *name)
{
    static char paths[4][400];
    static int  turn;
    char       *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", fixture_folder(), name);
    return path;
}

void fixture_raw(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    if (bytes) cr_assert_eq(fwrite(data, 1, bytes, f), bytes);
    cr_assert_eq(fclose(f), 0);
}

void fixture_file(const char *path, const char *header, size_t header_bytes, uint64_t data_bytes)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header_bytes >> 8 * i);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fwrite(length, 1, 8, f), 8);
    if (header_bytes) cr_assert_eq(fwrite(header, 1, header_bytes, f), header_bytes);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(truncate(path, (off_t)(8 + header_bytes + data_bytes)), 0);
}

static void add_text(fixture *f, const char *s)
{
    const size_t n = strlen(s);
    if (f->bytes + n + 1 > f->room) {
        f->room = 2 * (f->bytes + n + 1);
        f->text = realloc(f->text, f->room);
        cr_assert_not_null(f->text);
    }
    memcpy(f->text + f->bytes, s, n + 1);
    f->bytes += n;
}

void fixture_add(fixture *f, const char *name, const char *dtype, int ndim, const int64_t *dim,
                 size_t elem_bytes)
{
    char     entry[1024];
    uint64_t bytes = elem_bytes;
    int      n = snprintf(entry, sizeof entry, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                     f->count++ ? ',' : '{', name, dtype);
    for (int i = 0; i < ndim; i++) {
        bytes *= (uint64_t)dim[i];
        n += snprintf(entry + n, sizeof entry - (size_t)n, "%s%" PRId64, i ? "," : "", dim[i]);
    }
    snprintf(entry + n, sizeof entry - (size_t)n, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
             f->data, f->data + bytes);
    f->data += bytes;
    add_text(f, entry);
}

void fixture_write(fixture *f, const char *path)
{
    add_text(f, f->count ? "}" : "{}");
    fixture_file(path, f->text, f->bytes, f->data);
    free(f->text);
    *f = (fixture){0};
}

typedef struct layout_user {
    fixture           *f;
    const char        *dtype;
    size_t             elem_bytes;
    const char *const *skip;
} layout_user;

static rf_status add_layout(void *user, const rf_layout_tensor *t)
{
    const layout_user *u = user;
    for (const char *const *s = u->skip; s && *s; s++)
        if (strcmp(*s, t->name) == 0) return RF_OK;
    const int wide = t->role == RF_ROLE_POSITION_IDS;
    fixture_add(u->f, t->name, wide ? "I64" : u->dtype, t->ndim, t->dim, wide ? 8 : u->elem_bytes);
    return RF_OK;
}

void fixture_layout(fixture *f, const rf_sdxl_arch *arch, const char *dtype, size_t elem_bytes,
                    const char *const *skip)
{
    layout_user u = {.f = f, .dtype = dtype, .elem_bytes = elem_bytes, .skip = skip};
    cr_assert_eq(rf_sdxl_layout(arch, add_layout, &u), RF_OK);
}
