/* The bundle's run.sh (tools/bundle/) with programs of a few lines in place of those that need a
 * GPU: it tells every outcome, goes on, and keeps its time.  And its steps are those of
 * docs/gpu-checks.md. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tools/spawn.h"

static rf_spawned said;

static char *read_file(const char *path)
{
    char *text = calloc(1, 1 << 16);
    FILE *f = fopen(path, "r");
    cr_assert(f && text, "%s", path);
    cr_assert_lt(fread(text, 1, (1 << 16) - 1, f), (1u << 16) - 1);
    fclose(f);
    return text;
}

static void write_program(const char *name, const char *text)
{
    rf_spawn_write(name, text);
    chmod(name, 0755);
}

/* Goes into a bundle with these steps; a GPU answers if `gpu`. */
static void make_bundle(const char *steps, int gpu)
{
    char *run = read_file("tools/bundle/run.sh");
    rf_spawn_enter_folder();
    write_program("run.sh", run);
    free(run);
    rf_spawn_write("steps.txt", steps);
    rf_spawn_write("COMMIT", "abc123\n");
    write_program("refinery-conformance",
                  gpu ? "#!/bin/sh\necho 'cuda:0 NVIDIA Fake 9000 (big), 2026-01-01'\n"
                      : "#!/bin/sh\necho 'skipped: there is no GPU'\nexit 77\n");
    write_program("refinery", "#!/bin/sh\nfor last; do :; done\necho picture >\"$last\"\n");
    write_program("refinery-bench", "#!/bin/sh\nls \"$2\" \"$3\" && echo \"$4 ${5##*/}\"\n");
}

static int run(const char *arguments)
{
    char command[128];
    snprintf(command, sizeof command, "run.sh %s", arguments);
    rf_spawn(&said, command);
    return said.code;
}

/* A file of the one folder of results. */
static char *result(const char *name)
{
    char   pattern[128];
    glob_t found;
    snprintf(pattern, sizeof pattern, "results-NVIDIA-Fake-9000-big--2*/%s", name);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    cr_assert_eq(found.gl_pathc, 1);
    char *text = read_file(found.gl_pathv[0]);
    globfree(&found);
    return text;
}

static void expect_line(const char *text, const char *line)
{
    cr_expect(strstr(text, line), "no \"%s\" in: %s", line, text);
}

Test(gpu_run, every_outcome_is_a_row, .timeout = 60)
{
    make_bundle("# notes\n\n"
                "a.values 5 echo */first; echo last, then\n"
                "b.values 5 echo 'went | wrong'; exit 3\n"
                "c.values 1 echo slow; sleep 20\n"
                "d.values 5 echo nothing to do; exit 77\n"
                "e.values 5 echo kept >\"$results/e.txt\"\n"
                "render 9 $render \"$results\" \"$experts\"\n"
                "f.sanitizer 5 $sanitize true\n",
                1);
    cr_expect_eq(run(""), 1);
    char *summary = result("summary.md"), *log = result("logs/a.values.log");
    expect_line(summary, "# NVIDIA Fake 9000 (big), driver ");
    expect_line(summary, ", commit abc123\n");
    expect_line(summary, "| passed | a.values | 0 | last, then |");
    expect_line(summary, "| FAILED | b.values | 0 | went , wrong |");
    expect_line(summary, "| timed out | c.values | ");
    expect_line(summary, "took longer than 1 s |");
    expect_line(summary, "| skipped | d.values | 0 | nothing to do |");
    expect_line(summary, "| passed | e.values | 0 |  |");
    expect_line(summary, "| render.png, twice the same bytes |");
    expect_line(summary, "f.sanitizer");
    expect_line(log, "*/first\n");
    free(result("e.txt")), free(result("render.png"));
    free(summary), free(log);
    rf_spawn_leave_folder();
}

Test(gpu_run, time_is_kept_and_steps_are_chosen, .timeout = 60)
{
    make_bundle("a.values 1 sleep 3\na.time 5 echo quick\nab 5 echo other\n", 1);
    cr_expect_eq(run("--seconds 1 a"), 1);
    char *summary = result("summary.md");
    expect_line(summary, "| timed out | a.values |");
    expect_line(summary, "| not run | a.time | 0 |");
    cr_expect(!strstr(summary, "| ab |"), "%s", summary);
    free(summary);
    cr_expect_eq(run("a.time ab"), 0);
    cr_expect_eq(run("nothing"), 2);
    cr_expect_eq(run("--what"), 2);
    cr_expect_eq(run("--seconds"), 2);
    rf_spawn_leave_folder();
}

