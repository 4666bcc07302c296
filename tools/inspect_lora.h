/* `refinery inspect` of a file of the LoRA family: what it holds, what it fits, what it says of
 * itself. */
#ifndef RF_INSPECT_LORA_H
#define RF_INSPECT_LORA_H

#include <jansson.h>

#include "engine/files/checkpoint.h"
#include "engine/files/lora.h"
#include "engine/files/lora_fit.h"

/* What --against names: an expert's sizes, read once for all files. */
typedef struct rf_against {
    const char    *name;      /* of its file; NULL: none was given */
    char           stem[256]; /* the same without the extension, as plans name an expert */
    rf_lora_names *names;     /* of its layers */
} rf_against;

/* Errors as rf_model_file_open; RF_E_MODEL if it is no expert. */
rf_status rf_against_open(rf_against *out, const char *path, rf_error *err);
void      rf_against_close(rf_against *against); /* {0} is fine */

typedef struct rf_lora_inspection {
    rf_lora          *lora; /* NULL: `problem` says why */
    rf_error          problem;
    const rf_against *against; /* NULL: none was given */
    rf_lora_fit       fit;     /* if `against`, unless `misfit` says why there is none */
    rf_error          misfit;
    int               rank_min, rank_max;  /* of its modules; 0: none has one */
    size_t            types[RF_FILETYPES]; /* tensors of each element type */
} rf_lora_inspection;

/* Never fails: a LoRA that cannot be used is an answer. */
void rf_lora_inspect(rf_lora_inspection *out, const char *path, const rf_against *against);
void rf_lora_inspection_free(rf_lora_inspection *x); /* {0} is fine */

/* Whether it can be merged: into the expert of --against, or else into any SDXL one as far as the
 * file alone tells.  RF_E_MODEL and other errors of rf_lora_open. */
rf_status rf_lora_inspection_check(const rf_lora_inspection *x, rf_error *err);

/* NULL: no memory. */
json_t *rf_lora_inspection_json(const rf_lora_inspection *x);
void    rf_lora_inspection_print(const rf_lora_inspection *x);

#endif
