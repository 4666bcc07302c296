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
