/* Whether the tensors of a LoRA's module make one of the kinds, and fit each other. */
#ifndef RF_LORA_SHAPES_H
#define RF_LORA_SHAPES_H

#include "engine/files/lora.h"

enum { RF_LORA_RANK_MAX = 8192 };

/* Sets kind and rank of a module whose tensors are gathered.  `sets`: its weight replaces.
 * RF_E_MODEL names module and tensor. */
rf_status rf_lora_shapes_check(rf_lora_module *m, int sets, const char *path, rf_error *err);

/* The layer's own size that the factors say: outputs, inputs, and kernel height times width; what
 * the factors leave open (inputs and kernel as one product) is told by `joined`. */
typedef struct rf_lora_size {
    int64_t out, in, kernel; /* INT64_MAX where a product does not fit */
    int     joined;          /* `in` is inputs times kernel, `kernel` is 1 */
} rf_lora_size;

rf_lora_size rf_lora_size_of(const rf_lora_module *m); /* of a module that has been checked */

/* INT64_MAX where it does not fit; a, b >= 0. */
static inline int64_t rf_lora_times(int64_t a, int64_t b)
{
    return b > 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}

/* A tensor as a matrix: its rows, and all other dimensions as one. */
static inline int64_t rf_lora_rows(const rf_tensor *t)
{
    return t->ndim ? t->dim[0] : 1;
}

static inline int64_t rf_lora_columns(const rf_tensor *t)
{
    return t->ndim && t->dim[0] ? (int64_t)(t->elems / (uint64_t)t->dim[0]) : 1;
}

#endif
