/* What the tests of every layernorm and groupnorm level share: the oracle and its bound. */
#ifndef RF_NORM_CASE_H
#define RF_NORM_CASE_H

#include "kernels/groupnorm/groupnorm.h"
#include "kernels/layernorm/layernorm.h"
#include "tests/kernels/check.h"

/* Compares a->y with what the reference makes of f32 copies of this case's inputs. */
void layernorm_compare(check *k, const rf_layernorm_args *a);
void groupnorm_compare(check *k, const rf_groupnorm_args *a);

#endif
