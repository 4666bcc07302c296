/* A LoRA against an expert: which of its modules mean which layer. */
#ifndef RF_LORA_FIT_H
#define RF_LORA_FIT_H

#include "engine/files/lora.h"
#include "engine/files/lora_names.h"

typedef struct rf_lora_match {
    const rf_lora_module *module;
    const rf_lora_layer  *layer;
} rf_lora_match;

typedef struct rf_lora_fit {
    const rf_lora *lora;
    rf_lora_match *match; /* [matches], ascending by tensor, then by its rows */
    int            matches;
    int            biases;                /* matches that change a bias, besides or alone */
    int            matched[RF_PARTS + 1]; /* of lora->count */
    int            unknown, misfits;      /* modules of no layer; of a layer with another shape */
    rf_error       first;                 /* the first of these, in a sentence */
} rf_lora_fit;

/* Always fills *out unless there is no memory: that modules do not fit is for the caller to judge.
 * RF_E_MODEL: two modules mean the same layer. */
rf_status rf_lora_fit_create(rf_lora_fit *out, const rf_lora *lora, const rf_lora_names *names,
                             rf_error *err);
void      rf_lora_fit_free(rf_lora_fit *fit); /* {0} is fine */

/* Whether merging changes that tensor. */
int rf_lora_touches(const rf_lora_fit *fit, const char *tensor);

/* Adds what the file says about `tensor`, at `strength`, to its elements `w`, whole and in f32, on
 * so many threads; the sum's order does not depend on these.  Formulas: lora_merge.c.  RF_E_IO,
 * RF_E_NOMEM. */
rf_status rf_lora_merge(const rf_lora_fit *fit, const rf_tensor *tensor, float strength, float *w,
                        int threads, rf_error *err);

#endif
