/* What `refinery inspect` prints of one file. */
#ifndef RF_INSPECT_REPORT_H
#define RF_INSPECT_REPORT_H

#include "engine/files/checkpoint.h"
#include "engine/files/container.h"
#include "engine/files/header.h"
#include "engine/files/model_use.h"
#include "engine/files/prediction.h"
#include "tools/inspect_lora.h"

typedef struct rf_inspection {
    const char        *path;
    uint64_t           bytes;     /* of the whole file */
    rf_container       container; /* others than RF_CONTAINER_SAFETENSORS have no tensors */
    rf_identity        identity;
    rf_prediction      prediction; /* of what is usable */
    const rf_tensors  *tensors;
    const rf_header   *header;
    char               sha256[65];      /* "" if it was not asked for */
    char               body_sha256[65]; /* likewise; of LoRAs alone, what AutoV3 is cut from */
    int                is_lora;         /* of the LoRA family, or it reads as one */
    rf_lora_inspection lora;            /* of any file that has tensors */
    rf_error           use[RF_USES]; /* what would happen if it were used so: RF_OK, or why not */
} rf_inspection;

rf_status rf_inspect_print_json(const rf_inspection *x, rf_error *err);
void      rf_inspect_print_text(const rf_inspection *x, int verbose);

#endif
