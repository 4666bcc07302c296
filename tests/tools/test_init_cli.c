/* Pictures that begin with a picture, from outside: what --init, --mask, --passes and --refine-by
 * say, write and replay.  The engine behind them is fake_engine.c. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"
#include "tools/passes.h"
#include "tools/pictures/read_png.h"

static rf_spawned r;

#define EXPERTS "-m pony.safetensors -r anime.safetensors -q "

/* A grey picture; `white`: its right half is. */
static void write_picture(const char *path, int width, int height, int white)
{
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < width * height; i++)
        memset(rgb + 3 * i, i % width >= width / 2 && white ? 255 : white ? 0 : 100, 3);
    cr_assert_eq(rf_png_write(path, rgb, width, height, NULL, 0, 1, NULL), RF_OK);
    free(rgb);
}

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_write_experts();
    write_picture("grey.png", 80, 64, 0);
    write_picture("half.png", 80, 64, 1);
}

TestSuite(init_cli, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 60);

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

static void read_picture(rf_pixels *out, const char *path)
{
    rf_error err = {0};
    cr_assert_eq(rf_png_read(out, path, &err), RF_OK, "%s", err.message);
}

static int same_files(const char *a, const char *b)
{
    char command[200];
    snprintf(command, sizeof command, "version > /dev/null; cmp -s %s %s", a, b);
    rf_spawn(&r, command);
    return r.code == 0;
}

/* Whether all rows are grey 100 up to column `x`, and at none beyond. */
static void expect_kept(const char *path, int x)
{
    rf_pixels p;
    int       painted = 0;
    read_picture(&p, path);
    for (int i = 0; i < p.width * p.height; i++) {
        const int kept = p.rgb[3 * i] == 100;
        if (i % p.width < x) cr_expect(kept, "%s: pixel %d", path, i);
        painted += !kept;
    }
    cr_expect_gt(painted, (p.width - x) * p.height * 9 / 10);
    free(p.rgb);
}

/* ---- the picture --------------------------------------------------------------------------- */

Test(init_cli, a_picture_brings_its_size)
{
    expect("render " EXPERTS "--init grey.png --json", 0, "");
    cr_expect(strstr(r.out, "\"width\":80,\"height\":64"), "%s", r.out);
    cr_expect(strstr(r.out, "\"denoise\":0.75"), "%s", r.out);
    cr_expect(strstr(r.out, "\"steps\":23"), "%s", r.out); /* int(0.75 * 30) + 1 */
    write_picture("odd.png", 101, 95, 0);
    expect("render -m pony.safetensors -i odd.png -o odd-out.png --json", 0,
           "--init odd.png has 101x95 pixels: the picture gets 96x88, multiples of 8");
    cr_expect(strstr(r.out, "\"width\":96,\"height\":88"));
    cr_expect_null(strstr(r.out, "stretched"));
    write_picture("large.png", 2056, 2048, 0);
    expect("render -m pony.safetensors -i large.png --dry-run -o l.png", 0,
           "makes a picture of 2056x2048: SDXL was trained on a million pixels");
    expect("render " EXPERTS "-i grey.png --size 160x64 -o w.png --json", 0, "");
    cr_expect(strstr(r.out, "\"width\":160,\"height\":64"));
    cr_expect(strstr(r.out, "is stretched from 80x64 to 160x64"), "%s", r.out);
    expect("render " EXPERTS "-i grey.png --size 160x64 --resize-mode crop -o c.png --json", 0, "");
    cr_expect(!strstr(r.out, "stretched"));
    expect("render " EXPERTS "-i grey.png --width 160 -o h.png --json", 0, "");
    cr_expect(strstr(r.out, "\"width\":160,\"height\":128"), "%s", r.out);
    write_picture("small.png", 30, 80, 0);
    expect("render " EXPERTS "-i small.png -o s.png", 2, "has 30x80 pixels: pictures have from 64");
    expect("render " EXPERTS "-i small.png -o s.png --size 64x64", 0, "");
}