/* What takes long is not begun unless it is named; experts are made, or the user's, which stay. */
Test(gpu_run, the_network_is_timed, .timeout = 60)
{
    make_bundle("network.time 9 $network \"$results\" \"$experts\" tiny\n"
                "network.full 9 $network \"$results\" \"\" tiny\n",
                1);
    cr_expect_eq(run(""), 0);
    char *summary = result("summary.md");
    expect_line(summary, "| passed | network.time | 0 | --csv network-tiny.csv |");
    cr_expect(!strstr(summary, "network.full"), "%s", summary);
    free(summary);
    cr_expect_eq(run("network"), 0);
    summary = result("summary.md");
    cr_expect(!strstr(summary, "network.full"), "%s", summary);
    free(summary);
    cr_expect_eq(run("network.full"), 0);
    summary = result("summary.md");
    expect_line(summary, "| passed | network.full | 0 |");
    cr_expect(!strstr(summary, "network.time"), "%s", summary);
    free(summary);
    glob_t left;
    cr_expect_eq(glob("results-*/tiny-experts", 0, NULL, &left), GLOB_NOMATCH);
    cr_expect_eq(mkdir("mine", 0700), 0);
    cr_expect_eq(run("--experts mine network.time"), 1, "there are none in it");
    rf_spawn_write("mine/base.safetensors", "b");
    rf_spawn_write("mine/refiner.safetensors", "r");
    cr_expect_eq(run("--experts mine network.time"), 0);
    cr_expect_eq(access("mine/base.safetensors", F_OK), 0);
    rf_spawn_leave_folder();
}

Test(gpu_run, without_a_gpu_it_says_so, .timeout = 60)
{
    make_bundle("a 1 echo never\n", 0);
    cr_expect_eq(run(""), 77);
    cr_expect_str_eq(said.out, "skipped: there is no GPU\n");
    rf_spawn_leave_folder();
}

/* ---- the steps and docs/gpu-checks.md -------------------------------------------------------- */

/* What follows the end of the line at `at`, or NULL. */
static const char *next_line(const char *at)
{
    at = strchr(at, '\n');
    return at ? at + 1 : NULL;
}

static int is_step(const char *steps, const char *name, size_t length)
{
    for (const char *at = steps; at; at = next_line(at))
        if (!strncmp(at, name, length) && (at[length] == ' ' || at[length] == '.')) return 1;
    return 0;
}

Test(gpu_run, every_step_has_a_row_and_every_row_a_step)
{
    char *steps = read_file("tools/bundle/steps.txt"), *rows = read_file("docs/gpu-checks.md");
    int   count = 0;
    for (const char *at = steps; at && *at; at = next_line(at)) {
        char command[64];
        if (*at == '#') continue;
        snprintf(command, sizeof command, "`./run.sh %.*s`", (int)strcspn(at, " "), at);
        cr_expect(strstr(rows, command), "docs/gpu-checks.md has no row with %s", command);
        count++;
    }
    cr_expect_gt(count, 20);
    for (const char *at = rows; (at = strstr(at, "`./run.sh ")) != NULL; at++) {
        const char *name = at + strlen("`./run.sh ");
        while (*name && *name != '`' && *name != '-') { /* a row may name several steps */
            const size_t length = strcspn(name, " `");
            cr_expect(is_step(steps, name, length), "there is no step %.*s", (int)length, name);
            name += length + strspn(name + length, " ");
        }
    }
    /* Each row has a state, what, a command and what came of it; a done one names its proof. */
    for (const char *at = rows; (at = strstr(at, "\n| ")) != NULL; at++) {
        char *line = strndup(at + 1, strcspn(at + 1, "\n"));
        int   bars = 0;
        for (const char *c = line; *c; c++) bars += *c == '|';
        cr_expect_eq(bars, 5, "%s", line);
        if (!strncmp(line, "| done", 6)) cr_expect(strstr(line, "bench/results/"), "%s", line);
        free(line);
    }
    free(steps), free(rows);
}
