/* What kind of model a list of tensors is, by names and shapes alone; metadata is not trusted. */
#ifndef RF_MODEL_KIND_H
#define RF_MODEL_KIND_H

#include "engine/core/tensors.h"

typedef enum rf_model_kind {
    RF_MODEL_SDXL, /* UNet and both text encoders, 4 input channels; nothing else is checked */
    RF_MODEL_SDXL_VPRED,
    RF_MODEL_SDXL_COSXL,   /* v-prediction on EDM noise levels */
    RF_MODEL_SDXL_EDM,     /* Playground 2.5 */
    RF_MODEL_SDXL_REFINER, /* Stability's: UNet and bigG alone */
    RF_MODEL_SDXL_INPAINT,
    RF_MODEL_SDXL_EDIT,
    RF_MODEL_SSD_1B,
    RF_MODEL_VEGA,
    RF_MODEL_KOALA,
    RF_MODEL_SD1,
    RF_MODEL_SD2,
    RF_MODEL_SD3,
    RF_MODEL_FLUX,
    RF_MODEL_UNET,        /* a UNet alone, in this layout */
    RF_MODEL_UNET_FOLDER, /* a part of a diffusers folder */
    RF_MODEL_VAE,
    RF_MODEL_TAESD, /* a tiny autoencoder, whole or one half of it */
    RF_MODEL_TEXT_ENCODER,
    RF_MODEL_LORA,
    RF_MODEL_CONTROLNET,
    RF_MODEL_IP_ADAPTER,
    RF_MODEL_UPSCALER,  /* ESRGAN and its kin */
    RF_MODEL_EMBEDDING, /* textual inversion */
    RF_MODEL_UNKNOWN,
    RF_MODEL_KINDS,
} rf_model_kind;

rf_model_kind rf_model_kind_of(const rf_tensors *list);

const char *rf_model_kind_name(rf_model_kind kind); /* "SDXL checkpoint", "LoRA", ... */

/* Ends the sentence "FILE is ..." for a kind that cannot be an expert; NULL for RF_MODEL_SDXL, and
 * for v-prediction on whatever levels. */
const char *rf_model_kind_refusal(rf_model_kind kind);

#endif
