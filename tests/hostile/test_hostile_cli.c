/* Malformed files in the hands of the real program: the exit code, one sentence, and nothing that
 * was not there before.  Two of every family; test_hostile.c judges the others. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/hostile/hostile.h"
#include "tests/tools/spawn.h"
#include "tools/exit_codes.h"

enum { OF_EACH = 2 };

TestSuite(hostile_cli, .init = rf_spawn_enter_folder, .fini = rf_spawn_leave_folder,
          .timeout = 300);

/* Entries of the current folder. */
static int entries(void)
{
    int  count = 0;
    DIR *dir = opendir(".");
    cr_assert_not_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void try_file(void *user, const hostile_case *c, const char *path)
{
    static const char *const how[] = {[HOSTILE_CHECKPOINT] = "-m %s",
                                      [HOSTILE_VAE] = "-m good.safetensors --vae %s",
                                      [HOSTILE_LORA] = "-m good.safetensors --lora %s",
                                      [HOSTILE_FOLDER] = "-m %s",
                                      [HOSTILE_EMBEDDING] = "-m good.safetensors --embedding a=%s"};
    static rf_spawned        r;
    int                     *tried = user;
    char                     command[512], files[256];
    const long               number = strtol(strchr(c->id, '.') + 1, NULL, 10);
    const int                before = entries();
    if (number > OF_EACH) {
        hostile_remove(path);
        return;
    }
    /* the one conversion is %s */
    const char *mark = strstr(how[c->slot], "%s");
    snprintf(files, sizeof files, "%.*s%s", (int)(mark - how[c->slot]), how[c->slot], path);
    snprintf(command, sizeof command,
             "render -q --threads 1 --size 64x64 --steps 1 -o picture.png %s --prompt cat", files);
    rf_spawn(&r, command);
    cr_expect_eq(r.code, rf_exit_code(c->want), "%s, %s: %d, %s", c->id, c->what, r.code, r.err);
    const char *line = strchr(r.err, '\n');
    cr_expect(line && !line[1] && strstr(r.err, c->said), "%s, %s: %s", c->id, c->what, r.err);
    cr_expect_str_eq(r.out, "", "%s", c->id);
    cr_expect(!rf_spawn_exists("picture.png") && entries() == before, "%s left a file", c->id);
    hostile_remove(path);
    ++*tried;
}

Test(hostile_cli, one_sentence_and_no_picture)
{
    static rf_spawned r;
    int               tried = 0;
    hostile           h = {.folder = "cases", .made = try_file, .user = &tried};
    rf_spawn_expect(&r, "synth -q --seed 1 good.safetensors", 0, "");
    rf_spawn(&r, "version > /dev/null; mkdir cases");
    rf_spawn(&r, "render -q --threads 1 --size 64x64 --steps 1 -o good.png -m good.safetensors "
                 "--prompt cat");
    cr_assert_eq(r.code, 0, "%s", r.err); /* and the cache of hashes is there */
    for (int i = 0; hostile_family_at(i); i++) hostile_family_at(i)(&h);
    cr_expect_geq(tried, 40, "%d", tried);
}
