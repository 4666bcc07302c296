/* What a checkpoint predicts, by the marks that people leave, the most reliable first:
 *
 *   tensors    edm_vpred.sigma_max, .sigma_min (CosXL); v_pred, and with it ztsnr: of any shape,
 *              often empty
 *   folder     scheduler/scheduler_config.json: prediction_type, rescale_betas_zero_snr (diffusers)
 *   metadata   modelspec.prediction_type: "v" or "epsilon" (ModelSpec 1.0.1)
 *   side-car   NAME.yaml beside NAME.safetensors: parameterization: "v" (A1111)
 *
 * Else epsilon; a file whose name speaks of v-prediction is then worth a warning and no more. */
#ifndef RF_PREDICTION_H
#define RF_PREDICTION_H

#include "engine/core/parameterisation.h"
#include "engine/core/tensors.h"
#include "engine/files/header.h"

enum { RF_PREDICTION_REASON = 96, RF_PREDICTION_DOUBT = 320 };

/* Who says so. */
typedef enum rf_prediction_source {
    RF_SAID_BY_NOBODY = 0,
    RF_SAID_BY_TENSORS,
    RF_SAID_BY_SCHEDULER,
    RF_SAID_BY_METADATA,
    RF_SAID_BY_SIDECAR,
    RF_SAID_BY_USER,
} rf_prediction_source;

typedef struct rf_prediction {
    rf_parameterisation  is;
    rf_prediction_source source;
    char                 reason[RF_PREDICTION_REASON]; /* "tensors v_pred and ztsnr" */
    char                 doubt[RF_PREDICTION_DOUBT];   /* a sentence worth a warning; "": none */
} rf_prediction;

/* Of an opened file or folder at `path`.  `header`: of the file, NULL for a folder.  Reads at most
 * two numbers of tensors, 64 KiB of scheduler configuration and as much of side-car.  RF_E_MODEL:
 * levels that make no sense, a prediction that is neither epsilon nor v, another latent
 * normalisation; RF_E_FORMAT: a damaged configuration; what reading gives. */
rf_status rf_prediction_find(rf_prediction *out, const rf_tensors *list, const rf_header *header,
                             const char *path, rf_error *err);

/* "epsilon", "v" or "v-ztsnr", as a user gives it.  RF_E_ARG lists the names. */
rf_status rf_prediction_named(rf_prediction *out, const char *name, rf_error *err);

/* That name; NULL: it has none (EDM levels). */
const char *rf_prediction_name(const rf_parameterisation *p);

#endif
