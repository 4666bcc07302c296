/* The kinds of model that people put into the wrong slot are named. */
#include <criterion/criterion.h>
#include <string.h>

#include "engine/files/checkpoint.h"
#include "engine/files/safetensors.h"
#include "engine/files/synth.h"
#include "tests/files/fixture.h"

#define UNET RF_PREFIX_UNET

enum { NAMES = 5 };

/* A few marks of each kind; dims as the real files have them. */
static const struct {
    rf_model_kind kind;
    struct {
        const char *name;
        int64_t     rows, columns;
    } tensor[NAMES];
    const char *said; /* in the refusal */
} rows[] = {
    {RF_MODEL_SD1,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 320, 768},
      {"cond_stage_model.transformer.text_model.final_layer_norm.weight", 768, 1}},
     "1.x"},
    {RF_MODEL_SD1,
     {{UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 320, 768}},
     "1.x"},
    {RF_MODEL_SD2,
     {{UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 320, 1024},
      {"cond_stage_model.model.ln_final.weight", 1024, 1}},
     "2.x"},
    {RF_MODEL_SDXL_REFINER,
     {{UNET "input_blocks.0.0.weight", 384, 4},
      {"conditioner.embedders.0.model.ln_final.weight", 1280, 1}},
     "4 dims are expected"}, /* it could be opened */
    {RF_MODEL_SDXL_INPAINT,
     {{UNET "input_blocks.0.0.weight", 384, 9},
      {"conditioner.embedders.0.model.ln_final.weight", 1280, 1}},
     "inpainting"},
    {RF_MODEL_SDXL_INPAINT,
     {{UNET "input_blocks.0.0.weight", 320, 9},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1}},
     "inpainting"},
    {RF_MODEL_SDXL_EDIT,
     {{UNET "input_blocks.0.0.weight", 320, 8},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1}},
     "edit"},
    {RF_MODEL_SDXL_VPRED,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {"v_pred", 0, 1},
      {"ztsnr", 0, 1}},
     ""}, /* what is missing */
    {RF_MODEL_SDXL_EDM,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {"edm_mean", 4, 1},
      {"edm_std", 4, 1}},
     "Playground"},
    {RF_MODEL_SDXL_COSXL,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {"edm_vpred.sigma_max", 1, 1}},
     ""}, /* what is missing */
    {RF_MODEL_SSD_1B,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {UNET "input_blocks.7.1.transformer_blocks.2.norm1.weight", 1280, 1},
      {UNET "input_blocks.7.1.transformer_blocks.3.norm1.weight", 1280, 1}},
     "SSD-1B"},
    {RF_MODEL_VEGA,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {UNET "input_blocks.7.1.transformer_blocks.1.norm1.weight", 1280, 1}},
     "Vega"},
    {RF_MODEL_KOALA,
     {{UNET "input_blocks.0.0.weight", 320, 4},
      {"conditioner.embedders.1.model.ln_final.weight", 1280, 1},
      {UNET "input_blocks.5.1.transformer_blocks.4.norm1.weight", 1280, 1}},
     "KOALA"},
    {RF_MODEL_SD3, {{UNET "joint_blocks.0.x_block.attn.qkv.weight", 9, 3}}, "Diffusion 3"},
    {RF_MODEL_SD3, {{"joint_blocks.0.x_block.attn.qkv.weight", 9, 3}}, "Diffusion 3"},
    {RF_MODEL_FLUX, {{UNET "double_blocks.0.img_attn.qkv.weight", 9, 3}}, "Flux"},
    {RF_MODEL_FLUX, {{"double_blocks.0.img_attn.qkv.weight", 9, 3}}, "Flux"},
    {RF_MODEL_LORA,
     {{"lora_unet_input_blocks_4_1_proj_in.lora_down.weight", 8, 640},
      {"lora_unet_input_blocks_4_1_proj_in.lora_up.weight", 640, 8},
      {"lora_unet_input_blocks_4_1_proj_in.alpha", 1, 1}},
     "LoRA"},
    {RF_MODEL_LORA,
     {{"unet.down_blocks.1.attentions.0.proj_in.lora_A.weight", 8, 640},
      {"unet.down_blocks.1.attentions.0.proj_in.lora_B.weight", 640, 8}},
     "LoRA"},
    {RF_MODEL_LORA, {{"diffusion_model.input_blocks.4.1.proj_in.hada_w1_a", 8, 640}}, "LoRA"},
    {RF_MODEL_LORA, {{"diffusion_model.x.lokr_w1", 8, 640}}, "LoRA"},
    {RF_MODEL_LORA, {{"diffusion_model.input_blocks.4.1.proj_in.diff", 640, 640}}, "LoRA"},
    {RF_MODEL_LORA, {{"diffusion_model.input_blocks.4.1.proj_in.on_input", 640, 1}}, "LoRA"},
    {RF_MODEL_IP_ADAPTER, {{"image_proj.proj.weight", 8192, 1280}}, "IP-Adapter"},
    {RF_MODEL_UPSCALER, {{"conv_first.weight", 64, 3}, {"conv_last.bias", 3, 1}}, "upscaler"},
    {RF_MODEL_VAE, {{"decoder.conv_in.weight", 512, 4}, {"quant_conv.weight", 8, 8}}, "VAE"},
    {RF_MODEL_VAE, {{"first_stage_model.decoder.conv_in.weight", 512, 4}}, "VAE"},
    {RF_MODEL_EMBEDDING, {{"clip_l", 4, 768}, {"clip_g", 4, 1280}}, "textual inversion"},
    {RF_MODEL_EMBEDDING, {{"emb_params", 4, 768}}, "textual inversion"},
    {RF_MODEL_UNET,
     {{UNET "input_blocks.0.0.weight", 320, 4}, {UNET "label_emb.0.0.weight", 1280, 2816}},
     "without text encoders"},
    {RF_MODEL_UNET, {{"input_blocks.0.0.weight", 320, 4}}, "without text encoders"},
    {RF_MODEL_UNET_FOLDER,
     {{"conv_in.weight", 320, 4}, {"down_blocks.0.resnets.0.conv1.weight", 320, 320}},
     "diffusers"},
    {RF_MODEL_TEXT_ENCODER, {{"text_model.final_layer_norm.weight", 768, 1}}, "text encoder"},
    {RF_MODEL_TEXT_ENCODER,
     {{"encoder.block.0.layer.0.SelfAttention.q.weight", 4096, 4096}},
     "text encoder"},
    {RF_MODEL_CONTROLNET, {{"controlnet_cond_embedding.conv_in.weight", 16, 3}}, "ControlNet"},
    {RF_MODEL_CONTROLNET, {{"control_model.input_blocks.0.0.weight", 320, 4}}, "ControlNet"},
    {RF_MODEL_UNKNOWN, {{"wte.weight", 50257, 768}, {"h.0.ln_1.weight", 768, 1}}, "no model"},
};

