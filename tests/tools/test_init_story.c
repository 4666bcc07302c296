/* Pictures that begin with pictures through the whole program, engine included: every kind comes
 * back from its own metadata to the byte, and what a mask keeps is kept. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"
#include "tools/pictures/read_png.h"

enum { SIDE = 64 };

static rf_spawned r;

#define SMALL "render -q --threads 1 --overwrite --steps 6 -m a.safetensors "
#define BOTH  SMALL "-r b.safetensors -p '[cat:dog:switch]' "

static void expect(const char *command, int code, const char *said)
{
    rf_spawn_expect(&r, command, code, said);
}

static void write_picture(const char *path, int half)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int x = i % SIDE, y = i / SIDE;
        memcpy(rgb + 3 * i, (uint8_t[]){(uint8_t)(4 * x), (uint8_t)(4 * y), 128}, 3);
        if (half) memset(rgb + 3 * i, x >= SIDE / 2 ? 255 : 0, 3);
    }
    cr_assert_eq(rf_png_write(path, rgb, SIDE, SIDE, NULL, 0, 1, NULL), RF_OK);
}

static void set_up(void)
{
    rf_spawn_enter_folder();
    expect("synth -q --seed 1 a.safetensors", 0, "");
    expect("synth -q --seed 2 b.safetensors", 0, "");
    write_picture("init.png", 0);
    write_picture("mask.png", 1);
}

TestSuite(init_story, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 240);

static int same_files(const char *a, const char *b)
{
    char command[200];
    snprintf(command, sizeof command, "version > /dev/null; cmp -s %s %s", a, b);
    rf_spawn(&r, command);
    return r.code == 0;
}

static rf_pixels read_picture(const char *path)
{
    rf_pixels p;
    rf_error  err = {0};
    cr_assert_eq(rf_png_read(&p, path, &err), RF_OK, "%s", err.message);
    cr_assert(p.width == SIDE && p.height == SIDE);
    return p;
}

static int same_pixels(const char *a, const char *b)
{
    const rf_pixels x = read_picture(a), y = read_picture(b);
    const int       same = memcmp(x.rgb, y.rgb, SIDE * SIDE * 3) == 0;
    free(x.rgb);
    free(y.rgb);
    return same;
}

Test(init_story, every_kind_is_replayed_to_the_byte)
{
    static const char *const KINDS[] = {
        "-i init.png",
        "-i init.png --mask mask.png --mask-blur 2 --invert-mask",
        "-i init.png --size 72x64 --resize-mode crop --exact-steps --denoise 0.5",
        "--size 64x64 --passes 3 --denoise 0.6",
        "-i init.png --mask mask.png --passes 2",
        "--size 64x64 --refine-by img2img --passes 2 -x 0.4"};
    char command[300];
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        snprintf(command, sizeof command, BOTH "-o one.png %s", KINDS[i]);
        expect(command, 0, "");
        expect("replay one.png -q --threads 1 --overwrite -o again.png", 0, "");
        cr_expect(same_files("one.png", "again.png"), "%s", KINDS[i]);
    }
    expect("meta one.png", 0, "");
    cr_expect(strstr(r.out, "Denoising strength"), "%s", r.out);
    expect(BOTH "-i init.png --mask mask.png --invert-mask -o m.png", 0, "");
    expect("meta m.png", 0, "");
    cr_expect(strstr(r.out, "Mask blur                        4"), "%s", r.out);
    cr_expect(strstr(r.out, "Inpaint not masked"), "%s", r.out);
}

Test(init_story, a_mask_keeps_what_is_black)
{
    expect(BOTH "-i init.png --mask mask.png --mask-blur 0 --denoise 1 -o one.png", 0, "");
    const rf_pixels init = read_picture("init.png"), one = read_picture("one.png");
    int             painted = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int same = memcmp(init.rgb + 3 * i, one.rgb + 3 * i, 3) == 0;
        if (i % SIDE < SIDE / 2) cr_expect(same, "pixel %d", i);
        painted += !same;
    }
    cr_expect_gt(painted, SIDE * SIDE / 4);
    free(init.rgb);
    free(one.rgb);
}

/* The chain is what one would do by hand; only that the picture does not lie in a file. */
Test(init_story, passes_are_what_one_would_do_by_hand)
{
    expect(BOTH "--size 64x64 --seed 5 --count 2 --batch 2 --passes 2 --save-passes "
                "-o 'p{index}.png'",
           0, "");
    expect(BOTH "--size 64x64 --seed 6 -o one.png", 0, "");
    cr_expect(same_files("one.png", "p1-pass1.png"));
    expect(BOTH "--seed 7 -i one.png --denoise 0.4 -o two.png", 0, "");
    cr_expect(same_pixels("two.png", "p1.png"));
    expect(BOTH "--size 64x64 --seed 5 --refine-by img2img --save-passes -x 0.5 -o q.png", 0, "");
    expect(SMALL "-p cat --size 64x64 --seed 5 -o base.png", 0, "");
    cr_expect(same_pixels("base.png", "q-pass1.png"));
    expect("render -q --threads 1 --steps 6 -m b.safetensors -p dog --seed 6 -i base.png "
           "--denoise 0.42 -o refined.png",
           0, "");
    cr_expect(same_pixels("refined.png", "q.png"));
    expect(BOTH "--size 64x64 --seed 6 --passes 2 --preview 1 --keep-previews -o s.png", 0, "");
    cr_expect(same_files("s.png", "p1.png") && rf_spawn_exists("s.preview.png"));
    expect(BOTH "--size 64x64 --refine-by img2img --sampler 'DPM adaptive' --switch-by sigma -x 3 "
                "-o r.png",
           2, "nobody knows which strength the switch is");
    expect(BOTH "--size 64x64 --refine-by img2img --sampler UniPC -o r.png", 2, "UniPC");
}

