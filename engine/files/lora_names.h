/* Every name under which a LoRA may mean a layer of an SDXL expert.
 *
 * Trainers write a layer's name with underscores for dots, which cannot be undone ("to_out_0" and
 * "to_q" hold underscores of their own).  So names are never taken apart: all spellings of all
 * layers are made from the layout, once per architecture, and looked up. */
#ifndef RF_LORA_NAMES_H
#define RF_LORA_NAMES_H

#include "engine/core/arch.h"
#include "engine/files/sdxl_layout.h"

/* A layer that something can be merged into: a weight, or a stretch of its rows, and its bias. */
typedef struct rf_lora_layer {
    rf_part     part;
    const char *weight;          /* the canonical tensor's whole name */
    const char *bias;            /* likewise; NULL: it has none */
    int     row_part, row_parts; /* stretch of the tensor's rows: q, k, v of OpenCLIP's in_proj */
    int     transposed;          /* the tensor holds [inputs, outputs] */
    int     is_norm;
    int     ndim; /* of the layer's own weight, [outputs, inputs, ...] */
    int64_t dim[RF_LAYOUT_DIMS];
} rf_lora_layer;

typedef struct rf_lora_names rf_lora_names;

/* RF_E_NOMEM. */
rf_status rf_lora_names_create(rf_lora_names **out, const rf_sdxl_arch *arch, rf_error *err);
void      rf_lora_names_destroy(rf_lora_names *names); /* NULL is fine */

/* The layer of that name (without ".lora_down.weight" or the like); NULL: there is none. */
const rf_lora_layer *rf_lora_names_find(const rf_lora_names *names, const char *name);

/* Which network a name speaks of, also where no layer has it: by its front alone.  RF_PARTS: of
 * none. */
rf_part rf_lora_part_of(const char *name);

/* All spellings, for tests: calls `fn` for each. */
void rf_lora_names_each(const rf_lora_names *names,
                        void (*fn)(void *user, const char *name, const rf_lora_layer *layer),
                        void *user);

#endif
