/* The last part of a LoRA's tensor names: which module, and what the tensor is to it. */
#ifndef RF_LORA_KEYS_H
#define RF_LORA_KEYS_H

#include <stddef.h>

#include "engine/files/lora.h"

typedef enum rf_lora_key_kind {
    RF_LORA_KEY_ROLE,
    RF_LORA_KEY_REFUSED,   /* of a kind that is known and not supported */
    RF_LORA_KEY_EMBEDDING, /* bundle_emb.NAME.PART */
    RF_LORA_KEY_UNKNOWN,
} rf_lora_key_kind;

typedef struct rf_lora_key {
    rf_lora_key_kind kind;
    size_t           stem; /* bytes of the module's name, or of the embedding's behind its front */
    rf_lora_role     role; /* of RF_LORA_KEY_ROLE */
    int              sets; /* .set_weight rather than .diff */
    const char      *refused; /* "OFT", of RF_LORA_KEY_REFUSED */
} rf_lora_key;

#define RF_LORA_BUNDLE "bundle_emb."

rf_lora_key rf_lora_key_of(const char *name);

#endif