Test(init_cli, what_is_no_picture_is_said_before_all_work)
{
    rf_spawn_write("text.png", "not a picture");
    expect("render " EXPERTS "-i none.png", 66, "none.png");
    expect("render " EXPERTS "-i text.png", 65, "text.png is neither a PNG nor a JPEG picture");
    expect("render " EXPERTS "-i pony.safetensors", 65, "neither a PNG nor a JPEG");
    expect("render " EXPERTS "-i grey.png --mask text.png", 65, "text.png is neither");
    rf_spawn(&r, "version > /dev/null; head -c 100 grey.png > cut.png");
    expect("render " EXPERTS "-i cut.png", 65, "cut.png: a damaged PNG");
    expect("render " EXPERTS "-i grey.png --denoise 1.5", 2,
           "--denoise: '1.5' is not a number from 0 to 1");
    expect("render " EXPERTS "-i grey.png --denoise nan", 2, "--denoise");
    expect("render " EXPERTS "-i grey.png -o grey.png --overwrite", 2,
           "--output grey.png is the file given with --init");
    expect("render " EXPERTS "--mask half.png", 2, "--mask needs --init");
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(init_cli, strengths_have_as_many_steps_as_the_rule_says)
{
    static const struct {
        const char *options;
        int         steps;
    } CASES[] = {{"--denoise 0", 1},
                 {"--denoise 0.3", 10},
                 {"--denoise 0.5", 16},
                 {"--denoise 1", 30},
                 {"--denoise 0.5 --exact-steps", 30}};
    char command[200], expected[40];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        snprintf(command, sizeof command, "render " EXPERTS "-i grey.png --json --overwrite %s",
                 CASES[i].options);
        expect(command, 0, "");
        snprintf(expected, sizeof expected, "\"steps\":%d,", CASES[i].steps);
        cr_expect(strstr(r.out, expected), "%s: %s", CASES[i].options, r.out);
    }
}

Test(init_cli, options_without_effect_are_told)
{
    static const char *const CASES[][2] = {
        {"--denoise 0.5",
         "--denoise has no effect without --init, --passes or --refine-by img2img"},
        {"--exact-steps", "--exact-steps has no effect without --init"},
        {"--resize-mode crop", "--resize-mode has no effect without --init"},
        {"--mask-blur 3", "--mask-blur has no effect without --mask"},
        {"--invert-mask", "--invert-mask has no effect without --mask"},
        {"--save-passes", "--save-passes has no effect without --passes"}};
    char command[200];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        snprintf(command, sizeof command,
                 "render -m pony.safetensors --size 64x64 --overwrite --progress none %s",
                 CASES[i][0]);
        expect(command, 0, CASES[i][1]);
    }
}

/* ---- masks --------------------------------------------------------------------------------- */

Test(init_cli, what_is_white_is_painted_anew)
{
    expect("render " EXPERTS "-i grey.png --mask half.png --mask-blur 0 --denoise 1 -o a.png", 0,
           "");
    expect_kept("a.png", 40);
    expect("render " EXPERTS "-i grey.png --mask half.png --denoise 1 -o b.png", 0, "");
    expect_kept("b.png", 30); /* 2.5 standard deviations of 4 pixels */
    cr_expect(!same_files("a.png", "b.png"));
    expect("render " EXPERTS "-i grey.png --mask grey.png --mask-blur 0 --denoise 1 -o c.png", 0,
           "");
    write_picture("black.png", 80, 64, 0);
    uint8_t rgb[3] = {0};
    cr_assert_eq(rf_png_write("black.png", rgb, 1, 1, NULL, 0, 1, NULL), RF_OK);
    expect("render " EXPERTS "-i grey.png --mask black.png -o d.png", 2,
           "--mask black.png is black everywhere: nothing would be painted");
    expect("render " EXPERTS "-i grey.png --mask black.png --invert-mask -o d.png", 0, "");
    expect("render " EXPERTS "-i grey.png --mask half.png --passes 3 --mask-blur 0 -o e.png", 0,
           "");
    expect_kept("e.png", 40);
}

