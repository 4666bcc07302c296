/* Every kind of file in every slot, through the command: what happens, in which words, and that
 * `refinery inspect` has foretold it.
 *
 * A cell is one line of a row: NULL where the file works, else what the refusal says. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/files/sdxl_layout.h"
#include "engine/files/synth.h"
#include "tests/files/fixture.h"
#include "tests/files/folder_fixture.h"
#include "tests/tools/spawn.h"

#define UNET   RF_PREFIX_UNET
#define GOOD   "good.safetensors"
#define RENDER "render -q --dry-run --device cpu --steps 4 --size 64x64 -p fox -m "

enum { BASE, REFINER, LORA, VAE, SLOTS };

static const char *const SLOT[SLOTS] = {"base", "refiner", "lora", "vae"};
static rf_spawned        r;

/* ---- the files ---------------------------------------------------------------------------- */

static void add(fixture *f, const char *name, int64_t rows, int64_t columns)
{
    fixture_add(f, name, "F16", 2, (const int64_t[]){rows, columns}, 2);
}

static rf_sdxl_arch tiny(void)
{
    rf_sdxl_arch arch;
    cr_assert_eq(rf_synth_arch(&arch, "tiny", NULL), RF_OK);
    return arch;
}

static void make_sdxl(const char *path)
{
    const rf_sdxl_arch arch = tiny();
    fixture            f = {0};
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, path);
}

static void make_refiner(const char *path)
{
    char command[200];
    snprintf(command, sizeof command, "synth -q --arch tiny-refiner %s", path);
    rf_spawn_expect(&r, command, 0, "");
}

static void make_vpred(const char *path)
{
    const rf_sdxl_arch arch = tiny();
    const int64_t      none[] = {0};
    fixture            f = {0};
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_add(&f, "v_pred", "F32", 1, none, 4);
    fixture_add(&f, "ztsnr", "F32", 1, none, 4);
    fixture_write(&f, path);
}

static void make_folder(const char *path)
{
    rf_spawn_expect(&r, "synth -q --dtype f32 whole.safetensors", 0, "");
    folder_make(path, "whole.safetensors", "tiny", 1);
}

static void make_inpaint(const char *path)
{
    rf_sdxl_arch arch = tiny();
    fixture      f = {0};
    arch.unet.in_channels = 9;
    fixture_layout(&f, &arch, "F16", 2, NULL);
    fixture_write(&f, path);
}

static void make_sd1(const char *path)
{
    fixture f = {0};
    add(&f, UNET "input_blocks.0.0.weight", 320, 4);
    add(&f, UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 320, 768);
    add(&f, "cond_stage_model.transformer.text_model.final_layer_norm.weight", 768, 1);
    add(&f, "first_stage_model.decoder.conv_in.weight", 512, 4);
    fixture_write(&f, path);
}

#define LAYER "transformer_blocks_0_attn2_to_k"

static void make_lora(const char *path)
{
    fixture f = {0};
    add(&f, "lora_unet_input_blocks_4_1_" LAYER ".lora_down.weight", 4, 128);
    add(&f, "lora_unet_input_blocks_4_1_" LAYER ".lora_up.weight", 64, 4);
    fixture_write(&f, path);
}

static void make_sd1_lora(const char *path)
{
    fixture f = {0};
    add(&f, "lora_unet_down_blocks_0_attentions_0_" LAYER ".lora_down.weight", 4, 768);
    add(&f, "lora_unet_down_blocks_0_attentions_0_" LAYER ".lora_up.weight", 320, 4);
    fixture_write(&f, path);
}

static rf_status add_vae(void *user, const rf_layout_tensor *t)
{
    if (t->part == RF_PART_VAE)
        fixture_add(user, t->name + strlen(RF_PREFIX_VAE), "F16", t->ndim, t->dim, 2);
    return RF_OK;
}

static void make_vae(const char *path)
{
    const rf_sdxl_arch arch = tiny();
    fixture            f = {0};
    cr_assert_eq(rf_sdxl_layout(&arch, add_vae, &f), RF_OK);
    fixture_write(&f, path);
}

static void make_embedding(const char *path)
{
    fixture f = {0};
    add(&f, "clip_l", 4, 768);
    add(&f, "clip_g", 4, 1280);
    fixture_write(&f, path);
}

static void make_pickle(const char *path)
{
    fixture_raw(path, "PK\3\4\0\0\0\0 archive/data.pkl", 28);
}

static void make_cut(const char *path)
{
    make_sdxl(path);
    cr_assert_eq(truncate(path, 1000000), 0);
}

