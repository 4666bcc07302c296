/* The JSON files of a diffusers folder, from a checkpoint's sizes, and the metadata of what is
 * written.  Source of fields and values: the folder that Stability publishes for SDXL 1.0. */
#ifndef RF_CONVERT_CONFIG_H
#define RF_CONVERT_CONFIG_H

#include "engine/core/arch.h"
#include "engine/core/parameterisation.h"
#include "engine/files/header.h"

enum { RF_CONVERT_CONFIGS = 12 };

typedef struct rf_convert_config {
    const char *name; /* "unet/config.json" */
    char       *text; /* NULL: there is no such part */
} rf_convert_config;

/* All of them but the tokenizers' vocabularies; `dtype` as torch calls it.  RF_E_NOMEM. */
rf_status rf_convert_configs_make(rf_convert_config   out[RF_CONVERT_CONFIGS],
                                  const rf_sdxl_arch *arch, const rf_parameterisation *is,
                                  const char *dtype, rf_error *err);
void      rf_convert_configs_free(rf_convert_config configs[RF_CONVERT_CONFIGS]);

/* What a converted file tells of itself: the input's own metadata, without the hashes that are no
 * longer true, with "format", and with what was done.  free() *out.  `header` may be NULL. */
typedef struct rf_convert_story {
    const char *from;  /* name of the input */
    const char *loras; /* "a:0.8:0.8, b:1:1"; NULL: none */
    const char *vae;   /* name of the file; NULL: the input's own */
    const char *dtype; /* "float16" and the like; NULL: as it was */
    int         v;     /* it predicts v */
} rf_convert_story;

rf_status rf_convert_metadata(char **out, const rf_header *header, const rf_convert_story *story,
                              rf_error *err);

#endif
