/* How strongly a LoRA's modules count by themselves: alpha / rank. */
#ifndef RF_LORA_ALPHA_H
#define RF_LORA_ALPHA_H

#include "engine/files/lora.h"

/* Sets the scale of every module: from its alpha tensor; else from what peft wrote into the header
 * (lora_adapter_metadata: lora_alpha, r, and their patterns); else 1.  An alpha of 0 is none.
 * RF_E_MODEL: an alpha that is not finite, or more than 10,000 times the rank. */
rf_status rf_lora_read_alphas(rf_lora *lora, rf_error *err);

#endif
