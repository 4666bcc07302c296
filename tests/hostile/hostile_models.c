/* S15: models that are no SDXL checkpoint.  S16: SDXL checkpoints, tensor for tensor, whose shapes
 * lie. */
#include "tests/hostile/hostile.h"

#include <stdio.h>
#include <string.h>

#define UNET  RF_PREFIX_UNET
#define L     RF_PREFIX_CLIP_L
#define G     RF_PREFIX_CLIP_G
#define VAE   RF_PREFIX_VAE
#define MARKS 5

/* ---- other models ------------------------------------------------------------------------- */

typedef struct tensor {
    const char *name, *shape;
} tensor;

/* A few tensors that tell each model, with the sizes of the real ones. */
static const struct {
    const char *what;
    tensor      tensor[MARKS];
    const char *said;
} others[] = {
    {"Stable Diffusion 1.5",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"},
      {UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", "320,768"},
      {"cond_stage_model.transformer.text_model.final_layer_norm.weight", "768"}},
     "1.x"},
    {"the UNet of Stable Diffusion 1.5",
     {{UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", "320,768"}},
     "1.x"},
    {"Stable Diffusion 2.1",
     {{UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", "320,1024"},
      {"cond_stage_model.model.ln_final.weight", "1024"}},
     "2.x"},
    {"Stable Diffusion 3",
     {{UNET "joint_blocks.0.x_block.attn.qkv.weight", "9,3"}},
     "Stable Diffusion 3"},
    {"Stable Diffusion 3 without a prefix",
     {{"joint_blocks.0.x_block.attn.qkv.weight", "9,3"}},
     "Stable Diffusion 3"},
    {"Flux", {{UNET "double_blocks.0.img_attn.qkv.weight", "9,3"}}, "Flux"},
    {"Flux without a prefix", {{"double_blocks.0.img_attn.qkv.weight", "9,3"}}, "Flux"},
    {"an inpainting model",
     {{UNET "input_blocks.0.0.weight", "320,9,3,3"}, {G "ln_final.weight", "1280"}},
     "inpainting"},
    {"an edit model",
     {{UNET "input_blocks.0.0.weight", "320,8,3,3"}, {G "ln_final.weight", "1280"}},
     "edit"},
    {"Playground 2.5",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"},
      {G "ln_final.weight", "1280"},
      {"edm_mean", "4"},
      {"edm_std", "4"}},
     ""},
    {"Stability's refiner, hollow",
     {{UNET "input_blocks.0.0.weight", "384,4,3,3"},
      {"conditioner.embedders.0.model.ln_final.weight", "1280"}},
     "refiner"},
    {"SSD-1B",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"},
      {G "ln_final.weight", "1280"},
      {UNET "input_blocks.7.1.transformer_blocks.2.norm1.weight", "1280"},
      {UNET "input_blocks.7.1.transformer_blocks.3.norm1.weight", "1280"}},
     "SSD-1B"},
    {"Segmind Vega",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"},
      {G "ln_final.weight", "1280"},
      {UNET "input_blocks.7.1.transformer_blocks.1.norm1.weight", "1280"}},
     "Vega"},
    {"a LoRA of kohya's",
     {{"lora_unet_input_blocks_4_1_proj_in.lora_down.weight", "8,640"},
      {"lora_unet_input_blocks_4_1_proj_in.lora_up.weight", "640,8"},
      {"lora_unet_input_blocks_4_1_proj_in.alpha", ""}},
     "LoRA"},
    {"a LoRA of peft's",
     {{"unet.down_blocks.1.attentions.0.proj_in.lora_A.weight", "8,640"},
      {"unet.down_blocks.1.attentions.0.proj_in.lora_B.weight", "640,8"}},
     "LoRA"},
    {"a LoHa", {{"diffusion_model.input_blocks.4.1.proj_in.hada_w1_a", "8,640"}}, "LoRA"},
    {"a VAE", {{"decoder.conv_in.weight", "512,4,3,3"}, {"quant_conv.weight", "8,8,1,1"}}, "VAE"},
    {"a VAE under its prefix", {{VAE "decoder.conv_in.weight", "512,4,3,3"}}, "VAE"},
    {"a textual inversion", {{"clip_l", "4,768"}, {"clip_g", "4,1280"}}, "textual inversion"},
    {"a textual inversion of 1.5", {{"emb_params", "4,768"}}, "textual inversion"},
    {"a UNet alone",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"}, {UNET "label_emb.0.0.weight", "1280,2816"}},
     "without text encoders"},
    {"a UNet without its prefix",
     {{"input_blocks.0.0.weight", "320,4,3,3"}},
     "without text encoders"},
    {"a part of a diffusers folder",
     {{"conv_in.weight", "320,4,3,3"}, {"down_blocks.0.resnets.0.conv1.weight", "320,320,3,3"}},
     "diffusers"},
    {"a text encoder", {{"text_model.final_layer_norm.weight", "768"}}, "text encoder"},
    {"a ControlNet", {{"control_model.input_blocks.0.0.weight", "320,4,3,3"}}, "ControlNet"},
    {"a ControlNet of diffusers",
     {{"controlnet_cond_embedding.conv_in.weight", "16,3,3,3"}},
     "ControlNet"},
    {"a language model",
     {{"wte.weight", "50257,768"}, {"h.0.ln_1.weight", "768"}},
     "no model that is known"},
    {"an upscaler", {{"conv_first.weight", "64,3,3,3"}}, "an upscaler"},
    {"a hollow SDXL",
     {{UNET "input_blocks.0.0.weight", "320,4,3,3"}, {G "ln_final.weight", "1280"}},
     "without tensor"},
};

