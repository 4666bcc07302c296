/* How much arithmetic an op call is, for rates. */
#ifndef RF_CALL_FLOP_H
#define RF_CALL_FLOP_H

#include "engine/core/program.h"

/* Multiply-adds times two of products, convolutions and attention; what norms and elementwise ops
 * do is not counted. */
double bench_call_flop(const rf_op_call *call);

#endif
