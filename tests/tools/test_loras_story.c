/* LoRAs through the whole program, engine included: three stages, two of them with LoRAs, and back
 * from the picture. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/refinery.h"
#include "tests/tools/spawn.h"

static rf_spawned r;

static void set_up(void)
{
    rf_spawn_enter_folder();
    rf_spawn_expect(&r, "synth -q --seed 1 a.safetensors", 0, "");
    rf_spawn_expect(&r, "synth -q --seed 2 b.safetensors", 0, "");
    rf_spawn(&r, "version > /dev/null; mkdir loras && cp " RF_ROOT
                 "/tests/golden/lora_kinds.safetensors " RF_ROOT
                 "/tests/golden/lora_old.safetensors loras");
    cr_assert_eq(r.code, 0, "%s", r.err);
}

TestSuite(loras_story, .init = set_up, .fini = rf_spawn_leave_folder, .timeout = 120);

#define SMALL "-q --threads 1 --size 64x64 --steps 6 --lora-dir loras --overwrite "
#define RELAY                                                                                      \
    "--stage 'expert=a.safetensors;until=0.3;lora=lora_kinds:2;prompt=cat' "                       \
    "--stage 'expert=b.safetensors;until=0.6' "                                                    \
    "--stage 'expert=a.safetensors;prompt=bird <lora:lora_old:0.5:3>' "

static int same_files(const char *a, const char *b)
{
    char command[200];
    snprintf(command, sizeof command, "version > /dev/null; cmp -s %s %s", a, b);
    rf_spawn(&r, command);
    return r.code == 0;
}

Test(loras_story, three_stages_are_replayed_to_the_byte)
{
    rf_spawn_expect(&r, "render " SMALL RELAY "-o one.png", 0, "");
    rf_spawn_expect(&r, "render " SMALL RELAY "-o two.png", 0, "");
    cr_expect(same_files("one.png", "two.png"));
    rf_spawn_expect(&r, "replay one.png -q --threads 1 -o again.png", 0, "");
    cr_expect(same_files("one.png", "again.png"));
    rf_spawn_expect(&r, "meta one.png", 0, "");
    cr_expect(strstr(r.out, "Lora hashes"), "%s", r.out);
    rf_spawn_expect(&r,
                    "render " SMALL "--stage 'expert=a.safetensors;until=0.3;prompt=cat' "
                    "--stage 'expert=b.safetensors;until=0.6' "
                    "--stage 'expert=a.safetensors;prompt=bird' -o plain.png",
                    0, "");
    cr_expect(!same_files("one.png", "plain.png"));
}

/* What issue 7 is done by: three stages with LoRAs on two of them, and numbers of their own,
 * render; replay from their PNG to the same bytes; and are what they are where a sweep shares their
 * prefixes. */
#define FULL                                                                                       \
    "--sampler 'Euler a' --clip-l-skip "                                                           \
    "--stage 'expert=a.safetensors;until=0.3;cfg=7..4;lora=lora_kinds:2;prompt=cat' "              \
    "--stage 'expert=b.safetensors;until=%s;eta=0.5;clip_skip=3' "                                 \
    "--stage 'expert=a.safetensors;s_noise=0.9;lora=lora_kinds:%s;prompt=bird "                    \
    "<lora:lora_old:0.5:3>' "

Test(loras_story, a_relay_is_done)
{
    static const char *const until[] = {"0.5", "0.6"}, *const strength[] = {"0.5", "1"};
    char stages[1000], command[1400], cell[100];
    snprintf(stages, sizeof stages, FULL, until[1], strength[0]);
    snprintf(command, sizeof command, "render " SMALL "%s-o one.png", stages);
    rf_spawn_expect(&r, command, 0, "");
    rf_spawn_expect(&r, "replay one.png -q --threads 1 -o again.png", 0, "");
    cr_expect(same_files("one.png", "again.png"), "from the PNG");

    snprintf(command, sizeof command,
             "sweep " SMALL "%s--x 'Stage 2 until: 0.5, 0.6' --y 'Stage 3 LoRA lora_kinds: 0.5, 1' "
             "--json -o shared",
             stages);
    rf_spawn_expect(&r, command, 0, "");
    cr_expect(strstr(r.out, "\"calls_naive\":24"), "%s", r.out);
    cr_expect(strstr(r.out, "\"calls_shared\":14"), "%s", r.out); /* 2, 2, then 3 and 2, twice */
    for (int i = 0; i < 4; i++) {
        snprintf(stages, sizeof stages, FULL, until[i % 2], strength[i / 2]);
        snprintf(command, sizeof command, "render " SMALL "%s-o alone.png", stages);
        rf_spawn_expect(&r, command, 0, "");
        snprintf(cell, sizeof cell, "shared/cells/x0%d-y0%d-z00.png", i % 2, i / 2);
        cr_expect(same_files(cell, "alone.png"), "cell %d", i);
    }
    cr_expect(!same_files("one.png", "alone.png"));
}

