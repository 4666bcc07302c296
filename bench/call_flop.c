/* See call_flop.h. */
#include "bench/call_flop.h"

double bench_call_flop(const rf_op_call *call)
{
    switch (call->kind) {
    case RF_OP_GEMM: {
        const rf_gemm_args *a = &call->args.gemm;
        return 2.0 * a->m * a->n * a->k;
    }
    case RF_OP_CONV: {
        const rf_conv_args *a = &call->args.conv;
        return 18.0 * a->n * rf_conv_out(a->kind, a->h) * rf_conv_out(a->kind, a->w) * a->cin *
               a->cout;
    }
    case RF_OP_ATTENTION: {
        const rf_attention_args *a = &call->args.attention;
        return 4.0 * a->n * a->sq * (double)a->skv * a->heads * a->d;
    }
    default: return 0;
    }
}
