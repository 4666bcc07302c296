/* VAEs in a file of their own: in the names of the original checkpoints, with shapes that lie. */
#include "tests/hostile/hostile.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define VAE RF_PREFIX_VAE

/* The tiny checkpoint's VAE, its prefix gone, with one change. */
static const struct {
    const char  *what;
    hostile_edit edit;
    const char  *said;
} lies[] = {
    {"a latent of 16 channels", {VAE "post_quant_conv.weight", 0, 0, "16,16,1,1"}, "post_quant"},
    {"a latent of 3 channels", {VAE "post_quant_conv.weight", 0, 0, "3,3,1,1"}, "post_quant"},
    {"a latent of no channels", {VAE "post_quant_conv.weight", 0, 0, "0,4,1,1"}, "post_quant"},
    {"a latent of two dims", {VAE "post_quant_conv.weight", 0, 0, "4,4"}, "post_quant"},
    {"no way into it", {VAE "post_quant_conv.weight", "", 0, 0}, "post_quant"},
    {"a width of 0", {VAE "encoder.conv_in.weight", 0, 0, "0,3,3,3"}, "conv_in"},
    {"a width of 33", {VAE "encoder.conv_in.weight", 0, 0, "33,3,3,3"}, "conv_in"},
    {"a width of 2^40", {VAE "encoder.conv_in.weight", 0, 0, "1099511627776,3,1,1"}, "conv_in"},
    {"a width that is a vector", {VAE "encoder.conv_in.weight", 0, 0, "32"}, "conv_in"},
    {"an encoder alone", {VAE "decoder.*", "", 0, 0}, ""},
    {"three levels", {VAE "encoder.down.3.*", "", 0, 0}, "of 3 levels"},
    {"two levels", {VAE "encoder.down.2.*", "", 0, 0}, "of 2 levels"},
    {"no blocks", {VAE "encoder.down.0.*", "", 0, 0}, ""},
    {"a level of 1000 channels",
     {VAE "encoder.down.2.block.0.conv1.weight", 0, 0, "1000,64,3,3"},
     "conv1"},
    {"a level of 2^31 channels",
     {VAE "encoder.down.1.block.0.conv1.weight", 0, 0, "2147483648,32,3,3"},
     "conv1"},
    {"a level of a scalar", {VAE "encoder.down.1.block.0.conv1.weight", 0, 0, ""}, "conv1"},
    {"no decoder's entry", {VAE "decoder.conv_in.weight", "", 0, 0}, ""},
    {"half a decoder", {VAE "decoder.up.*", "", 0, 0}, ""},
    {"no decoder's middle", {VAE "decoder.mid.*", "", 0, 0}, ""},
    {"a decoder of other channels", {VAE "decoder.conv_in.weight", 0, 0, "96,4,3,3"}, ""},
    {"a decoder of one dim", {VAE "decoder.up.0.block.0.conv1.weight", 0, 0, "9216"}, ""},
    {"a decoder of nothing", {VAE "decoder.conv_out.weight", 0, 0, "3,0,3,3"}, ""},
    {"a decoder of four colours", {VAE "decoder.conv_out.weight", 0, 0, "4,32,3,3"}, ""},
    {"a decoder of whole numbers", {VAE "decoder.conv_in.weight", 0, "I64", 0}, ""},
    {"a decoder of bytes", {VAE "decoder.norm_out.weight", 0, "U8", 0}, ""},
    {"a middle turned", {VAE "decoder.mid.attn_1.q.weight", 0, 0, "128,127,1,1"}, ""},
};

/* ---- in other places ---------------------------------------------------------------------- */

/* The tiny checkpoint's VAE, under its prefix, and one tensor more. */
static void with_twin(hostile *h, const char *name, const char *shape, const char *said)
{
    hostile_tensors    t = {0};
    const hostile_edit edit[] = {{RF_PREFIX_UNET "*", "", 0, 0},
                                 {RF_PREFIX_CLIP_L "*", "", 0, 0},
                                 {RF_PREFIX_CLIP_G "*", "", 0, 0}};
    hostile_layout(&t, hostile_tiny(), edit, 3);
    hostile_add(&t, name, "F16", shape);
    hostile_file(h, &t, name, RF_E_MODEL, said);
}