/* Saved under a name it renders the same picture, and a sweep begins from it. */
Test(loras_story, a_relay_with_a_name_renders_the_same)
{
    char stages[1000], command[1400], here[600];
    cr_assert_not_null(realpath(".", here));
    cr_assert_eq(setenv("XDG_CONFIG_HOME", here, 1), 0);
    snprintf(stages, sizeof stages, FULL, "0.6", "0.5");
    snprintf(command, sizeof command,
             "render " SMALL "%s--no-metadata --save-relay cats -o one.png", stages);
    rf_spawn_expect(&r, command, 0, "");
    rf_spawn_expect(&r, "render " SMALL "--relay cats --clip-l-skip --no-metadata -o two.png", 0,
                    "");
    cr_expect(same_files("one.png", "two.png"));
    rf_spawn_expect(&r, "sweep " SMALL "--relay cats --clip-l-skip --x 'LoRA lora_old: 1-6' -o s",
                    0, "");
    cr_expect(rf_spawn_exists("s/cells/x05-y00-z00.png"));
}

/* A picture of A1111's kind: the infotext alone. */
static void keep_infotext(const char *from, const char *to)
{
    static const uint8_t rgb[64 * 64 * 3];
    rf_picture_texts    *texts = NULL;
    cr_assert_eq(rf_picture_texts_read(&texts, from, NULL), RF_OK);
    const rf_picture_text text = {"parameters", rf_picture_texts_get(texts, "parameters")};
    cr_assert_eq(rf_png_write(to, rgb, 64, 64, &text, 1, 1, NULL), RF_OK);
    rf_picture_texts_free(texts);
}

Test(loras_story, an_infotexts_tags_are_looked_up)
{
    static const char REPLAY[] = "replay info.png --threads 1 --models . --overwrite ";
    char              command[200];
    rf_spawn_expect(&r, "render " SMALL "-m a.safetensors -p 'cat <lora:lora_old:2>' -o one.png", 0,
                    "");
    keep_infotext("one.png", "info.png");
    snprintf(command, sizeof command, "%s--lora-dir loras -o with.png", REPLAY);
    rf_spawn_expect(&r, command, 0,
                    "lora_old.safetensors in a: 7/7 UNet, 2/2 te1, 1/1 te2 modules");
    cr_expect(strstr(r.err, "LoRAs are taken by their names in the prompt"), "%s", r.err);
    snprintf(command, sizeof command, "%s-o without.png", REPLAY);
    rf_spawn_expect(&r, command, 0, "<lora:lora_old> is not applied");
    cr_expect(!same_files("with.png", "without.png"));
}

Test(loras_story, one_that_does_not_fit_is_refused_or_taken_in_part)
{
    rf_spawn(&r, "version > /dev/null; cp a.safetensors loras/expert.safetensors; "
                 "printf x > loras/damaged.safetensors");
    rf_spawn_expect(&r, "render " SMALL "-m a.safetensors --lora expert", 65, "expert.safetensors");
    rf_spawn_expect(&r, "render " SMALL "-m a.safetensors --lora damaged", 65,
                    "damaged.safetensors");
    rf_spawn_expect(&r, "render " SMALL "-m a.safetensors --lora ./none.safetensors", 66,
                    "none.safetensors");
    rf_spawn_expect(&r, "render " SMALL "-m a.safetensors -p '<hypernet:x:1>' --lora lora_old", 0,
                    "");
}
