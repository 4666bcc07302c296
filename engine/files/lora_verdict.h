/* Whether a LoRA may be merged into an expert, in words: asked by plans, by `refinery convert` and
 * by `refinery inspect`. */
#ifndef RF_LORA_VERDICT_H
#define RF_LORA_VERDICT_H

#include "engine/files/lora_fit.h"

/* What a sentence counts: the UNet's modules say most about what a file is for, then those of
 * CLIP-L, which Stability's refiner has not. */
typedef struct rf_lora_tally {
    const char *of; /* "UNet modules", "CLIP-L modules" or "modules" */
    int         matched, modules;
} rf_lora_tally;

rf_lora_tally rf_lora_fit_tally(const rf_lora_fit *fit);

/* 1: meant for another architecture.  Some of a foreign file's modules may fit by chance: SD 1.5
 * has a few layers of SDXL's sizes, and Stability's refiner has the base's second text encoder. */
int rf_lora_is_foreign(const rf_lora_tally *tally);

/* RF_OK if all modules fit, or with `partial` some; else RF_E_MODEL, which names the file, the
 * expert and the first module that does not. */
rf_status rf_lora_fit_check(const rf_lora_fit *fit, const char *expert, int partial, rf_error *err);

/* What it was trained for, by its modules' names and the width of the text that they attend to:
 * "SDXL", "Stable Diffusion 1.x", ...; NULL: they do not tell. */
const char *rf_lora_made_for(const rf_lora *lora);

#endif
