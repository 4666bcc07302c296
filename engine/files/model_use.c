/* The table of kinds and uses; see model_use.h.
 *
 * Whether a kind is an expert is model_kind.c's to say; here stands what else it is good for. */
#include "engine/files/model_use.h"

#include "engine/files/checkpoint.h"
#include "engine/files/sdxl_derive.h"

/* Whose latents a kind's VAE decodes. */
typedef enum latents { NO_VAE, SDXL_VAE, OTHER_VAE } latents;

static const struct {
    const char *noun; /* "an SDXL checkpoint" */
    latents     vae;
    const char *instead; /* where it belongs; NULL: nowhere here */
} kinds[RF_MODEL_KINDS] = {
    [RF_MODEL_SDXL] = {"an SDXL checkpoint", SDXL_VAE, "--base or --refiner"},
    [RF_MODEL_SDXL_VPRED] = {"an SDXL checkpoint, v-prediction", SDXL_VAE, "--base or --refiner"},
    [RF_MODEL_SDXL_COSXL] = {"an SDXL checkpoint, CosXL", SDXL_VAE, "--base or --refiner"},
    [RF_MODEL_SDXL_EDM] = {"Playground 2.5", OTHER_VAE, NULL},
    [RF_MODEL_SDXL_REFINER] = {"Stability's SDXL refiner", SDXL_VAE, "--refiner or --base"},
    [RF_MODEL_SDXL_INPAINT] = {"an SDXL inpainting checkpoint", SDXL_VAE, NULL},
    [RF_MODEL_SDXL_EDIT] = {"an SDXL edit checkpoint", SDXL_VAE, NULL},
    [RF_MODEL_SSD_1B] = {"an SSD-1B checkpoint", SDXL_VAE, NULL},
    [RF_MODEL_VEGA] = {"a Segmind Vega checkpoint", SDXL_VAE, NULL},
    [RF_MODEL_KOALA] = {"a KOALA checkpoint", SDXL_VAE, NULL},
    [RF_MODEL_SD1] = {"a Stable Diffusion 1.x checkpoint", OTHER_VAE, NULL},
    [RF_MODEL_SD2] = {"a Stable Diffusion 2.x checkpoint", OTHER_VAE, NULL},
    [RF_MODEL_SD3] = {"a Stable Diffusion 3 model", OTHER_VAE, NULL},
    [RF_MODEL_FLUX] = {"a Flux model", OTHER_VAE, NULL},
    [RF_MODEL_UNET] = {"a UNet alone", NO_VAE, NULL},
    [RF_MODEL_UNET_FOLDER] = {"the UNet of a diffusers folder", NO_VAE, NULL},
    [RF_MODEL_VAE] = {"a VAE", SDXL_VAE, "--vae"},
    [RF_MODEL_TAESD] = {"a tiny autoencoder", NO_VAE, "--preview-vae"},
    [RF_MODEL_TEXT_ENCODER] = {"a text encoder", NO_VAE, NULL},
    [RF_MODEL_LORA] = {"a LoRA", NO_VAE, "--lora"},
    [RF_MODEL_CONTROLNET] = {"a ControlNet", NO_VAE, NULL},
    [RF_MODEL_IP_ADAPTER] = {"an IP-Adapter", NO_VAE, NULL},
    [RF_MODEL_UPSCALER] = {"an upscaler", NO_VAE, NULL},
    [RF_MODEL_EMBEDDING] = {"a textual inversion", NO_VAE, "--embedding"},
    [RF_MODEL_UNKNOWN] = {"no model that is known here", NO_VAE, NULL},
};

static const char *const uses[RF_USES] = {[RF_USE_BASE] = "base",
                                          [RF_USE_REFINER] = "refiner",
                                          [RF_USE_LORA] = "LoRA",
                                          [RF_USE_VAE] = "VAE"};

const char *rf_model_use_name(rf_model_use use)
{
    return uses[use];
}

static rf_status refuse(rf_model_kind kind, rf_model_use use, const char *path, rf_error *err)
{
    const char *instead = kinds[kind].instead;
    if (use == RF_USE_VAE && kinds[kind].vae == OTHER_VAE)
        return rf_fail(err, RF_E_MODEL, "%s: %s, whose VAE decodes other latents than SDXL's", path,
                       kinds[kind].noun);
    if (instead)
        return rf_fail(err, RF_E_MODEL, "%s: %s, not a %s: it belongs to %s", path,
                       kinds[kind].noun, uses[use], instead);
    return rf_fail(err, RF_E_MODEL, "%s: %s, not a %s", path, kinds[kind].noun, uses[use]);
}

rf_status rf_model_use_check(rf_model_kind kind, rf_model_use use, const char *path, rf_error *err)
{
    const char *refusal = rf_model_kind_refusal(kind);
    switch (use) {
    case RF_USE_BASE:
    case RF_USE_REFINER:
        if (!refusal) return RF_OK;
        return rf_fail(err, RF_E_MODEL, "%s: %s", path, refusal);
    case RF_USE_LORA: /* some trainers' names have no mark: what is unknown may be one */
        if (kind == RF_MODEL_LORA || kind == RF_MODEL_UNKNOWN) return RF_OK;
        break;
    case RF_USE_VAE:
        if (kinds[kind].vae == SDXL_VAE) return RF_OK;
        break;
    case RF_USES: break;
    }
    return refuse(kind, use, path, err);
}

rf_status rf_model_use_check_vae(rf_vae_arch *out, rf_vae_view **view, const rf_tensors *list,
                                 rf_error *err)
{
    const rf_model_kind kind = rf_model_kind_of(list);
    rf_status           st = rf_model_use_check(kind, RF_USE_VAE, list->path, err);
    *view = NULL;
    if (st != RF_OK) return st;
    if (kind != RF_MODEL_VAE && !rf_tensors_find(list, RF_PREFIX_VAE "decoder.conv_in.weight"))
        return rf_fail(err, RF_E_MODEL, "%s has no VAE; name a file that has one with --vae",
                       list->path);
    RF_TRY(rf_vae_view_open(view, list, err));
    RF_TRY(rf_vae_derive(out, rf_vae_view_list(*view), err));
    RF_TRY(rf_checkpoint_check_vae(out, rf_vae_view_list(*view), err));
done:
    if (st != RF_OK) {
        rf_vae_view_close(*view);
        *view = NULL;
    }
    return st;
}
