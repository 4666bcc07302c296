/* What the tests of every attention level share: the rows, their inputs, the oracle's result and
 * the bound. */
#ifndef RF_ATTENTION_CASE_H
#define RF_ATTENTION_CASE_H

#include "kernels/attention/attention.h"
#include "tests/kernels/check.h"

typedef struct attention_row {
    const char *name;
    int         n, sq, skv, heads, d, causal;
} attention_row;

extern const attention_row attention_rows[];
extern const int           attention_rows_count;

const attention_row *attention_row_named(const char *name); /* fails the test if there is none */

/* A row's sizes, with strides that leave padding. */
rf_attention_args attention_args(const attention_row *r, rf_dtype dtype);

double attention_flop(const attention_row *r);

/* q, k, v (side by side) and o of a case. */
void attention_fill(check *k, rf_attention_args *a);

/* How a level rounds the weights p. */
typedef struct attention_rounding {
    double rel; /* of each */
    double add; /* of each, however small, the highest of a row being at least 1 */
} attention_rounding;

/* Compares a->o, already computed from attention_fill's buffers, with the reference. */
void attention_compare(check *k, const rf_attention_args *a, attention_rounding p);

#endif