/* ---- passes -------------------------------------------------------------------------------- */

Test(init_cli, passes_follow_on_each_other)
{
    expect("render " EXPERTS "--size 64x64 --passes 3 --save-passes --seed 7 --json", 0, "");
    const char *const first = strstr(r.out, "out-pass1.png"), *second = strstr(r.out, "-pass2.png");
    cr_assert(first && second && first < second && strstr(second, "\"out.png\""), "%s", r.out);
    cr_expect(strstr(r.out, "\"seed\":7,") && strstr(r.out, "\"seed\":8,") &&
              strstr(r.out, "\"seed\":9,"));
    cr_expect(strstr(r.out, "\"denoise\":0.4,\"exact_steps\":false,\"pass\":3,\"passes\":3"));
    expect("render " EXPERTS "--size 64x64 --passes 3 --seed 7 -o b.png", 0, "");
    cr_expect_str_eq(r.out, "b.png\n");
    cr_expect(same_files("out.png", "b.png"));
    cr_expect(!same_files("out.png", "out-pass2.png"));
    /* by hand: the same picture, if not the same job */
    expect("render " EXPERTS "--size 64x64 --seed 7 -o one.png", 0, "");
    expect("render " EXPERTS "--init one.png --denoise 0.4 --seed 8 -o two.png", 0, "");
    rf_pixels by_hand, by_pass;
    read_picture(&by_hand, "two.png");
    read_picture(&by_pass, "out-pass2.png");
    cr_expect_arr_eq(by_hand.rgb, by_pass.rgb, 64 * 64 * 3);
    free(by_hand.rgb);
    free(by_pass.rgb);
    expect("render " EXPERTS "--size 64x64 --passes 3 --save-passes -o out.png", 73, "out.png");
    expect("render " EXPERTS "--size 64x64 --passes 0", 2, "--passes: '0'");
    expect("render " EXPERTS "--size 64x64 --passes 65", 2, "--passes: '65'");
    expect("render " EXPERTS "--size 64x64 --passes 2 -o c.png --seed 9223372036854775807", 2,
           "--seed");
}

/* A picture's bytes do not depend on how many there are, nor on their batches. */
Test(init_cli, many_pictures_go_through_all_passes)
{
    char command[200];
    expect("render " EXPERTS "--size 64x64 --count 70 --batch 3 --passes 2 -o 'n{index}.png'", 0,
           "");
    expect("render " EXPERTS "--size 64x64 --count 70 --passes 2 -o 'm{seed}.png'", 0, "");
    for (int i = 0; i < 70; i += 23) {
        snprintf(command, sizeof command,
                 "render " EXPERTS "--size 64x64 --passes 2 --seed %d "
                 "-o one.png --overwrite",
                 i + 1);
        expect(command, 0, "");
        char many[20], other[20];
        snprintf(many, sizeof many, "n%d.png", i);
        snprintf(other, sizeof other, "m%d.png", i + 1);
        cr_expect(same_files("one.png", many) && same_files("one.png", other), "%s", many);
    }
    expect("render " EXPERTS "--size 64x64 --count 2 --passes 2 --save-passes -o '{seed}.png'", 0,
           "");
    cr_expect_str_eq(r.out, "1-pass1.png\n2-pass1.png\n1.png\n2.png\n");
}