TestSuite(model_kind, .timeout = 30, .fini = fixture_cleanup);

Test(model_kind, kinds_are_told_apart)
{
    const char *path = fixture_path("kind.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture         f = {0};
        rf_safetensors *file;
        rf_identity     id;
        rf_checkpoint   got;
        rf_error        err;
        size_t          tensors = 0;
        for (int t = 0; t < NAMES && rows[i].tensor[t].name; t++, tensors++) {
            const int64_t dim[] = {rows[i].tensor[t].rows, rows[i].tensor[t].columns};
            fixture_add(&f, rows[i].tensor[t].name, "F16", 2, dim, 2);
        }
        fixture_write(&f, path);
        cr_assert_eq(rf_safetensors_open(&file, path, &err), RF_OK, "%s", err.message);
        rf_checkpoint_identify(&id, rf_safetensors_list(file), rf_safetensors_list(file));
        cr_expect_eq(id.kind, rows[i].kind, "row %zu is %s, not %s", i, rf_model_kind_name(id.kind),
                     rf_model_kind_name(rows[i].kind));
        cr_expect_eq(id.usable, 0);
        cr_expect_not_null(strstr(id.problem.message, rows[i].said), "%s", id.problem.message);
        cr_expect_eq(rf_checkpoint_check(&got, rf_safetensors_list(file), &err), RF_E_MODEL);
        size_t counted = 0;
        for (int p = 0; p <= RF_PARTS; p++) counted += id.part[p].tensors;
        cr_expect_eq(counted, tensors);
        rf_safetensors_close(file);
    }
}

/* An SDXL file with one tensor that says otherwise. */
Test(model_kind, marks_inside_a_whole_checkpoint)
{
    static const struct {
        const char   *name;
        rf_model_kind kind;
    } marks[] = {{"v_pred", RF_MODEL_SDXL_VPRED}, {"edm_std", RF_MODEL_SDXL_EDM}};
    rf_sdxl_arch arch;
    cr_assert_eq(rf_synth_arch(&arch, "sdxl", NULL), RF_OK);
    for (int i = 0; i < 2; i++) {
        const int64_t   empty[] = {0};
        const char     *path = fixture_path("marked.safetensors");
        fixture         f = {0};
        rf_safetensors *file;
        rf_identity     id;
        fixture_layout(&f, &arch, "F16", 2, NULL);
        fixture_add(&f, marks[i].name, "F32", 1, empty, 4);
        fixture_write(&f, path);
        cr_assert_eq(rf_safetensors_open(&file, path, NULL), RF_OK);
        rf_checkpoint_identify(&id, rf_safetensors_list(file), rf_safetensors_list(file));
        cr_expect_eq(id.kind, marks[i].kind);
        cr_expect_eq(id.usable, rf_model_kind_refusal(id.kind) == NULL);
        cr_expect_eq(id.checkpoint.unknown_count, 0u, "a mark is known");
        rf_safetensors_close(file);
    }
}

Test(model_kind, every_kind_has_its_words)
{
    for (int k = 0; k < RF_MODEL_KINDS; k++) {
        cr_expect_not_null(rf_model_kind_name((rf_model_kind)k), "%d", k);
        cr_expect_eq(rf_model_kind_refusal((rf_model_kind)k) == NULL,
                     k == RF_MODEL_SDXL || k == RF_MODEL_SDXL_VPRED || k == RF_MODEL_SDXL_COSXL ||
                         k == RF_MODEL_SDXL_REFINER,
                     "%d", k);
    }
}
