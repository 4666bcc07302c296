/* Every kind of model in every use: who passes, and what the others are told. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/files/lora_keys.h"
#include "engine/files/model_use.h"
#include "engine/files/sdxl_layout.h"
#include "engine/files/synth.h"

TestSuite(model_use, .timeout = 20);

/* Kinds that pass, in the order base, refiner, LoRA, VAE. */
static int passes(rf_model_kind kind, rf_model_use use)
{
    switch (use) {
    case RF_USE_LORA: return kind == RF_MODEL_LORA || kind == RF_MODEL_UNKNOWN;
    case RF_USE_VAE:
        return (kind <= RF_MODEL_KOALA && kind != RF_MODEL_SDXL_EDM) || kind == RF_MODEL_VAE;
    default: return rf_model_kind_refusal(kind) == NULL;
    }
}

Test(model_use, every_kind_has_an_answer_in_every_use)
{
    for (int k = 0; k < RF_MODEL_KINDS; k++) {
        const rf_model_kind kind = (rf_model_kind)k;
        for (int u = 0; u < RF_USES; u++) {
            rf_error        err = {.message = ""};
            const rf_status st = rf_model_use_check(kind, (rf_model_use)u, "x.safetensors", &err);
            cr_expect_eq(st, passes(kind, (rf_model_use)u) ? RF_OK : RF_E_MODEL, "%s as %s: %s",
                         rf_model_kind_name(kind), rf_model_use_name((rf_model_use)u), err.message);
            if (st != RF_OK)
                cr_expect_eq(strncmp(err.message, "x.safetensors: ", 15), 0, "%s", err.message);
        }
    }
}

Test(model_use, sentences_say_where_a_file_belongs)
{
    static const struct {
        rf_model_kind kind;
        rf_model_use  use;
        const char   *said;
    } rows[] = {
        {RF_MODEL_SDXL, RF_USE_LORA,
         "x: an SDXL checkpoint, not a LoRA: it belongs to --base or --refiner"},
        {RF_MODEL_LORA, RF_USE_VAE, "x: a LoRA, not a VAE: it belongs to --lora"},
        {RF_MODEL_VAE, RF_USE_LORA, "x: a VAE, not a LoRA: it belongs to --vae"},
        {RF_MODEL_SD1, RF_USE_VAE,
         "x: a Stable Diffusion 1.x checkpoint, whose VAE decodes other latents than SDXL's"},
        {RF_MODEL_CONTROLNET, RF_USE_LORA, "x: a ControlNet, not a LoRA"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rf_error err = {.message = ""};
        cr_expect_eq(rf_model_use_check(rows[i].kind, rows[i].use, "x", &err), RF_E_MODEL);
        cr_expect_str_eq(err.message, rows[i].said);
    }
}

static rf_status no_mark_of_a_lora(void *user, const rf_layout_tensor *t)
{
    (void)user;
    cr_expect_eq(rf_lora_key_of(t->name).kind, RF_LORA_KEY_UNKNOWN, "%s", t->name);
    return RF_OK;
}

/* A LoRA is known by one tensor's ending, so no checkpoint's tensor may have it. */
Test(model_use, no_tensor_of_a_checkpoint_ends_like_a_loras)
{
    rf_sdxl_arch arch;
    cr_assert_eq(rf_synth_arch(&arch, "sdxl", NULL), RF_OK);
    cr_expect_eq(rf_sdxl_layout(&arch, no_mark_of_a_lora, NULL), RF_OK);
}
