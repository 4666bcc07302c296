/* Processes for tests; see spawn.h. */
#include "tests/tools/spawn.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64];

void rf_spawn_enter_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/refinery-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(setenv("HOME", folder, 1), 0); /* the hash cache goes there, too */
    cr_assert_eq(unsetenv("XDG_CACHE_HOME"), 0);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void rf_spawn_leave_folder(void)
{
    cr_assert_eq(chdir("/"), 0);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void rf_spawn_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void read_all(const char *path, char out[RF_SPAWN_TEXT])
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    const size_t n = fread(out, 1, RF_SPAWN_TEXT - 1, file);
    out[n] = '\0';
    fclose(file);
}

static pid_t start(char *const *words)
{
    pid_t                      pid = 0;
    posix_spawn_file_actions_t actions;
    const int                  flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "out", flags, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "err", flags, 0600);
    const int failed = posix_spawn(&pid, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    cr_assert_eq(failed, 0, "%s: %s", words[0], strerror(failed));
    return pid;
}

pid_t rf_spawn_start(char *const *words)
{
    char *argv[40] = {RF_COMMAND};
    int   n = 1;
    for (int i = 0; words[i] && n < 39; i++) argv[n++] = words[i];
    return start(argv);
}

void rf_spawn_wait(rf_spawned *result, pid_t pid)
{
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    result->code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    read_all("out", result->out);
    read_all("err", result->err);
}

void rf_spawn(rf_spawned *result, const char *command)
{
    char  line[4096], shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = {shell, option, line, NULL};
    snprintf(line, sizeof line, "%s %s", RF_COMMAND, command);
    rf_spawn_wait(result, start(argv));
}

int rf_spawn_await(const char *path, const char *text)
{
    static char now[RF_SPAWN_TEXT];
    for (int i = 0; i < 1000; i++) {
        read_all(path, now);
        if (strstr(now, text)) return 1;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return 0;
}

int rf_spawn_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void rf_spawn_write_experts(void)
{
    rf_spawn_write("pony.safetensors", "SDXL one");
    rf_spawn_write("anime.safetensors", "SDXL two");
}

void rf_spawn_expect(rf_spawned *result, const char *command, int code, const char *said)
{
    rf_spawn(result, command);
    cr_expect_eq(result->code, code, "%s: exit code %d, not %d; it said: %s", command, result->code,
                 code, result->err);
    cr_expect(strstr(result->err, said), "%s: not '%s' but: %s", command, said, result->err);
}
