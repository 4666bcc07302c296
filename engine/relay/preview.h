/* Previews: every so many calls of a picture its guided x0, which stands in the pool after a
 * launch, becomes a small picture, by a linear map or by TAESDXL.
 *
 * They only read: latents, launches and their order are what they are without.  All of their memory
 * is planned; pixels go where finished pictures go, which nothing needs between two calls.  The
 * host waits for the device when one is due, and at no other time.  A call that several pictures
 * share is shown once, for the first of them. */
#ifndef RF_RELAY_PREVIEW_H
#define RF_RELAY_PREVIEW_H

#include "engine/core/program.h"
#include "engine/core/twin.h"
#include "engine/core/weights.h"
#include "engine/files/model_file.h"
#include "engine/refinery.h"
#include "engine/relay/latent_map.h"

typedef struct rf_pass rf_pass;

/* What a plan has for them. */
typedef struct rf_preview_kit {
    int              asked; /* by any job */
    char            *path;  /* of TAESDXL; NULL: the linear map */
    rf_model_file   *file;
    rf_taesd_arch    arch;
    rf_weights_patch patch;
    rf_weights       weights;
    rf_twin          map;    /* float [RF_LATENT_MAP], then the scale: 1 */
    rf_twin          latent; /* TAESDXL's input */
} rf_preview_kit;

enum { RF_PREVIEW_MAP = RF_LATENT_MAP + 1 };

/* Opens what the job asks for.  All jobs of a plan that show previews show them by one file:
 * RF_E_ARG.  RF_E_MODEL, and what opening a file gives. */
rf_status rf_preview_add_job(rf_plan *plan, const rf_job *job, rf_error *err);

/* Widens slab, staging and room for pixels; once all decoders are known. */
rf_status rf_preview_size(rf_plan *plan, rf_error *err);

/* Weights and programs, or the maps of all VAEs, whose weights are there.  `staging`: the plan's.
 */
rf_status rf_preview_prepare(rf_plan *plan, void *staging, rf_error *err);

/* After a launch: shows those of its samples that are due. */
rf_status rf_preview_show(rf_plan *plan, const rf_pass *pass, const rf_callbacks *callbacks,
                          rf_error *err);

void rf_preview_free(rf_plan *plan);

#endif
