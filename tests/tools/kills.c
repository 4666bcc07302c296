/* See kills.h.  After every kill each picture that has its final name must be whole; after every
 * end all of them must be there, and nothing else. */
#include "tests/tools/kills.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CELLS = 6 };

static const char *const FILES[] = {"cells/x00-y00-z00.png",
                                    "cells/x01-y00-z00.png",
                                    "cells/x02-y00-z00.png",
                                    "cells/x00-y01-z00.png",
                                    "cells/x01-y01-z00.png",
                                    "cells/x02-y01-z00.png",
                                    "grid.png",
                                    "results.jsonl",
                                    "report.html",
                                    "journal.sqlite",
                                    "sweep.identity"};

enum { COMPARED = CELLS + 1, ALL = CELLS + 5 }; /* the pictures; every file */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Starts a sweep into `folder`; its messages go to a file beside it. */
static pid_t start(const rf_kills *k, const char *folder, int resume)
{
    char                       log[PATH_MAX];
    pid_t                      pid = -1;
    posix_spawn_file_actions_t to;
    const char *const          words[] = {k->command,
                                          "sweep",
                                          "-m",
                                          k->base,
                                          "-r",
                                          k->refiner,
                                          "--x",
                                          "Refiner switch at: 0.25, 0.5, 0.75",
                                          "--y",
                                          "Seed: 1-2",
                                          "-p",
                                          "a fox",
                                          "--size",
                                          "64x64",
                                          "--steps",
                                          "4",
                                          "--sampler",
                                          "DPM++ 2M SDE",
                                          "--threads",
                                          "1",
                                          "--dtype",
                                          "f32",
                                          "-o",
                                          folder,
                                 resume ? "--resume" : NULL,
                                          NULL};
    snprintf(log, sizeof log, "%s.log", folder);
    posix_spawn_file_actions_init(&to);
    posix_spawn_file_actions_addopen(&to, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&to, 1, 2);
    if (posix_spawn(&pid, k->command, &to, NULL, (char *const *)words, environ) != 0) pid = -1;
    posix_spawn_file_actions_destroy(&to);
    return pid;
}

/* Exit code; 1000 + signal. */
static int finish(pid_t pid)
{
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static char *read_file(const char *folder, const char *name, size_t *bytes)
{
    char        path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "rb");
    if (!file) return NULL;
    char *data = fstat(fileno(file), &info) == 0 ? malloc((size_t)info.st_size + 1) : NULL;
    *bytes = data ? fread(data, 1, (size_t)info.st_size, file) : 0;
    fclose(file);
    return data;
}

/* -1: there is none; 1: it is that of the undisturbed sweep; 0: it is another. */
static int same(const char *folder, const char *reference, const char *name)
{
    size_t      n = 0, m = 0;
    char *const a = read_file(folder, name, &n), *const b = read_file(reference, name, &m);
    const int equal = a && b && n == m && memcmp(a, b, n) == 0;
    const int there = a != NULL;
    free(a);
    free(b);
    return there ? equal : -1;
}

static int count_strays(const char *folder, const char *inner)
{
    char path[PATH_MAX], name[PATH_MAX];
    int  strays = 0;
    snprintf(path, sizeof path, "%s/%s", folder, inner);
    DIR *const dir = opendir(path);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        int known = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    strcmp(e->d_name, "cells") == 0;
        snprintf(name, sizeof name, "%s%s", inner, e->d_name);
        for (int i = 0; i < ALL; i++) known |= strcmp(FILES[i], name) == 0;
        strays += !known;
    }
    if (dir) closedir(dir);
    return strays;
}

static void look(const char *folder, const char *reference, int finished, rf_killed *out)
{
    for (int i = 0; i < COMPARED; i++) {
        const int found = same(folder, reference, FILES[i]);
        out->wrong += found == 0;
        out->lost += found < 0 && finished;
    }
    if (finished) out->stray += count_strays(folder, "") + count_strays(folder, "cells/");
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

/* Kills the process after `wait` seconds, if it still runs; what `finish` says. */
static int strike(pid_t pid, double wait)
{
    const struct timespec t = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
    nanosleep(&t, NULL);
    kill(pid, SIGKILL);
    return finish(pid);
}

static double random_part(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u; /* Knuth's */
    return (double)(*state >> 8) / (1 << 24);
}

/* Once more, undisturbed: what is left is made, or nothing. */
static void end_sweep(const rf_kills *k, const char *folder, const char *reference, rf_killed *out)
{
    out->refused += finish(start(k, folder, 1)) != 0;
    out->finished++;
    look(folder, reference, 1, out);
}

int rf_kills_run(const rf_kills *k, rf_killed *out)
{
    char         reference[PATH_MAX], folder[PATH_MAX];
    unsigned     state = k->seed;
    const double begun = now();
    *out = (rf_killed){.kills = 0};
    snprintf(reference, sizeof reference, "%s/undisturbed", k->folder);
    snprintf(folder, sizeof folder, "%s/killed", k->folder);
    const int code = finish(start(k, reference, 0));
    if (code != 0) {
        fprintf(stderr, "the undisturbed sweep ended with %d; see %s.log\n", code, reference);
        return -1;
    }
    const double whole = now() - begun;
    int          resume = 0;
    while (out->kills < k->kills) {
        /* --resume also where the kill came before there was anything to resume */
        const pid_t pid = start(k, folder, resume);
        if (pid < 0) return -1;
        const int how = strike(pid, whole * random_part(&state));
        resume = 1;
        out->refused += how != 0 && how != 1000 + SIGKILL;
        if (how != 0) {
            out->kills += how == 1000 + SIGKILL;
            look(folder, reference, 0, out);
            if (out->refused) return -1;
            continue;
        }
        end_sweep(k, folder, reference, out); /* it was faster */
        nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        resume = 0;
    }
    end_sweep(k, folder, reference, out);
    return 0;
}
