/* Marks that tell models apart; see model_kind.h.  Most specific first: an SDXL inpainting model
 * is also an SDXL model, and a LoRA names the layers of what it adapts. */
#include "engine/files/model_kind.h"

#include <string.h>

#include "engine/core/arch.h"
#include "engine/files/lora_keys.h"
#include "engine/files/taesd_layout.h"

static const struct {
    const char *name, *refusal;
} kinds[RF_MODEL_KINDS] = {
    [RF_MODEL_SDXL] = {"SDXL checkpoint", NULL},
    [RF_MODEL_SDXL_VPRED] = {"SDXL checkpoint, v-prediction", NULL},
    [RF_MODEL_SDXL_COSXL] = {"SDXL checkpoint, v-prediction on EDM noise levels (CosXL)", NULL},
    [RF_MODEL_SDXL_EDM] = {"SDXL checkpoint, EDM (Playground 2.5)",
                           "Playground 2.5 (tensors edm_mean, edm_std), which normalises its "
                           "latents in another way than SDXL, so that no other expert can go on "
                           "with them"},
    [RF_MODEL_SDXL_REFINER] = {"SDXL refiner", NULL},
    [RF_MODEL_SDXL_INPAINT] = {"SDXL inpainting checkpoint",
                               "an SDXL inpainting model (9 input channels), not a text-to-image "
                               "one"},
    [RF_MODEL_SDXL_EDIT] = {"SDXL edit checkpoint",
                            "an SDXL edit model (8 input channels), not a text-to-image one"},
    [RF_MODEL_SSD_1B] = {"SSD-1B checkpoint",
                         "SSD-1B, a distilled SDXL with other depths, which is not supported"},
    [RF_MODEL_VEGA] = {"Segmind Vega checkpoint",
                       "Segmind Vega, a distilled SDXL with other depths, which is not supported"},
    [RF_MODEL_KOALA] = {"KOALA checkpoint",
                        "KOALA, a distilled SDXL with fewer blocks, which is not supported"},
    [RF_MODEL_SD1] = {"Stable Diffusion 1.x checkpoint",
                      "a Stable Diffusion 1.x model, not an SDXL one"},
    [RF_MODEL_SD2] = {"Stable Diffusion 2.x checkpoint",
                      "a Stable Diffusion 2.x model, not an SDXL one"},
    [RF_MODEL_SD3] = {"Stable Diffusion 3 model", "a Stable Diffusion 3 model, not an SDXL one"},
    [RF_MODEL_FLUX] = {"Flux model", "a Flux model, not an SDXL one"},
    [RF_MODEL_UNET] = {"UNet alone",
                       "a UNet without text encoders; a full single-file checkpoint is needed"},
    [RF_MODEL_UNET_FOLDER] = {"UNet of a diffusers folder",
                              "the UNet of a diffusers folder; a full single-file checkpoint is "
                              "needed"},
    [RF_MODEL_VAE] = {"VAE", "a VAE alone, not a checkpoint"},
    [RF_MODEL_TAESD] = {"tiny autoencoder (TAESD)",
                        "a tiny autoencoder (TAESD), which previews are made with, not a "
                        "checkpoint: it belongs to --preview-vae"},
    [RF_MODEL_TEXT_ENCODER] = {"text encoder", "a text encoder alone, not a checkpoint"},
    [RF_MODEL_LORA] = {"LoRA", "a LoRA, which changes a checkpoint and is not one"},
    [RF_MODEL_CONTROLNET] = {"ControlNet", "a ControlNet, not a checkpoint"},
    [RF_MODEL_IP_ADAPTER] = {"IP-Adapter", "an IP-Adapter, not a checkpoint"},
    [RF_MODEL_UPSCALER] = {"upscaler", "an upscaler of finished pictures, not a checkpoint"},
    [RF_MODEL_EMBEDDING] = {"textual inversion", "a textual inversion, not a checkpoint"},
    [RF_MODEL_UNKNOWN] = {"unknown model", "no model that is known here, and no SDXL checkpoint"},
};

const char *rf_model_kind_name(rf_model_kind kind)
{
    return kinds[kind].name;
}

const char *rf_model_kind_refusal(rf_model_kind kind)
{
    return kinds[kind].refusal;
}

