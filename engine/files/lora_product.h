/* w += s (a b): nearly all of what merging a LoRA takes. */
#ifndef RF_LORA_PRODUCT_H
#define RF_LORA_PRODUCT_H

#include "engine/files/lora_delta.h"

/* Rows first .. first + rows - 1 of w [a.rows, b.columns]; each element is
 * w + strength * (sum over j, in order, of (scale * a[r, j]) * b[j, x]), every product and sum
 * rounded to f32, whatever the machine.  `scaled`: scratch for as many floats as
 * rf_lora_product_scratch says. */
typedef struct rf_lora_product {
    const rf_lora_matrix *a, *b; /* [rows, rank], [rank, columns] */
    float                 scale, strength;
} rf_lora_product;

enum { RF_LORA_PRODUCT_ROWS = 8 }; /* of which so many at a time are quickest */

size_t rf_lora_product_scratch(const rf_lora_product *p);
void   rf_lora_product_add(const rf_lora_product *p, float *w, size_t first, size_t rows,
                           float *scaled);

#endif