Test(init_cli, the_refiner_can_begin_from_a_whole_picture)
{
    expect("render -m pony.safetensors -r anime.safetensors --size 64x64 --refine-by img2img "
           "--progress plain -x 0.7",
           0, "the refiner makes an img2img of the base's picture, strength 0.28");
    cr_expect(strstr(r.err, "pass 2/2 | anime 0/9"), "%s", r.err); /* as many as in the relay */
    expect("render " EXPERTS "--size 64x64 --refine-by img2img --denoise 0.5 --json -o b.png", 0,
           "");
    cr_expect(strstr(r.out, "\"denoise\":0.5,") && strstr(r.out, "\"steps\":16,"), "%s", r.out);
    expect("render " EXPERTS "--size 64x64 --refine-by img2img --exact-steps --json -o c.png", 0,
           "");
    cr_expect(strstr(r.out, "\"denoise\":0.5,") && strstr(r.out, "\"steps\":30,"), "%s", r.out);
    expect("render " EXPERTS "-i grey.png --refine-by img2img --denoise 0.9 --save-passes --json "
           "-o d.png",
           0, "");
    cr_expect(strstr(r.out, "\"denoise\":0.9,") && strstr(r.out, "\"denoise\":0.48,"), "%s", r.out);
    expect("render -m pony.safetensors --size 64x64 --refine-by img2img -o e.png", 2,
           "--refine-by img2img is about a base and a refiner");
    expect("render -m pony.safetensors -r anime.safetensors --size 64x64 --refine-by img2img -x 1 "
           "-o e.png",
           0, "leaves the refiner no step");
    expect("render " EXPERTS "--size 64x64 --refine-by img2img --passes 2 --save-passes -o g.png",
           0, "");
    cr_expect_str_eq(r.out, "g-pass1.png\ng-pass2.png\ng-pass3.png\ng.png\n");
}

Test(init_cli, the_strength_of_a_switch_makes_its_steps)
{
    for (int steps = 1; steps <= 400; steps++)
        for (int wanted = 1; wanted <= steps; wanted++) {
            const double d = rf_denoise_for(wanted, steps);
            const int    t = (int)(d * steps);
            cr_assert(d >= 0 && d <= 1 && (t < steps - 1 ? t : steps - 1) + 1 == wanted, "%d of %d",
                      wanted, steps);
        }
}

Test(init_cli, a_dry_run_plans_all_passes_and_writes_nothing)
{
    expect("render " EXPERTS "-i grey.png --passes 3 --dry-run --json", 0, "");
    int lines = 0;
    for (const char *p = r.out; *p; p++) lines += *p == '\n';
    cr_expect_eq(lines, 3);
    cr_expect(strstr(r.out, "\"img2img\":{\"init\":\"grey.png\""), "%s", r.out);
    expect("render " EXPERTS "-i grey.png --passes 2 --dry-run", 0, "");
    cr_expect(strstr(r.out, "pass 2 of 2\nbegins from the picture of the last pass, strength 0.4"),
              "%s", r.out);
    cr_expect(!rf_spawn_exists("out.png"));
}

Test(init_cli, a_signal_ends_the_pass_and_all_others)
{
    char *const words[] = {
        "render",  "-m", "pony.safetensors", "-p", "!slow",      "--size", "64x64",
        "--steps", "10", "--passes",         "9",  "--progress", "plain",  "--save-passes",
        NULL};
    const pid_t pid = rf_spawn_start(words);
    cr_assert(rf_spawn_await("err", "pass 2/9 | pony"));
    kill(pid, SIGTERM);
    rf_spawn_wait(&r, pid);
    cr_expect_eq(r.code, 143);
    cr_expect(rf_spawn_exists("out-pass1.png") && !rf_spawn_exists("out.png"));
}

/* ---- sweep --------------------------------------------------------------------------------- */

