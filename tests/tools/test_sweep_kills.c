/* The real program on tiny checkpoints: cells are the pictures that `render` gives, calls are
 * counted as the formula has them, and nothing is lost whenever it is killed. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/kills.h"
#include "tests/tools/spawn.h"

#ifdef RF_SANITIZE
enum { KILLS = 4 };
#else
enum { KILLS = 20 };
#endif

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth --arch tiny --seed 1 a.safetensors", 0, "");
    rf_spawn_expect(&r, "synth --arch tiny --seed 2 b.safetensors", 0, "");
}

TestSuite(sweep_kills, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 600);

#define BOTH "sweep -m a.safetensors -r b.safetensors -p 'a fox' --size 64x64 --threads 1 "

static void expect_calls(const char *axes, int naive, int shared)
{
    char command[600];
    snprintf(command, sizeof command, BOTH "--dry-run --seconds-per-call 1 --json -q %s", axes);
    rf_spawn_expect(&r, command, 0, "");
    json_t *o = json_loads(r.out, 0, NULL);
    cr_assert_not_null(o, "%s", r.out);
    cr_expect_eq(json_integer_value(json_object_get(o, "calls_naive")), naive, "%s", axes);
    cr_expect_eq(json_integer_value(json_object_get(o, "calls_shared")), shared, "%s", axes);
    cr_expect_eq(json_number_value(json_object_get(json_object_get(o, "estimate_s"), "total")),
                 shared);
    json_decref(o);
    cr_expect_not(rf_spawn_exists("sweep"));
}

/* The three examples, in 30 steps. */
Test(sweep_kills, calls_are_counted_as_the_formula_has_them)
{
    expect_calls("--x 'Refiner switch at: 0.1-0.9 [9]'", 270, 162);
    expect_calls("--switch-by step --x 'Refiner switch at: 0-30'", 930, 495);
    expect_calls("--x 'Refiner switch at: 0-1 [31]'", 930, 495);
    expect_calls("--refiner-prompt p1 --x 'Refiner prompt S/R: p1,p2,p3,p4,p5,p6,p7,p8'", 240, 135);
}

/* The very files, metadata and all. */
Test(sweep_kills, a_cell_is_what_render_gives_alone)
{
    rf_spawn_expect(&r,
                    BOTH "--dtype f32 --steps 4 --sampler 'DPM++ 2M SDE' --batch 2 -q "
                         "--x 'Refiner switch at: 0.25, 0.75' --y 'Seed: 5, 6'",
                    0, "");
    rf_spawn_expect(&r,
                    "render -m a.safetensors -r b.safetensors -p 'a fox' --size 64x64 --dtype "
                    "f32 --steps 4 --sampler 'DPM++ 2M SDE' -x 0.75 -s 6 -q --threads 1",
                    0, "");
    rf_spawn_expect(&r, "version; cmp out.png sweep/cells/x01-y01-z00.png", 0, "");
}

#ifndef RF_SANITIZE /* Open MPI itself leaks */
/* The other processes' share of a sweep, in another order and on another number of threads, where
 * there is an mpirun: three subtrees of each of two seeds are enough that both ranks get some. */
Test(sweep_kills, two_ranks_of_one_thread_give_the_bytes_of_one_rank_of_two)
{
#define DIVIDED                                                                                    \
    "sweep -m a.safetensors -r b.safetensors -p 'a fox' --size 64x64 --dtype f32 --steps 4 "       \
    "--sampler 'DPM++ 2M SDE' --x 'Refiner switch at: 0.25, 0.5, 1' --y 'Seed: 1-2' -q "
    rf_spawn(&r, "version; command -v mpirun");
    if (!strstr(r.out, "/mpirun")) cr_skip_test("there is no mpirun");
    rf_spawn_expect(&r, DIVIDED "--threads 2 -o one", 0, "");
    rf_spawn(&r,
             "version; mpirun --allow-run-as-root --oversubscribe --bind-to none -n 2 " RF_COMMAND
             " " DIVIDED "--threads 1 -o two");
    if (strstr(r.err, "was built without MPI")) cr_skip_test("this build has no MPI");
    cr_expect_eq(r.code, 0, "%s", r.err);
    rf_spawn_expect(&r,
                    "version; for f in one/cells/*.png one/grid.png; do cmp $f two/${f#one/} || "
                    "exit 9; done; ls two/cells/*.png | wc -l",
                    0, "");
    cr_expect(strstr(r.out, "\n6\n"), "%s", r.out);
}
#endif

Test(sweep_kills, a_changed_model_is_not_gone_on_with)
{
    rf_spawn_expect(&r, BOTH "--steps 2 -q --x 'Seed: 1-2'", 0, "");
    rf_spawn_expect(&r, "synth --arch tiny --seed 3 --overwrite b.safetensors", 0, "");
    rf_spawn_expect(&r, BOTH "--steps 2 -q --x 'Seed: 1-2' --resume", 2, "another sweep");
    cr_expect(strstr(r.err, "there 'file: b "), "%s", r.err);
}

Test(sweep_kills, nothing_is_lost_or_damaged_by_kills)
{
    rf_killed      killed;
    const rf_kills kills = {.command = RF_COMMAND,
                            .base = "a.safetensors",
                            .refiner = "b.safetensors",
                            .folder = ".",
                            .kills = KILLS,
                            .seed = 1};
    cr_assert_eq(rf_kills_run(&kills, &killed), 0);
    cr_expect_eq(killed.kills, KILLS);
    cr_expect_geq(killed.finished, 1);
    cr_expect_eq(killed.wrong, 0, "%d pictures were other ones", killed.wrong);
    cr_expect_eq(killed.lost, 0, "%d pictures were lost", killed.lost);
    cr_expect_eq(killed.stray, 0, "%d files were left behind", killed.stray);
    cr_expect_eq(killed.refused, 0, "%d times --resume was refused", killed.refused);
}
