/* Outputs are complete or absent, whatever call fails: every system call of the writer is made to
 * fail with every errno (the linker's --wrap puts ours before libc's). */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/outfile.h"
#include "engine/refinery.h"
#include "tests/files/fixture.h"

typedef enum call { NONE, OPENAT, WRITE, FSYNC, CLOSE, RENAMEAT, RENAMEAT2, LINKAT, CALLS } call;

static call failing;
static int  failing_errno, countdown, short_writes;

static int fails(call which)
{
    if (failing != which || countdown-- > 0) return 0;
    errno = failing_errno;
    return 1;
}

int     __real_openat(int dir, const char *name, int flags, mode_t mode);
int     __wrap_openat(int dir, const char *name, int flags, mode_t mode);
ssize_t __real_write(int fd, const void *data, size_t bytes);
ssize_t __wrap_write(int fd, const void *data, size_t bytes);
int     __real_fsync(int fd);
int     __wrap_fsync(int fd);
int     __real_close(int fd);
int     __wrap_close(int fd);
int     __real_renameat(int a, const char *from, int b, const char *to);
int     __wrap_renameat(int a, const char *from, int b, const char *to);
int     __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int     __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int     __real_linkat(int a, const char *from, int b, const char *to, int flags);
int     __wrap_linkat(int a, const char *from, int b, const char *to, int flags);