Test(init_story, explain_needs_no_picture)
{
    expect("explain -m a.safetensors -r b.safetensors -p cat --steps 10 --denoise 0.5", 0, "");
    cr_expect(strstr(r.out, "10 steps, 6 calls"), "%s", r.out);
    cr_expect(strstr(r.out, "begins from a picture, strength 0.5: at sigma "), "%s", r.out);
    expect("explain -p cat --steps 10 --denoise 0.5 -i init.png --json", 0, "");
}

/* A job inside a job inside a job ..., each of which claims to be the picture before. */
static char *nested(const char *job, int depth)
{
    const size_t bytes = strlen(job) + (size_t)depth * 64 + 64;
    char        *text = malloc(bytes), *at = text;
    const size_t body = strlen(job) - 1; /* without the last brace */
    const char  *with = strstr(job, "\"init\"");
    cr_assert_null(with, "%s", job);
    for (int i = 0; i < depth; i++) at += sprintf(at, "%s", "{\"init\":{\"denoise\":0.5,\"job\":");
    at += sprintf(at, "%.*s}", (int)body, job);
    for (int i = 0; i < depth; i++) at += sprintf(at, "}}");
    return text;
}

static void write_with_job(const char *path, const char *job)
{
    static const uint8_t  rgb[SIDE * SIDE * 3];
    const rf_picture_text text = {"refinery", job};
    cr_assert_eq(rf_png_write(path, rgb, SIDE, SIDE, &text, 1, 1, NULL), RF_OK);
}

static char *replaced(const char *text, const char *from, const char *to)
{
    const char  *at = strstr(text, from);
    const size_t bytes = strlen(text) + strlen(to) + 1;
    char        *out = malloc(bytes);
    cr_assert_not_null(at, "%s is not in %s", from, text);
    snprintf(out, bytes, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

Test(init_story, hostile_jobs_are_refused)
{
    static const char *const LIES[][3] = {{"\"blur\":4", "\"blur\":100000", "blurs up to 64"},
                                          {"\"blur\":4", "\"blur\":-1", "blurs up to 64"},
                                          {"\"resize_mode\":1", "\"resize_mode\":9", "in way 9"},
                                          {"\"denoise\":0.75", "\"denoise\":75", "denoise"}};
    rf_picture_texts        *texts = NULL;
    expect(BOTH "-i init.png --mask mask.png --resize-mode crop -o one.png", 0, "");
    cr_assert_eq(rf_picture_texts_read(&texts, "one.png", NULL), RF_OK);
    const char *job = rf_picture_texts_get(texts, "refinery");
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++) {
        char *lie = replaced(job, LIES[i][0], LIES[i][1]);
        write_with_job("lie.png", lie);
        rf_spawn(&r, "replay lie.png -q --overwrite -o again.png");
        cr_expect(r.code == 65 || r.code == 2, "%s: %d", LIES[i][1], r.code);
        cr_expect(strstr(r.err, LIES[i][2]), "%s: %s", LIES[i][1], r.err);
        free(lie);
    }
    rf_picture_texts_free(texts);
    expect(SMALL "--size 64x64 -p cat -o plain.png", 0, "");
    cr_assert_eq(rf_picture_texts_read(&texts, "plain.png", NULL), RF_OK);
    job = rf_picture_texts_get(texts, "refinery");
    for (int depth = 1; depth <= 1000; depth *= 10) {
        char *text = nested(job, depth);
        write_with_job("deep.png", text);
        rf_spawn(&r, "replay deep.png -q --overwrite -o again.png");
        cr_expect_eq(r.code, 65, "%d: %d %s", depth, r.code, r.err);
        free(text);
    }
    rf_picture_texts_free(texts);
}