/* 1 if a tensor's name starts with `prefix`; names are sorted, so one search does. */
static int any_under(const rf_tensors *list, const char *prefix)
{
    const size_t n = strlen(prefix);
    size_t       low = 0, high = list->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (strcmp(list->item[mid].name, prefix) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < list->count && strncmp(list->item[low].name, prefix, n) == 0;
}

static int has(const rf_tensors *list, const char *name)
{
    return rf_tensors_find(list, name) != NULL;
}

/* Dim `axis` of the tensor, or -1. */
static int64_t dim_of(const rf_tensors *list, const char *name, int axis)
{
    const rf_tensor *t = rf_tensors_find(list, name);
    return t && axis < t->ndim ? t->dim[axis] : -1;
}

/* One tensor that only the LoRA family has is enough. */
static int is_lora(const rf_tensors *list)
{
    if (any_under(list, "lora_") || any_under(list, "lycoris_")) return 1;
    for (size_t i = 0; i < list->count; i++)
        if (rf_lora_key_of(list->item[i].name).kind != RF_LORA_KEY_UNKNOWN) return 1;
    return 0;
}

/* SDXL with both text encoders: which one? */
static rf_model_kind sdxl_kind(const rf_tensors *list)
{
    static const char third[] = RF_PREFIX_UNET "input_blocks.7.1.transformer_blocks.";
    const int64_t     width = dim_of(list, RF_PREFIX_UNET "input_blocks.0.0.weight", 0);
    const int64_t     inputs = dim_of(list, RF_PREFIX_UNET "input_blocks.0.0.weight", 1);
    if (has(list, "edm_mean") || has(list, "edm_std")) return RF_MODEL_SDXL_EDM;
    if (inputs == 9) return RF_MODEL_SDXL_INPAINT;
    if (inputs == 8) return RF_MODEL_SDXL_EDIT;
    /* KOALA has one residual block per level: the third level begins at 5, where SDXL's second
     * ends, and is 5 or 6 deep (Lee et al. 2023). */
    if (has(list, RF_PREFIX_UNET "input_blocks.5.1.transformer_blocks.4.norm1.weight") &&
        !any_under(list, third))
        return RF_MODEL_KOALA;
    /* The distilled ones have SDXL's width and fewer blocks on the third level: 10, 4, 2. */
    if (width == 320 && any_under(list, third)) {
        if (!has(list, RF_PREFIX_UNET "input_blocks.7.1.transformer_blocks.2.norm1.weight"))
            return RF_MODEL_VEGA;
        if (!has(list, RF_PREFIX_UNET "input_blocks.7.1.transformer_blocks.4.norm1.weight"))
            return RF_MODEL_SSD_1B;
    }
    if (any_under(list, "edm_vpred.")) return RF_MODEL_SDXL_COSXL;
    if (has(list, "v_pred")) return RF_MODEL_SDXL_VPRED;
    return RF_MODEL_SDXL;
}

/* bigG alone.  Only Stability's has that; what it takes in tells inpainting models apart. */
static rf_model_kind refiner_kind(const rf_tensors *list)
{
    const rf_model_kind kind = sdxl_kind(list);
    return kind == RF_MODEL_SDXL ? RF_MODEL_SDXL_REFINER : kind;
}

/* No text encoder of SDXL's: what is the UNet's? */
static rf_model_kind unet_kind(const rf_tensors *list)
{
    static const char key[] =
        RF_PREFIX_UNET "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
    const int64_t context = dim_of(list, key, 1); /* 1.x and 2.x attend on the first level too */
    if (context == 768 || any_under(list, "cond_stage_model.transformer.text_model."))
        return RF_MODEL_SD1;
    if (context == 1024 || any_under(list, "cond_stage_model.model.")) return RF_MODEL_SD2;
    return RF_MODEL_UNET;
}

static rf_model_kind part_kind(const rf_tensors *list)
{
    if (has(list, "decoder.conv_in.weight") ||
        has(list, "first_stage_model.decoder.conv_in.weight") ||
        has(list, "vae.decoder.conv_in.weight"))
        return RF_MODEL_VAE;
    if (rf_is_taesd(list)) return RF_MODEL_TAESD;
    if (has(list, "input_blocks.0.0.weight")) return RF_MODEL_UNET;
    if (any_under(list, "down_blocks.") && has(list, "conv_in.weight")) return RF_MODEL_UNET_FOLDER;
    if (any_under(list, "text_model.") || any_under(list, "transformer.resblocks.") ||
        any_under(list, "conditioner.embedders.") || any_under(list, "encoder.block."))
        return RF_MODEL_TEXT_ENCODER;
    if (has(list, "clip_l") || has(list, "clip_g") || has(list, "emb_params") ||
        any_under(list, "string_to_param"))
        return RF_MODEL_EMBEDDING;
    if (any_under(list, "ip_adapter.") || any_under(list, "image_proj."))
        return RF_MODEL_IP_ADAPTER;
    if (has(list, "conv_first.weight") || has(list, "model.0.weight")) return RF_MODEL_UPSCALER;
    return RF_MODEL_UNKNOWN;
}

rf_model_kind rf_model_kind_of(const rf_tensors *list)
{
    if (is_lora(list)) return RF_MODEL_LORA;
    if (any_under(list, "control_model.") || any_under(list, "controlnet_"))
        return RF_MODEL_CONTROLNET;
    if (any_under(list, RF_PREFIX_UNET "double_blocks.") || any_under(list, "double_blocks."))
        return RF_MODEL_FLUX;
    if (any_under(list, RF_PREFIX_UNET "joint_blocks.") || any_under(list, "joint_blocks."))
        return RF_MODEL_SD3;
    if (!any_under(list, RF_PREFIX_UNET)) return part_kind(list);
    if (has(list, RF_PREFIX_CLIP_G "ln_final.weight")) return sdxl_kind(list);
    if (has(list, RF_PREFIX_REFINER_CLIP_G "ln_final.weight")) return refiner_kind(list);
    return unet_kind(list);
}
