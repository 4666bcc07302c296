/* What experts predict, from outside and with the real engine: options, what is said about it, and
 * a replay that gives the same bytes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/files/whole_file.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth --seed 7 -q pony.safetensors", 0, "");
    rf_spawn_expect(&r, "synth --seed 8 -q noob.safetensors", 0, "");
}

TestSuite(predictions_story, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 240);

#define SMALL "--size 64x64 --steps 3 --threads 1 --device cpu --seed 3 "
#define TOLD  "-m noob.safetensors -r pony.safetensors -p cat "
#define BOTH  TOLD SMALL

static void out_says(const char *what)
{
    cr_expect(strstr(r.out, what), "not '%s' but: %s", what, r.out);
}

/* Whether two pictures show the same: all from the first IDAT on, behind their texts. */
static int same_pixels(const char *a, const char *b)
{
    const char *path[] = {a, b};
    char       *data[2] = {NULL};
    size_t      bytes[2] = {0};
    rf_error    err = {0};
    for (int i = 0; i < 2; i++) {
        char *file = NULL;
        cr_assert_eq(rf_whole_file_read(&file, &bytes[i], path[i], 1 << 24, &err), RF_OK, "%s",
                     err.message);
        const char *at = memmem(file, bytes[i], "IDAT", 4);
        cr_assert_not_null(at, "%s", path[i]);
        bytes[i] -= (size_t)(at - file);
        data[i] = memcpy(malloc(bytes[i]), at, bytes[i]);
        free(file);
    }
    const int same = bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0;
    free(data[0]), free(data[1]);
    return same;
}

Test(predictions_story, what_is_said)
{
    rf_spawn_expect(&r, "inspect pony.safetensors", 0, "");
    out_says("predicts epsilon (nothing says otherwise)");
    rf_spawn_write("noob.yaml", "model:\n  params:\n    parameterization: \"v\"\n");
    rf_spawn_expect(&r, "inspect noob.safetensors", 0, "");
    out_says("predicts v (the .yaml file beside it)");
    rf_spawn_expect(&r, "explain " TOLD, 0, "");
    out_says("noob: v-prediction (the .yaml file beside it)");
    out_says("pony: epsilon-prediction (nothing says otherwise)");
    rf_spawn_expect(&r, "explain --base-prediction v-ztsnr --json " TOLD, 0, "");
    out_says("\"ztsnr\":true");
    out_says("\"reason\":\"asked for\"");
    rf_spawn_expect(&r, "render --dry-run --refiner-prediction v " BOTH, 0, "");
    out_says("v-prediction (asked for)");
    rf_spawn_expect(&r, "explain --base-prediction v -r pony.safetensors -p cat", 0,
                    "prediction v of stage 1 has no effect without its file");
    rf_spawn_expect(&r, "render --refiner-prediction v -m pony.safetensors --dry-run -p cat " SMALL,
                    0, "--refiner-prediction has no effect without --refiner");
}

Test(predictions_story, what_is_wrong)
{
    rf_spawn_expect(&r, "render --base-prediction velocity " BOTH, 2,
                    "'velocity' is not one of: epsilon, v, v-ztsnr");
    rf_spawn_expect(&r, "explain --stage 'expert=pony.safetensors;prediction=w;prompt=cat'", 2,
                    "--stage (1) prediction: 'w' is not one of");
    rf_spawn_expect(&r, "explain --base-prediction v --stage 'expert=pony.safetensors;prompt=cat'",
                    2, "--stage and --base-prediction exclude each other");
    rf_spawn_expect(&r,
                    "sweep -m pony.safetensors -r pony.safetensors --base-prediction v -p cat "
                    "--x 'Seed: 1-2' -o out " SMALL,
                    2, "--base-prediction and --refiner-prediction must agree");
}

/* The option, the same said of a stage, and a replay from the picture alone, the side-car gone. */
Test(predictions_story, replay)
{
    rf_spawn_expect(&r, "render -q --base-prediction v-ztsnr -o a.png " BOTH, 0, "");
    rf_spawn_expect(&r,
                    "render -q -o b.png --stage 'expert=noob.safetensors;until=0.5;"
                    "prediction=v-ztsnr;prompt=cat' --stage 'expert=pony.safetensors' " SMALL,
                    0, "");
    rf_spawn_expect(&r, "render -q -o c.png " BOTH, 0, "");
    rf_spawn_write("noob.yaml", "parameterization: v\n");
    rf_spawn_expect(&r, "render -q -o d.png " BOTH, 0, "");
    remove("noob.yaml");
    rf_spawn_expect(&r, "replay -q a.png", 0, "");
    rf_spawn_expect(&r, "replay -q d.png", 0, "");
    cr_expect(same_pixels("a.png", "b.png"), "an option, and a stage");
    cr_expect(same_pixels("a.png", "a-replay.png"), "asked for");
    cr_expect(same_pixels("d.png", "d-replay.png"), "a side-car");
    cr_expect_not(same_pixels("a.png", "c.png"));
    cr_expect_not(same_pixels("a.png", "d.png"));
    cr_expect_not(same_pixels("c.png", "d.png"));
}

/* A side-car that comes or goes makes another sweep of the same weights. */
Test(predictions_story, a_sweep_is_not_resumed_as_another_kind)
{
#define SWEEP "sweep -q -o cells --x 'Steps: 1, 2' " BOTH
    rf_spawn_expect(&r, SWEEP, 0, "");
    rf_spawn_expect(&r, SWEEP "--resume", 0, "");
    rf_spawn_write("noob.yaml", "parameterization: v\n");
    rf_spawn(&r, SWEEP "--resume");
    cr_expect_neq(r.code, 0, "%s", r.err);
    remove("noob.yaml");
    rf_spawn_expect(&r, SWEEP "--resume", 0, "");
}

/* One file as two experts. */
Test(predictions_story, one_file_for_two_things)
{
    rf_spawn_expect(&r,
                    "render -q -o a.png --stage 'expert=pony.safetensors;until=0.5;prediction=v;"
                    "prompt=cat' --stage 'expert=pony.safetensors;prediction=epsilon' " SMALL,
                    0, "");
    rf_spawn_expect(&r, "render -q -o b.png --base-prediction v -m pony.safetensors -p cat " SMALL,
                    0, "");
    rf_spawn_expect(&r, "replay -q a.png", 0, "");
    cr_expect(same_pixels("a.png", "a-replay.png"));
    cr_expect_not(same_pixels("a.png", "b.png"));
}