void hostile_s15(hostile *h)
{
    hostile_begin(h, "S15", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(others); i++) {
        hostile_tensors t = {0};
        for (int k = 0; k < MARKS && others[i].tensor[k].name; k++)
            hostile_add(&t, others[i].tensor[k].name, "F16", others[i].tensor[k].shape);
        hostile_file(h, &t, others[i].what, RF_E_MODEL, others[i].said);
    }
}

/* ---- shapes that lie ---------------------------------------------------------------------- */

#define BLOCK UNET "input_blocks.4.1.transformer_blocks.0."

/* The tiny checkpoint with one change (two where a second is there). */
static const struct {
    const char  *what;
    hostile_edit edit[2];
    const char  *said;
} lies[] = {
    {"a matrix of one dim", {{BLOCK "attn1.to_q.weight", 0, 0, "4096"}}, "has shape [4096]"},
    {"a matrix of four dims", {{BLOCK "attn1.to_q.weight", 0, 0, "64,64,1,1"}}, "[64, 64, 1, 1]"},
    {"a scalar for a matrix", {{BLOCK "attn1.to_q.weight", 0, 0, ""}}, "has shape []"},
    {"one row more", {{BLOCK "attn1.to_q.weight", 0, 0, "65,64"}}, "[65, 64]"},
    {"one row less", {{BLOCK "attn1.to_q.weight", 0, 0, "63,64"}}, "[63, 64]"},
    {"one column more", {{BLOCK "attn2.to_k.weight", 0, 0, "64,129"}}, "[64, 129]"},
    {"one column less", {{BLOCK "attn2.to_v.weight", 0, 0, "64,127"}}, "[64, 127]"},
    {"no rows", {{BLOCK "attn1.to_q.weight", 0, 0, "0,64"}}, "[0, 64]"},
    {"no columns", {{BLOCK "attn1.to_q.weight", 0, 0, "64,0"}}, "[64, 0]"},
    {"a matrix turned", {{BLOCK "ff.net.0.proj.weight", 0, 0, "64,512"}}, "[64, 512]"},
    {"a matrix turned, the other way", {{BLOCK "ff.net.2.weight", 0, 0, "256,64"}}, "[256, 64]"},
    {"a bias of two dims", {{BLOCK "ff.net.2.bias", 0, 0, "64,1"}}, "[64, 1]"},
    {"a bias of one too many", {{BLOCK "ff.net.2.bias", 0, 0, "65"}}, "[65]"},
    {"an empty norm", {{BLOCK "norm1.weight", 0, 0, "0"}}, "[0]"},
    {"a billion norms", {{BLOCK "norm1.weight", 0, 0, "1073741824"}}, "[1073741824]"},
    {"a convolution of 1 by 1",
     {{UNET "input_blocks.1.0.in_layers.2.weight", 0, 0, "32,32,1,1"}},
     "[32, 32, 1, 1]"},
    {"a convolution of 5 by 5",
     {{UNET "input_blocks.1.0.out_layers.3.weight", 0, 0, "32,32,5,5"}},
     "[32, 32, 5, 5]"},
    {"a UNet of width 0", {{UNET "input_blocks.0.0.weight", 0, 0, "0,4,3,3"}}, "dim 0"},
    {"a UNet of width 33", {{UNET "input_blocks.0.0.weight", 0, 0, "33,4,3,3"}}, "dim 0"},
    {"a UNet of width 2^40",
     {{UNET "input_blocks.0.0.weight", 0, 0, "1099511627776,4,1,1"}},
     "dim 0"},
    {"a latent of 5 channels", {{UNET "input_blocks.0.0.weight", 0, 0, "32,5,3,3"}}, ""},
    {"a latent of 3 channels", {{UNET "input_blocks.0.0.weight", 0, 0, "32,3,3,3"}}, ""},
    {"an answer of 8 channels", {{UNET "out.2.weight", 0, 0, "8,32,3,3"}}, "out.2.weight"},
    {"a time embedding of another width",
     {{UNET "time_embed.0.weight", 0, 0, "64,32"}},
     "time_embed.0.weight"},
    {"a vector of another width", {{UNET "label_emb.0.0.weight", 0, 0, "128,1599"}}, "vector of"},
    {"a vector of 2^31", {{UNET "label_emb.0.0.weight", 0, 0, "128,2147483648"}}, "label_emb"},
    {"a vocabulary of another size",
     {{L "embeddings.token_embedding.weight", 0, 0, "49407,64"}},
     "token_embedding"},
    {"78 positions",
     {{L "embeddings.position_embedding.weight", 0, 0, "78,64"}},
     "position_embedding"},
    {"a text encoder of width 60",
     {{G "token_embedding.weight", 0, 0, "49408,60"}},
     "token_embedding"},
    {"a text encoder of width 2^20",
     {{G "token_embedding.weight", 0, 0, "49408,1048576"}},
     "token_embedding"},
    {"no first layer of text", {{L "encoder.layers.0.*", "", 0, 0}}, ""},
    {"no layer of text but one", {{L "encoder.layers.1.*", "", 0, 0}}, "of 1 layers"},
    {"a projection turned to nothing", {{G "text_projection", 0, 0, "64,0"}}, "text_projection"},
    {"a VAE of 16 channels",
     {{VAE "post_quant_conv.weight", 0, 0, "16,16,1,1"}},
     "post_quant_conv"},
    {"a VAE of three levels", {{VAE "encoder.down.3.*", "", 0, 0}}, "of 3 levels"},
    {"a VAE without a decoder", {{VAE "decoder.*", "", 0, 0}}, "without tensor"},
    {"a weight of whole numbers", {{BLOCK "attn1.to_q.weight", 0, "I64", 0}}, "of type I64"},
    {"a weight of bytes", {{BLOCK "attn1.to_q.weight", 0, "U8", 0}}, "of type U8"},
    {"a weight of truths", {{BLOCK "attn1.to_q.weight", 0, "BOOL", 0}}, "of type BOOL"},
    {"a weight of doubles", {{BLOCK "attn1.to_q.weight", 0, "F64", 0}}, "of type F64"},
    {"a missing weight", {{BLOCK "attn1.to_q.weight", "", 0, 0}}, "without tensor"},
    {"a missing bias", {{UNET "out.2.bias", "", 0, 0}}, "without tensor"},
    {"a missing block", {{UNET "output_blocks.3.*", "", 0, 0}}, "without tensor"},
    {"a missing level", {{UNET "input_blocks.4.*", "", 0, 0}}, ""},
    {"a missing middle", {{UNET "middle_block.*", "", 0, 0}}, "middle_block"},
    {"a missing UNet", {{UNET "*", "", 0, 0}}, ""},
    {"a missing CLIP-L", {{L "*", "", 0, 0}}, "token_embedding"},
    {"a missing bigG", {{G "*", "", 0, 0}}, ""},
    {"a block that is another's",
     {{UNET "input_blocks.4.1.*", UNET "input_blocks.9.1.", 0, 0}},
     ""},
    {"8 bits with a scale for each row",
     {{BLOCK "attn1.to_q.weight", 0, "F8_E4M3", 0},
      {BLOCK "attn1.to_out.0.bias", BLOCK "attn1.to_q.scale_weight", "F32", "64"}},
     "scales of blocks or rows"},
    {"8 bits with a scale that nobody knows",
     {{BLOCK "attn1.to_q.weight", 0, "F8_E4M3", 0},
      {BLOCK "attn1.to_out.0.bias", BLOCK "attn1.to_q.block_scale", "F32", ""}},
     "may be a scale"},
    {"8 bits with a scale of 0",
     {{BLOCK "attn1.to_q.weight", 0, "F8_E4M3", 0},
      {BLOCK "attn1.to_out.0.bias", BLOCK "attn1.to_q.weight_scale", "F32", ""}},
     "is 0"},
};

void hostile_s16(hostile *h)
{
    hostile_begin(h, "S16", HOSTILE_CHECKPOINT);
    for (size_t i = 0; i < HOSTILE_COUNT(lies); i++) {
        hostile_tensors t = {0};
        hostile_layout(&t, hostile_tiny(), lies[i].edit, lies[i].edit[1].name ? 2 : 1);
        hostile_file(h, &t, lies[i].what, RF_E_MODEL, lies[i].said);
    }
}
