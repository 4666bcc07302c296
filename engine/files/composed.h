/* A list of tensors made of other lists' tensors: under other names, and stacked where files cut
 * what is one tensor to the engine (q, k and v of an attention).  Nothing is copied but names. */
#ifndef RF_COMPOSED_H
#define RF_COMPOSED_H

#include "engine/core/tensors.h"

enum { RF_COMPOSED_PARTS = 3 };

/* A tensor and the list that reads it, which must outlive the composed one. */
typedef struct rf_composed_part {
    const rf_tensor  *tensor;
    const rf_tensors *list;
} rf_composed_part;

typedef struct rf_composed rf_composed;

rf_status rf_composed_create(rf_composed **out, const char *path, rf_error *err); /* RF_E_NOMEM */
void      rf_composed_destroy(rf_composed *composed);                             /* NULL is fine */

/* Adds a tensor of that name: `parts` (1 .. RF_COMPOSED_PARTS) tensors, stacked along the first
 * axis.  RF_E_MODEL if they do not agree in type and all other axes; RF_E_NOMEM. */
rf_status rf_composed_add(rf_composed *composed, const char *name, const rf_composed_part *part,
                          int parts, rf_error *err);

/* Sorts what was added; lives as long as the composed list, to which nothing is added any more. */
const rf_tensors *rf_composed_list(rf_composed *composed);

#endif