/* A folder of diffusers' with a file that would do for a container, and a configuration. */
static void folder_case(hostile *h, const char *config, size_t bytes, rf_status want,
                        const char *said)
{
    char            path[1100];
    hostile_tensors t = {0};
    const char *folder = hostile_next(h, bytes < 200 ? config : "a long config.json", want, said);
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/config.json", folder);
    hostile_bytes(path, config, bytes);
    snprintf(path, sizeof path, "%s/diffusion_pytorch_model.safetensors", folder);
    hostile_add(&t, "decoder.conv_in.weight", "F16", "512,4,3,3");
    hostile_write(&t, path);
    hostile_made(h);
}

static void folders(hostile *h)
{
    static const struct {
        const char *config;
        rf_status   want;
        const char *said;
    } rows[] = {
        {"{\"scaling_factor\":0.18215}", RF_E_MODEL, "scaling_factor is 0.18215"},
        {"{\"_class_name\":\"AutoencoderKL\",\"scaling_factor\":-1e308}", RF_E_MODEL,
         "scaling_factor is -1e+308"},
        {"{\"scaling_factor\":1e999}", RF_E_FORMAT, "config.json"},
        {"{\"scaling_factor\":0,}", RF_E_FORMAT, "config.json"},
        {"{\"a\":1,\"a\":1}", RF_E_FORMAT, "duplicate"},
        {"", RF_E_FORMAT, "config.json"},
        {"{}", RF_E_MODEL, ""},
        {"[]", RF_E_MODEL, ""},
    };
    static char brackets[60000];
    for (size_t i = 0; i < HOSTILE_COUNT(rows); i++)
        folder_case(h, rows[i].config, strlen(rows[i].config), rows[i].want, rows[i].said);
    memset(brackets, '[', sizeof brackets);
    folder_case(h, brackets, sizeof brackets, RF_E_FORMAT, "config.json");
    for (size_t i = 1; i < sizeof brackets; i++) brackets[i] = "[],"[(i - 1) % 3];
    folder_case(h, brackets, sizeof brackets, RF_E_FORMAT, "config.json");
}

void hostile_vaes(hostile *h)
{
    static const struct {
        const char *name, *shape, *said;
    } others[] = {
        {"decoder.conv_in.weight", "512,4,3,3", ""},
        {VAE "decoder.conv_in.weight", "512,4,3,3", ""},
        {RF_PREFIX_UNET "input_blocks.0.0.weight", "320,4,3,3", "a UNet alone"},
        {RF_PREFIX_UNET "double_blocks.0.img_attn.qkv.weight", "9,3", "Flux"},
        {"clip_l", "4,768", "textual inversion"},
        {"lora_unet_x.lora_up.weight", "4,4", "LoRA"},
        {"control_model.x", "4", "ControlNet"},
        {"text_model.final_layer_norm.weight", "768", "text encoder"},
        {"wte.weight", "10,10", "no model that is known"},
    };
    hostile_begin(h, "V", HOSTILE_VAE);
    for (size_t i = 0; i < HOSTILE_COUNT(lies); i++) {
        hostile_tensors    t = {0};
        const hostile_edit edit[] = {lies[i].edit,
                                     {RF_PREFIX_UNET "*", "", 0, 0},
                                     {RF_PREFIX_CLIP_L "*", "", 0, 0},
                                     {RF_PREFIX_CLIP_G "*", "", 0, 0}};
        hostile_layout(&t, hostile_tiny(), edit, 4);
        hostile_file(h, &t, lies[i].what, RF_E_MODEL, lies[i].said);
    }
    for (size_t i = 0; i < HOSTILE_COUNT(others); i++) {
        hostile_tensors t = {0};
        hostile_add(&t, others[i].name, "F16", others[i].shape);
        hostile_file(h, &t, others[i].name, RF_E_MODEL, others[i].said);
    }
    hostile_raw(h, "a VAE of no bytes", "", 0, RF_E_FORMAT, "empty");
    hostile_raw(h, "a pickled VAE", "\x80\2}q\0(X\1\0\0\0aK\1", 14, RF_E_MODEL, "pickle");
    hostile_tensor(h, "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}", 8, RF_E_FORMAT,
                   "takes 4 bytes");
    hostile_tensor(h, HOSTILE_GOOD, 3, RF_E_FORMAT, "cut");
    hostile_tensor(h, HOSTILE_GOOD, 5, RF_E_FORMAT, "appended");
    with_twin(h, VAE "decoder.up_blocks.0.resnets.0.conv1.weight", "128,128,3,3", "the same part");
    with_twin(h, VAE "decoder.mid_block.resnets.0.norm1.weight", "128", "the same part");
    with_twin(h, VAE "decoder.mid_block.attentions.0.query.weight", "128,128", "the same part");
    folders(h);
}
