/* What was converted draws what it drew: as a folder, and with LoRAs baked in. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/files/folder_fixture.h"
#include "tests/relay/relays.h"

#define KINDS "tests/golden/lora_kinds.safetensors"
#define OLD   "tests/golden/lora_old.safetensors"

static const rf_lora_use both[] = {{.path = KINDS, .unet = 0.75, .text = 0.5},
                                   {.path = OLD, .unet = -0.25, .text = 1}};

static void render(relays *r, rf_expert *expert, const rf_lora_use *loras, int count, pictures *out)
{
    const rf_stage stage = {
        .expert = expert, .prompt = "a cat", .cfg_scale = 3, .loras = loras, .lora_count = count};
    const rf_job job = relays_job(&stage, 1, 2);
    relays_render(r, &job, out);
}

/* The expert that `to` has become with these options. */
static rf_expert *convert(relays *r, const char *to, rf_convert_options options)
{
    rf_expert   *expert = NULL;
    rf_converted done;
    rf_error     err = {0};
    must(rf_convert_model(&done, to, r->path[0], &options, &err), &err);
    must(rf_expert_open(&expert, r->engine, to, &err), &err);
    return expert;
}

Test(convert_pictures, baked_in_is_merged_while_reading, .timeout = 120)
{
    static const char *const ends[] = {".baked.safetensors", ".baked"};
    relays                   r;
    pictures                 merged = {0};
    char                     path[300];
    relays_open(&r, NULL);
    render(&r, r.expert[0], both, 2, &merged);
    for (int i = 0; i < 2; i++) {
        pictures baked = {0}, plain = {0};
        snprintf(path, sizeof path, "%s%s", r.path[0], ends[i]);
        rf_expert *expert =
            convert(&r, path, (rf_convert_options){.loras = both, .lora_count = 2, .threads = 1});
        render(&r, expert, NULL, 0, &baked);
        render(&r, r.expert[0], NULL, 0, &plain);
        pictures_expect_equal(&merged, &baked, ends[i], 0);
        cr_expect_not(pictures_equal(&merged, 0, &plain, 0), "the LoRAs do something");
        pictures_free(&baked);
        pictures_free(&plain);
        rf_expert_close(expert);
        folder_remove(path);
    }
    pictures_free(&merged);
    relays_close(&r);
}
