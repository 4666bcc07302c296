/* Inside of rf_convert_model: what was opened for it, and writing a folder. */
#ifndef RF_RELAY_CONVERT_H
#define RF_RELAY_CONVERT_H

#include "engine/files/checkpoint.h"
#include "engine/files/convert_config.h"
#include "engine/files/convert_write.h"
#include "engine/files/model_file.h"
#include "engine/files/prediction.h"
#include "engine/files/vae_view.h"
#include "engine/refinery.h"

typedef struct rf_conversion {
    const char               *from, *to;
    const rf_convert_options *options;
    rf_convert_layout         layout;
    rf_model_file            *model, *vae; /* vae NULL: the model's own */
    rf_vae_view              *vae_view;
    rf_sdxl_arch              arch;
    rf_prediction             prediction;
    rf_lora_names            *names;
    rf_convert_lora          *lora; /* [job.loras] */
    char                     *loras_text;
    rf_convert_list           list;
    rf_convert_job            job;
    char                     *metadata;
    rf_error                 *err;
} rf_conversion;

/* Whether the folder can become one; then writes it and sets out->sha256. */
rf_status rf_convert_folder_check(const rf_conversion *c);
rf_status rf_convert_folder_write(rf_conversion *c, rf_converted *out);

#endif
