/* What a LoRA's module adds to its layer, row by row, in f32: factors are read once and brought
 * into one of three forms, and a row is made when somebody asks.
 *
 *   low rank    row r = sum over j of a[r, j] * b[j, :]
 *   Hadamard    the product, element by element, of two such rows
 *   Kronecker   row i * c + k = for every j: w1[i, j] * w2[k, :]
 *   whole       the row itself
 *
 * Tucker cores are folded into b (or w2) first. */
#ifndef RF_LORA_DELTA_H
#define RF_LORA_DELTA_H

#include "engine/files/lora.h"

typedef struct rf_lora_matrix {
    float *value; /* [rows, columns] */
    size_t rows, columns;
} rf_lora_matrix;

typedef struct rf_lora_delta {
    rf_lora_kind   kind;
    rf_lora_matrix a, b;   /* low rank, and the first half of a LoHa; LoKr: w1 and w2; else a */
    rf_lora_matrix a2, b2; /* the second half */
    size_t         rows, columns; /* of what is made: outputs, inputs times kernel */
    float          scale;
} rf_lora_delta;

/* Of a module with a weight.  RF_E_IO, RF_E_NOMEM. */
rf_status rf_lora_delta_read(rf_lora_delta *delta, const rf_lora *lora,
                             const rf_lora_module *module, rf_error *err);
void      rf_lora_delta_free(rf_lora_delta *delta); /* {0} is fine */

/* row [columns] = row r, times the module's scale; `scratch` [columns] is overwritten. */
void rf_lora_delta_row(const rf_lora_delta *delta, size_t r, float *row, float *scratch);

/* A tensor in f32.  RF_E_IO, RF_E_NOMEM. */
rf_status rf_lora_read(rf_lora_matrix *out, const rf_tensors *list, const rf_tensor *t,
                       rf_error *err);

#endif
