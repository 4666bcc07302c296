/* The key of a call in a choice table.  Nothing of the batch goes into one: not m, not n. */
#ifndef RF_CHOICE_KEYS_H
#define RF_CHOICE_KEYS_H

#include "kernels/attention/attention.h"
#include "kernels/choice/choice.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline rf_choice_key rf_gemm_choice_key(const rf_gemm_args *a)
{
    const rf_choice_key key = {RF_CHOICE_GEMM, a->dtype, (int)a->act, a->n, a->k, 0, 0};
    return key;
}

static inline rf_choice_key rf_conv_choice_key(const rf_conv_args *a)
{
    const rf_choice_key key = {RF_CHOICE_CONV, a->dtype, (int)a->kind, a->cout, a->cin, a->h, a->w};
    return key;
}

static inline rf_choice_key rf_attention_choice_key(const rf_attention_args *a)
{
    const rf_choice_key key = {RF_CHOICE_ATTENTION,  a->dtype, a->causal, a->heads, a->d, a->sq,
                               a->table ? 0 : a->skv};
    return key;
}

#ifdef __cplusplus
}
#endif
#endif