Test(init_cli, all_cells_of_a_sweep_begin_from_the_picture)
{
    static const char *const CELLS[][2] = {{"x00-y00-z00", "0"}, {"x01-y01-z00", "0.5"}};
    char                     command[200], path[60];
    expect("sweep " EXPERTS "-i grey.png --mask half.png --x 'Denoising: 0, 0.5, 1' "
           "--y 'Seed: 1-2' --no-grid --no-report",
           0, "");
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command,
                 "render " EXPERTS "-i grey.png --mask half.png --overwrite --denoise %s --seed %d "
                 "-o one.png",
                 CELLS[i][1], i + 1);
        expect(command, 0, "");
        snprintf(path, sizeof path, "sweep/cells/%s.png", CELLS[i][0]);
        cr_expect(same_files("one.png", path), "%s", path);
    }
    rf_spawn(&r, "version > /dev/null; cat sweep/results.jsonl");
    cr_expect(strstr(r.out, "\"init\":{\"path\":\"grey.png\"") && strstr(r.out, "\"denoise\":0.5"),
              "%s", r.out);
    expect("sweep " EXPERTS "-i grey.png --x 'Size: 64x64, 72x64' -o other", 2,
           "with --init all cells have one size");
    expect("sweep " EXPERTS "-i grey.png --x 'Denoising: 0, 2' -o other", 2, "Denoising");
    expect(
        "sweep -m pony.safetensors --size 64x64 --x 'Denoising: 0, 0.5' --progress none -o other",
        0, "axis x (Denoising) has no effect without --init");
    expect("sweep " EXPERTS "-i none.png --x 'Seed: 1-2' -o third", 66, "none.png");
    expect("sweep " EXPERTS "-i half.png --mask half.png --x 'Denoising: 0, 0.5, 1' "
           "--y 'Seed: 1-2' --no-grid --no-report --resume",
           2, "belongs to another sweep");
}

/* ---- replay -------------------------------------------------------------------------------- */

Test(init_cli, pictures_are_replayed_with_what_they_began_from)
{
    static const char *const RENDERS[] = {
        "-i grey.png",
        "-i grey.png --mask half.png --mask-blur 2 --invert-mask --size 64x128 --resize-mode fill",
        "--size 64x64 --passes 4 --seed 5", "-i grey.png --mask half.png --passes 2",
        "--size 64x64 --refine-by img2img --passes 2 -x 0.3"};
    char command[300];
    for (size_t i = 0; i < sizeof RENDERS / sizeof *RENDERS; i++) {
        snprintf(command, sizeof command, "render " EXPERTS "--overwrite -o one.png %s",
                 RENDERS[i]);
        expect(command, 0, "");
        expect("replay one.png -q --overwrite -o again.png", 0, "");
        cr_expect_str_eq(r.out, "again.png\n");
        cr_expect(same_files("one.png", "again.png"), "%s", RENDERS[i]);
    }
}

Test(init_cli, the_picture_a_replay_needs_is_searched)
{
    expect("render " EXPERTS "-i grey.png --mask half.png -o one.png", 0, "");
    rf_spawn(&r, "version > /dev/null; mkdir -p far/away; mv grey.png far/away/other-name.png");
    expect("replay one.png -q", 66, "the picture's init picture, grey (SHA-256 ");
    expect("replay one.png -q --models far -o a.png", 0, "");
    expect("replay one.png -q --init far/away/other-name.png -o b.png", 0, "");
    expect("replay one.png -q --models far --mask half.png -o c.png", 0, "");
    rf_pixels a, one;
    read_picture(&a, "a.png");
    read_picture(&one, "one.png");
    cr_expect_arr_eq(a.rgb, one.rgb, 80 * 64 * 3);
    free(a.rgb);
    free(one.rgb);
    write_picture("grey.png", 88, 64, 0); /* another one */
    expect("replay one.png -q -o d.png", 65, "is not the picture's init picture, grey");
    expect("replay one.png --any-model -o d.png", 0, "is not the picture's init picture");
    rf_spawn(&r, "version > /dev/null; mv far/away/other-name.png grey.png; mkdir moved; "
                 "mv grey.png half.png one.png moved");
    expect("replay moved/one.png -q -o e.png", 0, "");
    expect("render " EXPERTS "--size 64x64 --passes 2 -o two.png", 0, "");
    expect("replay two.png -q -m pony.safetensors -o f.png", 2, "made in 2 passes");
    expect("replay two.png -o f.png --init moved/grey.png", 0, "--init has no effect");
}
