/* `--preview` from outside: where previews are, for how long, and who is told.  The engine behind
 * the command is fake_engine.c; the program is the real one. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
    rf_spawn_write("tiny.safetensors", "TAESD");
}

TestSuite(previews_cli, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

#define RENDER "render -m pony.safetensors --size 64x64 --steps 10 "

/* The value of `key` in each line of the progress that is about a preview, summed; their number. */
static int count_previews(const char *key, json_int_t *sum)
{
    int count = 0;
    *sum = 0;
    for (char *line = strtok(r.err, "\n"); line; line = strtok(NULL, "\n")) {
        json_t     *o = json_loads(line, 0, NULL);
        const char *phase = json_string_value(json_object_get(o, "phase"));
        cr_assert_not_null(phase, "%s", line);
        if (strcmp(phase, "preview") == 0) {
            cr_expect_str_eq(json_string_value(json_object_get(o, "path")), "out.preview.png");
            cr_expect_eq(json_integer_value(json_object_get(o, "calls")), 10);
            cr_expect_eq(json_integer_value(json_object_get(o, "width")), 8);
            *sum += json_integer_value(json_object_get(o, key));
            count++;
        }
        json_decref(o);
    }
    return count;
}

Test(previews_cli, programs_are_told_of_each)
{
    static const struct {
        const char *option;
        int         count;
        json_int_t  calls; /* sum of their numbers */
    } rows[] = {{"--preview every=3", 3, 3 + 6 + 9},
                {"--preview 4", 2, 4 + 8},
                {"--preview-vae tiny.safetensors", 1, 5},
                {"--preview 10", 0, 0},
                {"", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char       command[200];
        json_int_t calls = 0;
        snprintf(command, sizeof command, RENDER "--progress json --overwrite %s", rows[i].option);
        expect(command, 0, "");
        cr_expect_eq(count_previews("call", &calls), rows[i].count, "%s", rows[i].option);
        cr_expect_eq(calls, rows[i].calls, "%s", rows[i].option);
        cr_expect(!rf_spawn_exists("out.preview.png"), "it is gone with the picture's coming");
    }
}

static int lines_with(const char *text)
{
    int count = 0;
    for (const char *p = r.err; (p = strstr(p, text)) != NULL; p++) count++;
    return count;
}

Test(previews_cli, people_are_told_once)
{
    expect(RENDER "--preview 2", 0, "refinery: preview: out.preview.png\n");
    cr_expect_eq(lines_with("preview"), 2, "%s", r.err); /* both in that one line */
    expect(RENDER "--preview 2 --count 3", 0,
           "refinery: preview: out-0.preview.png, and one beside each other picture\n");
    cr_expect_eq(lines_with("preview:"), 1);
    expect(RENDER "--preview 2 -q --overwrite", 0, "");
    cr_expect_str_eq(r.err, "");
    cr_expect_str_eq(r.out, "out.png\n");
}

static void check_is_png(const char *path)
{
    rf_picture_texts *texts = NULL;
    rf_error          err = {0};
    cr_expect_eq(rf_picture_texts_read(&texts, path, &err), RF_OK, "%s", err.message);
    cr_expect_null(texts ? rf_picture_texts_get(texts, "parameters") : NULL);
    rf_picture_texts_free(texts);
}

Test(previews_cli, kept_if_asked)
{
    expect(RENDER "-q --preview 2 --keep-previews --count 2 --batch 2", 0, "");
    check_is_png("out-0.preview.png");
    check_is_png("out-1.preview.png");
    expect(RENDER "-q --preview 2 --count 2 --overwrite", 0, "");
    cr_expect(!rf_spawn_exists("out-0.preview.png"), "an old one is replaced, and goes");
    expect(RENDER "--keep-previews", 0, "--keep-previews has no effect without --preview");
}

/* The picture's bytes are the same. */
Test(previews_cli, pictures_are_what_they_are)
{
    expect(RENDER "-q -o a.png --seed 1", 0, "");
    expect(RENDER "-q -o b.png --seed 1 --preview 1", 0, "");
    rf_spawn(&r, "version > /dev/null; cmp a.png b.png");
    cr_expect_eq(r.code, 0, "%s", r.out);
    expect("replay a.png -q -o c.png --preview 1 --keep-previews --any-model", 0, "");
    cr_expect(rf_spawn_exists("c.preview.png"));
}

Test(previews_cli, gone_after_a_signal)
{
    static char *const WORDS[] = {"render", "-m",    "pony.safetensors", "--size", "64x64",
                                  "-p",     "!slow", "--steps",          "500",    "--preview",
                                  "1",      NULL};
    const pid_t        pid = rf_spawn_start(WORDS);
    cr_assert(rf_spawn_await("err", "preview: out.preview.png"));
    cr_expect(rf_spawn_exists("out.preview.png"));
    kill(pid, SIGINT);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 130);
    cr_expect(!rf_spawn_exists("out.preview.png"));
    expect(RENDER "-p '!nan' --preview 1", 1, "");
    cr_expect(!rf_spawn_exists("out.preview.png"));
}

Test(previews_cli, mistakes_are_named)
{
    static const char *const bad[] = {"0", "-1", "every=", "every=x", "5x", "all", "every=10001"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char command[200];
        snprintf(command, sizeof command, RENDER "--preview=%s", bad[i]);
        expect(command, 2, "is not every=N, or N, a whole number from 1 to 10000");
    }
    rf_spawn_write("out.preview.png", "SDXL three");
    expect("render -m out.preview.png --preview 5", 2, "is the file given with --base");
    expect(RENDER "--preview 5 --trace out.preview.png --overwrite", 2, "a preview has that name");
    rf_spawn_write("x.png", "TAESD");
    expect("render -m pony.safetensors --preview-vae x.png -o x.png --overwrite", 2,
           "is the file given with --preview-vae");
    expect("sweep -m pony.safetensors --preview 5", 2, "--preview");
}