static void make_gguf(const char *path)
{
    fixture_raw(path, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void make_flux(const char *path)
{
    fixture f = {0};
    add(&f, "double_blocks.0.img_attn.qkv.weight", 9, 3);
    fixture_write(&f, path);
}

/* ---- the matrix --------------------------------------------------------------------------- */

static const struct {
    const char *path;
    void (*make)(const char *path);
    const char *slot[SLOTS];
} rows[] = {
    {"sdxl.safetensors",
     make_sdxl,
     {NULL, NULL, "an SDXL checkpoint, not a LoRA: it belongs to --base or --refiner", NULL}},
    {"refiner.safetensors",
     make_refiner,
     {NULL, NULL, "Stability's SDXL refiner, not a LoRA: it belongs to --refiner or --base", NULL}},
    {"vpred.safetensors",
     make_vpred,
     {NULL, NULL, "an SDXL checkpoint, v-prediction, not a LoRA: it belongs to --base or --refiner",
      NULL}},
    {"folder", make_folder, {NULL, NULL, "a diffusers folder, not a LoRA", NULL}},
    {"inpaint.safetensors",
     make_inpaint,
     {"an SDXL inpainting model (9 input channels), not a text-to-image one",
      "an SDXL inpainting model (9 input channels), not a text-to-image one",
      "an SDXL inpainting checkpoint, not a LoRA", NULL}},
    {"sd1.safetensors",
     make_sd1,
     {"a Stable Diffusion 1.x model, not an SDXL one",
      "a Stable Diffusion 1.x model, not an SDXL one",
      "a Stable Diffusion 1.x checkpoint, not a LoRA",
      "a Stable Diffusion 1.x checkpoint, whose VAE decodes other latents than SDXL's"}},
    {"lora.safetensors",
     make_lora,
     {"a LoRA, which changes a checkpoint and is not one",
      "a LoRA, which changes a checkpoint and is not one", NULL,
      "a LoRA, not a VAE: it belongs to --lora"}},
    {"sd1-lora.safetensors",
     make_sd1_lora,
     {"a LoRA, which changes a checkpoint and is not one",
      "a LoRA, which changes a checkpoint and is not one",
      "for another architecture (Stable Diffusion 1.x) than good: 0 of 1 UNet modules fit",
      "a LoRA, not a VAE: it belongs to --lora"}},
    {"vae.safetensors",
     make_vae,
     {"a VAE alone, not a checkpoint", "a VAE alone, not a checkpoint",
      "a VAE, not a LoRA: it belongs to --vae", NULL}},
    {"embedding.safetensors",
     make_embedding,
     {"a textual inversion, not a checkpoint", "a textual inversion, not a checkpoint",
      "a textual inversion, not a LoRA: it belongs to --embedding",
      "a textual inversion, not a VAE: it belongs to --embedding"}},
    {"model.ckpt",
     make_pickle,
     {"can run code when opened", "can run code when opened", "can run code when opened",
      "can run code when opened"}},
    {"cut.safetensors",
     make_cut,
     {"the file is 1000000 bytes, its header says ", "the download was cut", "the download was cut",
      "the download was cut"}},
    {"model.gguf", make_gguf, {"a GGUF file", "a GGUF file", "a GGUF file", "a GGUF file"}},
    {"flux.safetensors",
     make_flux,
     {"a Flux model, not an SDXL one", "a Flux model, not an SDXL one", "a Flux model, not a LoRA",
      "a Flux model, whose VAE decodes other latents than SDXL's"}},
};

TestSuite(file_matrix, .init = rf_spawn_enter_folder, .fini = rf_spawn_leave_folder,
          .timeout = 240);

static void command_of(char *out, size_t bytes, int slot, const char *path)
{
    static const char *const front[SLOTS] = {RENDER, RENDER GOOD " -r ",
                                             RENDER GOOD " --base-lora ./", RENDER GOOD " --vae "};
    snprintf(out, bytes, "%s%s", front[slot], path);
}

/* What inspect says of the slot: the message with which it would be refused, "" if it works. */
static void foretell(const char *path, int slot, char *out, size_t bytes)
{
    static rf_spawned said;
    char              command[200];
    int               works = 0;
    json_t           *problem = NULL;
    snprintf(command, sizeof command, "inspect --json --against " GOOD " %s", path);
    rf_spawn(&said, command);
    json_t *o = json_loads(said.out, 0, NULL);
    cr_assert_not_null(o, "%s: %s%s", path, said.out, said.err);
    if (said.code != 0) { /* a damaged file is refused by whoever opens it */
        cr_expect_eq(said.code, 65, "%s: %s", path, said.err);
        cr_assert_eq(json_unpack(o, "{s:{s:o}}", "error", "message", &problem), 0, "%s", said.out);
    } else {
        cr_assert_eq(json_unpack(o, "{s:{s:{s:b, s:o}}}", "uses", SLOT[slot], "works", &works,
                                 "problem", &problem),
                     0, "%s", said.out);
    }
    snprintf(out, bytes, "%s", works ? "" : json_string_value(problem));
    json_decref(o);
}

static void check_cell(const char *path, int slot, const char *refusal)
{
    char command[300], foretold[700];
    command_of(command, sizeof command, slot, path);
    rf_spawn(&r, command);
    foretell(path, slot, foretold, sizeof foretold);
    cr_expect_eq(r.code, refusal ? 65 : 0, "%s as %s: exit %d, %s", path, SLOT[slot], r.code,
                 r.err);
    cr_expect_eq(!refusal, !*foretold, "%s as %s: inspect says %s", path, SLOT[slot], foretold);
    if (!refusal) return;
    cr_expect(strstr(r.err, refusal), "%s as %s: not '%s' but %s", path, SLOT[slot], refusal,
              r.err);
    cr_expect(strstr(r.err, path), "%s as %s: %s", path, SLOT[slot], r.err);
    cr_expect(strstr(r.err, foretold), "%s as %s: inspect says '%s', render %s", path, SLOT[slot],
              foretold, r.err);
}

Test(file_matrix, every_kind_in_every_slot)
{
    make_sdxl(GOOD);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].make == make_folder) cr_assert_eq(mkdir(rows[i].path, 0700), 0);
        rows[i].make(rows[i].path);
        for (int slot = 0; slot < SLOTS; slot++) check_cell(rows[i].path, slot, rows[i].slot[slot]);
    }
}

/* A LoRA for all stages that fits none is passed over, and said so. */
Test(file_matrix, a_lora_for_all_stages_is_passed_over_where_it_does_not_fit)
{
    make_sdxl(GOOD);
    make_sd1_lora("sd1-lora.safetensors");
    rf_spawn_expect(&r,
                    "render --dry-run --device cpu --steps 4 --size 64x64 -p fox -m " GOOD
                    " --lora sd1-lora.safetensors",
                    0, "0 of 1 modules fit the base UNet (32 channels): skipped");
}