int __wrap_openat(int dir, const char *name, int flags, mode_t mode)
{
    return fails(OPENAT) ? -1 : __real_openat(dir, name, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
    if (fails(WRITE)) return -1;
    return __real_write(fd, data, short_writes && bytes > 7 ? 7 : bytes);
}

int __wrap_fsync(int fd)
{
    return fails(FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_close(int fd)
{
    const int result = __real_close(fd); /* a failing close closes all the same */
    return fails(CLOSE) ? -1 : result;
}

int __wrap_renameat(int a, const char *from, int b, const char *to)
{
    return fails(RENAMEAT) ? -1 : __real_renameat(a, from, b, to);
}

int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    return fails(RENAMEAT2) ? -1 : __real_renameat2(a, from, b, to, flags);
}

int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
    return fails(LINKAT) ? -1 : __real_linkat(a, from, b, to, flags);
}

/* Entries of the fixture's folder. */
static int entries(void)
{
    int  n = 0;
    DIR *d = opendir(fixture_folder());
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static rf_status put(const char *path, const char *text, int overwrite, rf_error *err)
{
    rf_status  st = RF_OK;
    rf_outfile f = {0};
    RF_TRY(rf_outfile_create(&f, path, overwrite, err));
    RF_TRY(rf_outfile_write(&f, text, strlen(text), err));
    RF_TRY(rf_outfile_commit(&f, err));
done:
    rf_outfile_discard(&f);
    return st;
}

static int holds(const char *path, const char *text)
{
    char  got[256] = "";
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    return strcmp(got, text) == 0;
}

TestSuite(outfile, .timeout = 60, .fini = fixture_cleanup);

Test(outfile, a_file_appears_whole)
{
    rf_error    err;
    const char *path = fixture_path("out");
    short_writes = 1;
    cr_assert_eq(put(path, "twenty bytes of text", 0, &err), RF_OK, "%s", err.message);
    cr_expect(holds(path, "twenty bytes of text"));
    cr_expect_eq(put(path, "other", 0, &err), RF_E_EXISTS);
    cr_expect(holds(path, "twenty bytes of text"));
    cr_expect_eq(put(path, "other", 1, &err), RF_OK);
    cr_expect(holds(path, "other"));
    cr_expect_eq(entries(), 1);
}

Test(outfile, names_that_cannot_be)
{
    rf_error err;
    char     longest[300], folder[400];
    memset(longest, 'x', sizeof longest);
    longest[255] = '\0';
    mkdir(fixture_path("sub"), 0755);
    cr_expect_eq(put("", "x", 0, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path("sub"), "x", 0, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path("sub"), "x", 1, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path("sub/"), "x", 1, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path("sub/.."), "x", 1, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path("none/x"), "x", 1, &err), RF_E_CREATE);
    cr_expect_not_null(strstr(err.message, "does not exist"), "%s", err.message);
    cr_expect_eq(put("/dev/null", "x", 1, &err), RF_E_CREATE);
    cr_expect_eq(put(fixture_path(longest), "x", 0, &err), RF_OK, "%s", err.message);
    longest[255] = 'x', longest[256] = '\0';
    cr_expect_eq(put(fixture_path(longest), "x", 0, &err), RF_E_CREATE);
    snprintf(folder, sizeof folder, "%s/f", fixture_folder());
    cr_expect_eq(put(folder, "x", 0, &err), RF_OK);
    cr_expect_eq(put(fixture_path("f/x"), "x", 0, &err), RF_E_CREATE);
    cr_expect_eq(entries(), 3);
}

/* A link is replaced, never followed. */
Test(outfile, links_are_not_followed)
{
    rf_error err;
    fixture_raw(fixture_path("victim"), "keep", 4);
    cr_assert_eq(symlink(fixture_path("victim"), fixture_path("link")), 0);
    cr_expect_eq(put(fixture_path("link"), "x", 0, &err), RF_E_EXISTS);
    cr_expect_eq(put(fixture_path("link"), "x", 1, &err), RF_OK);
    cr_expect(holds(fixture_path("victim"), "keep"));
    cr_expect(holds(fixture_path("link"), "x"));
}

Test(outfile, check_foretells)
{
    rf_error err;
    cr_expect_eq(rf_output_check(fixture_path("new.png"), 0, &err), RF_OK);
    fixture_raw(fixture_path("old.png"), "x", 1);
    cr_expect_eq(rf_output_check(fixture_path("old.png"), 0, &err), RF_E_EXISTS);
    cr_expect_eq(rf_output_check(fixture_path("old.png"), 1, &err), RF_OK);
    cr_expect_eq(rf_output_check(fixture_path("none/new.png"), 0, &err), RF_E_CREATE);
    cr_expect_eq(rf_output_check(fixture_folder(), 1, &err), RF_E_CREATE);
    cr_expect_eq(rf_output_check(NULL, 0, &err), RF_E_ARG);
    cr_expect_eq(entries(), 1);
    if (geteuid() == 0) cr_assert_eq(seteuid(65534), 0); /* root may write anywhere */
    if (getuid() != 0) chmod(fixture_folder(), 0555);
    cr_expect_eq(rf_output_check(fixture_path("new.png"), 0, &err), RF_E_PERMISSION);
    cr_expect_eq(put(fixture_path("new"), "x", 0, &err), RF_E_PERMISSION);
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
    chmod(fixture_folder(), 0755);
}

static const struct {
    int       code;
    rf_status want;
} codes[] = {{ENOSPC, RF_E_NO_SPACE},   {EDQUOT, RF_E_NO_SPACE},  {EFBIG, RF_E_NO_SPACE},
             {EACCES, RF_E_PERMISSION}, {EPERM, RF_E_PERMISSION}, {EROFS, RF_E_PERMISSION},
             {EMFILE, RF_E_CREATE},     {ENOENT, RF_E_CREATE},    {EIO, RF_E_IO},
             {ENOMEM, RF_E_NOMEM},      {ESTALE, RF_E_IO}};

Test(outfile, every_call_may_fail)
{
    const char *path = fixture_path("out");
    for (int which = OPENAT; which <= RENAMEAT2; which++)
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
            for (int overwrite = 0; overwrite < 2; overwrite++) {
                rf_error err;
                if (which == (overwrite ? RENAMEAT2 : RENAMEAT)) continue; /* not called */
                if (overwrite) fixture_raw(path, "old", 3);
                failing = (call)which, failing_errno = codes[i].code, countdown = 0;
                const rf_status st = put(path, "new", overwrite, &err);
                failing = NONE;
                cr_expect_eq(st, codes[i].want, "call %d errno %d: %s", which, codes[i].code,
                             err.message);
                cr_expect_eq(entries(), overwrite, "call %d leaves something", which);
                if (overwrite) cr_expect(holds(path, "old"));
                unlink(path);
            }
}

/* Without RENAME_NOREPLACE a hard link does the same; a file that appears meanwhile stays. */
Test(outfile, old_file_systems)
{
    rf_error  err;
    const int missing[] = {EINVAL, ENOSYS};
    for (int i = 0; i < 2; i++) {
        rf_outfile f;
        failing = RENAMEAT2, failing_errno = missing[i], countdown = 0;
        cr_expect_eq(put(fixture_path("out"), "text", 0, &err), RF_OK);
        cr_expect(holds(fixture_path("out"), "text"));
        cr_expect_eq(entries(), 1);
        unlink(fixture_path("out"));
        for (int fallback = 0; fallback < 2; fallback++) {
            failing = fallback ? RENAMEAT2 : NONE;
            cr_assert_eq(rf_outfile_create(&f, fixture_path("out"), 0, &err), RF_OK);
            fixture_raw(fixture_path("out"), "theirs", 6);
            cr_expect_eq(rf_outfile_commit(&f, &err), RF_E_EXISTS);
            cr_expect(holds(fixture_path("out"), "theirs"));
            cr_expect_eq(entries(), 1);
            unlink(fixture_path("out"));
        }
    }
}

Test(outfile, a_picture_that_does_not_fit_leaves_nothing)
{
    static uint8_t        rgb[256 * 256 * 3];
    const rf_picture_text text = {"parameters", "text"};
    const struct rlimit   limit = {.rlim_cur = 20000, .rlim_max = 20000};
    rf_error              err;
    uint32_t              x = 1;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(rf_png_write(fixture_path("a.png"), rgb, 256, 256, &text, 1, 0, &err),
                 RF_E_NO_SPACE, "%s", err.message);
    cr_expect_eq(entries(), 0);
    rf_status st = RF_E_NO_SPACE;
    int       at = 0;
    for (; st != RF_OK; at++) { /* the disk fills up at the first, second, ... write */
        failing = WRITE, failing_errno = ENOSPC, countdown = at;
        st = rf_png_write(fixture_path("a.png"), rgb, 32, 32, &text, 1, 0, &err);
        failing = NONE;
        cr_expect(st == RF_OK || st == RF_E_NO_SPACE, "%s", err.message);
        cr_expect_eq(entries(), st == RF_OK);
        cr_assert_lt(at, 1000);
    }
    cr_expect_gt(at, 4, "%d", at);
}
