/* Stability's refiner through the whole program, engine included: synth, inspect, dry run, scores,
 * and back from the picture; and files that are strictly what they should be. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/files/rewrite.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth -q --seed 1 base.safetensors", 0, "");
    rf_spawn_expect(&r, "synth -q --arch tiny-refiner refiner.safetensors", 0, "");
}

TestSuite(refiner_story, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 120);

#define BASE    "-m base.safetensors "
#define REFINER "-r refiner.safetensors "
#define SMALL   "-q --threads 1 --size 64x64 --steps 2 -p cat -n dog --overwrite "

static int same_files(const char *a, const char *b)
{
    char command[200];
    snprintf(command, sizeof command, "version > /dev/null; cmp -s %s %s", a, b);
    rf_spawn(&r, command);
    return r.code == 0;
}

Test(refiner_story, scores_are_told_and_replayed)
{
    rf_spawn_expect(&r, "inspect refiner.safetensors", 0, "");
    cr_expect(strstr(r.out, "refiner.safetensors: SDXL refiner"), "%s", r.out);
    cr_expect_not(strstr(r.out, "CLIP-L"), "%s", r.out);
    rf_spawn_expect(&r, "render " BASE REFINER SMALL "--dry-run", 0, "");
    cr_expect(strstr(r.out, "  refiner ") && strstr(r.out, "most at once"), "%s", r.out);
    rf_spawn_expect(&r, "render " BASE REFINER SMALL "-o one.png", 0, "");
    rf_spawn_expect(&r, "render " BASE REFINER SMALL "--aesthetic-score 6 -o six.png", 0, "");
    rf_spawn_expect(&r,
                    "render " BASE REFINER SMALL
                    "--aesthetic-score 9 --negative-aesthetic-score 1 -o nine.png",
                    0, "");
    rf_spawn_expect(&r, "replay nine.png -q --threads 1 -o again.png", 0, "");
    cr_expect(same_files("nine.png", "again.png"));
    cr_expect_not(same_files("one.png", "nine.png"));
    rf_spawn_expect(&r, "meta nine.png --json", 0, "");
    cr_expect(strstr(r.out, "aesthetic_negative"), "%s", r.out);
    rf_spawn_expect(&r, "meta one.png --json", 0, "");
    cr_expect_not(strstr(r.out, "aesthetic"), "%s", r.out);
    rf_spawn_expect(&r, "render -m refiner.safetensors " SMALL "-o alone.png", 0, "");
    rf_spawn_expect(&r, "render " BASE SMALL "--aesthetic-score 101", 2, "aesthetic-score");
}

static void add_unknown(rewriter *w, const rf_tensor *t, const void *data, void *user)
{
    (void)user;
    if (t)
        rewrite_keep(w, t, data);
    else
        rewrite_put(w, "zz", RF_FILE_F32, 0, NULL, &(float){1});
}

Test(refiner_story, strict_refuses_what_nobody_knows)
{
    rewrite_file("odd.safetensors", "base.safetensors", add_unknown, NULL);
    rf_spawn_expect(&r, "render -m odd.safetensors -p cat --dry-run", 0,
                    "are ignored: 1, such as zz");
    rf_spawn_expect(&r, "render -m odd.safetensors " SMALL "--dry-run --strict", 65, "--strict: ");
    rf_spawn_expect(&r, "explain --strict -m odd.safetensors -p cat", 65, "such as zz");
    rf_spawn_expect(&r, "sweep --strict -m odd.safetensors " REFINER "-o s --x \"Steps: 2\" -p a",
                    65, "such as zz");
}
