/* What can be said of the sm80 attention without a GPU or its compiler: which sizes it takes. */
#include "kernels/attention/attention.h"

/* Beyond the contract's rules: what a grid holds, room for rounding up in an int, and rows that can
 * be read 16 bytes at a time. */
rf_status rf_attention_prepare_sm80(void *stream, const rf_attention_args *a,
                                    size_t *workspace_bytes)
{
    enum { MOST_BLOCKS = 65535, MOST_ROWS = 1 << 30, PIECE = 8 };
    (void)stream;
    *workspace_bytes = 0;
    if (rf_attention_check(a) != RF_OK) return RF_E_SHAPE;
    if (a->dtype != RF_F16 && a->dtype != RF_BF16) return RF_E_SHAPE;
    if (a->n > MOST_BLOCKS || a->heads > MOST_BLOCKS) return RF_E_SHAPE;
    if (a->sq > MOST_ROWS || a->skv > MOST_ROWS) return RF_E_SHAPE;
    const int odd = a->q_stride % PIECE || a->kv_stride % PIECE || a->o_stride % PIECE ||
                    (a->table && a->kv_off % PIECE);
    return odd ? RF_E_SHAPE : RF_OK;
}
